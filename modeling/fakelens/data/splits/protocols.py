"""Published splits by name: which generators are held out of training, and where a detector is then tested."""

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from fakelens.errors import UserError


@dataclass(frozen=True)
class Protocol:
    """A data set's official division into what is trained on and what is tested on.

    Attributes:
        name: What recipes call it.
        held_out: Generators that are in no training or validation image.
        citation: Where it is published.
        data: SOURCE to train on.
        train_split: Its split for training.
        validation_split: Its split for checkpoints and thresholds, of the generators trained on.
        tests: SOURCE and split of each test set, to be reported apart.
    """

    name: str
    held_out: tuple[str, ...]
    citation: str
    data: str
    train_split: str
    validation_split: str
    tests: tuple[tuple[str, str], ...]

    def unseen(self, generator: str) -> bool:
        """Tell whether a generator is held out of training, however its name is spelt.

        Args:
            generator: As the data names it.
        """
        return among(generator, self.held_out)


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="openfake",
            held_out=(
                "gpt-image-1.5",
                "gpt-image-2",
                "nano-banana-pro",
                "flux.2-klein-9b",
                "sora-2",
                "z-image-turbo",
                "illustrious",
                "lumina-17-2-25",
                "aurora-20-1-25",
                "frames-23-1-25",
                "halfmoon-4-4-25",
                "recraft-v2",
                "recraft-v3",
                "ideogram-2.0",
                "midjourney-7",
                "veo-3",
                "seedream-v5.0",
                "ernie-image",
                "ernie-image-turbo",
                "wan-video-2.5",
            ),
            citation="Livernoche et al. (2025), OpenFake, https://arxiv.org/abs/2509.09495",
            data="ComplexDataLab/OpenFake:core",
            train_split="train",
            validation_split="validation",
            tests=(("ComplexDataLab/OpenFake:core", "test"), ("ComplexDataLab/OpenFake:reddit", "test")),
        ),
    )
}


def get(name: str) -> Protocol:
    """Return a protocol by its name.

    Args:
        name: As recipes have it.

    Raises:
        UserError: If there is none; the nearest is suggested.
    """
    if name not in PROTOCOLS:
        near = difflib.get_close_matches(str(name), PROTOCOLS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"There is no protocol {name!r}.{hint} There are: {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]


def name_key(generator: str) -> str:
    """Return what is left of a name without case, spaces and punctuation: `Flux.2 Klein_9B` is `flux.2-klein-9b`.

    Args:
        generator: A generator's name in any spelling.
    """
    return "".join(letter for letter in generator.casefold() if letter.isalnum())


def among(generator: str, names: Iterable[str]) -> bool:
    """Tell whether a generator is one of those named, however either is spelt.

    Args:
        generator: A generator's name.
        names: Others.
    """
    return name_key(generator) in map(name_key, names)


def unite(*names: Collection[str]) -> list[str]:
    """Return every generator named, in order of the alphabet, each once however it is spelt.

    Args:
        *names: Lists of generators; the first spelling met stays.
    """
    spelt = {name_key(name): name for group in reversed(names) for name in group}
    return sorted(spelt.values())
