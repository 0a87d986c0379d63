"""One vocabulary for the classes of models and of data sets: class names -> real, fake, or a question to the user.

Names are matched on their words, not as whole strings: `Real Photo`, `real_images` and `0_real` all say real. A name
that says nothing, or says both, is never guessed, and no class is ever understood by its index.
"""

import re
from collections.abc import Iterable

from fakelens.data.sources.labels import FAKE, ID2LABEL, REAL
from fakelens.errors import UserError

# Words that say it by themselves.
_REAL = "real reals realism authentic authentics genuine pristine bonafide legit unaltered unmanipulated untampered"
_FAKE = (
    "fake fakes faked ai aigc aigi aigenerated genai artificial synthetic synthetics synthesized synthesised synth "
    "generated generative gen gan gans deepfake deepfakes diffusion forged forgery manipulated tampered spoof spoofed "
    "faceswap"
)
# What a photograph shows or is made by: real, unless another word says fake (`AI photo`, `fake human`).
_REAL_SUBJECT = (
    "photo photos photograph photographs photography human humans hum camera cameras natural nature original originals"
)
_MAKERS = frozenset({"human", "humans", "camera"})  # `human generated` is no generator's
_NOT = frozenset({"not", "non", "no"})
# Classes that are neither, whatever stands beside them: never taken for a generator's name.
_NEITHER = "unknown other others unsure uncertain undefined unlabeled unlabelled none null nan na background ambiguous"

MOST = 12  # names in a sentence

# What a user who is asked can answer.
SAY_IT = f"Say which is which with --label-map {ID2LABEL[REAL]}=NAME,{ID2LABEL[FAKE]}=NAME or --real-label NAME."
WORDS = {REAL: frozenset(_REAL.split()), FAKE: frozenset(_FAKE.split())}
REAL_SUBJECTS = frozenset(_REAL_SUBJECT.split())
NEITHER = frozenset(_NEITHER.split())
# Where lower case meets upper case, and before the last capital of several: `AIGenerated` is two words.
CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
WORD = re.compile(r"[^\W\d_]+")
PLACEHOLDER = re.compile(r"(label|class)?[ _-]?\d+", re.IGNORECASE)


def words_of(name: object) -> list[str]:
    """Return a class name's words in lower case, without digits and punctuation.

    Args:
        name: A class name; anything else is taken as text.
    """
    return WORD.findall(CAMEL_CASE.sub(" ", str(name)).lower())


def find_label(name: object) -> int | None:
    """Return 0 for a name of real images, 1 for a name of fake ones, None where its words say neither or both.

    Args:
        name: A class or folder name, in any case.
    """
    said: set[int] = set()
    words = words_of(name)
    is_negated = False
    for before, word in zip([None, *words], words, strict=False):
        if word in _NOT:
            is_negated = True
        elif word in WORDS[FAKE] and not (before in _MAKERS and word in ("generated", "gen")):
            said.add(REAL if is_negated else FAKE)
        elif word in WORDS[REAL]:
            said.add(FAKE if is_negated else REAL)
    if not said and not is_negated and REAL_SUBJECTS.intersection(words):
        return REAL
    return said.pop() if len(said) == 1 else None


def label_id(name: object) -> int:
    """Return 0 for a name of real images and 1 for a name of fake ones.

    Args:
        name: A class or folder name, in any case.

    Raises:
        UserError: If the name is neither; the message names the options that say what it means.
    """
    label = find_label(name)
    if label is None:
        raise UserError(f"Label {name!r} is neither real nor fake by its words. {SAY_IT}")
    return label


def is_placeholder(name: object) -> bool:
    """Tell whether a name is a class's number and no name: `LABEL_0`, `1`.

    Args:
        name: A class name.
    """
    return PLACEHOLDER.fullmatch(str(name).strip()) is not None


def is_neither(name: object) -> bool:
    """Tell whether a name stands for a class that is neither real nor fake, such as `unknown`.

    Args:
        name: A class name.
    """
    words = words_of(name)
    return not words or bool(NEITHER.intersection(words))


def in_words(names: Iterable[object]) -> str:
    """Return class names as a list in a sentence.

    Args:
        names: The classes.
    """
    listed = list(map(str, names))
    more = f", ... ({len(listed)} in all)" if len(listed) > MOST else ""
    return (", ".join(listed[:MOST]) or "(none)") + more
