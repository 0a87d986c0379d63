"""Autoencoders by file, folder or Hub id: what turns a photograph into a content-aligned fake."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from fakelens.data.aligned.tiny_autoencoder import tiny_decoder, tiny_encoder
from fakelens.errors import UserError
from fakelens.zoo.pretrained import read_weights

Network = TypeVar("Network", bound=nn.Module)

KINDS = ("AutoencoderKL", "AutoencoderTiny")
SUBFOLDERS = (None, "vae")  # where a repo keeps one: by itself, or in a pipeline


@dataclass(frozen=True)
class Autoencoder:
    """A network that encodes images and decodes them again.

    Attributes:
        name: What data made with it calls its generator.
        multiple: Sides of its images are multiples of this, in pixels.
        round_trip: From and to images of shape `(batch_size, 3, height, width)` in [0, 1].
    """

    name: str
    multiple: int
    round_trip: Callable[[torch.Tensor], torch.Tensor]


def open_autoencoder(names: list[str], device: str | None = None) -> Autoencoder:
    """Open an autoencoder for use. Its weights are safetensors; pickles are refused.

    Args:
        names: One Hub id or folder of diffusers' `AutoencoderKL` or `AutoencoderTiny`, or of a pipeline with one in
            `vae/`; or two files of the tiny FLUX.2 kind, encoder then decoder.
        device: As torch names devices; a GPU if there is one, if None.

    Raises:
        UserError: If there is none, it is of another kind or damaged, diffusers is needed and not installed, or the
            device cannot be used.
    """
    if len(names) == 2:
        return _tiny_pair(Path(names[0]), Path(names[1]), device)
    if len(names) != 1:
        raise UserError(f"--autoencoder takes one Hub id or folder, or two files; not {len(names)}.")
    if Path(names[0]).is_file() or names[0].endswith(".safetensors"):
        raise UserError(f"{names[0]} is one file. Name two, encoder then decoder, or a folder of diffusers.")
    return _diffusers(names[0], device)


def _tiny_pair(encoder_path: Path, decoder_path: Path, device: str | None) -> Autoencoder:
    encoder, decoder = tiny_encoder(), tiny_decoder()
    for network, path, kind in ((encoder, encoder_path, "encoder"), (decoder, decoder_path, "decoder")):
        try:
            network.load_state_dict({name: tensor.float() for name, tensor in read_weights(path).items()})
        except RuntimeError as error:
            raise UserError(
                f"{path} is not the {kind} of a tiny FLUX.2 autoencoder. Name its two files, encoder then decoder."
            ) from error
    both = ready(nn.Sequential(encoder, decoder), device)
    shared = os.path.commonprefix([encoder_path.stem, decoder_path.stem]).rstrip("-_.")
    return Autoencoder(shared or "tiny-autoencoder", 8, lambda images: run(both, images).clamp(0, 1))


def _diffusers(name: str, device: str | None) -> Autoencoder:
    try:
        import diffusers
    except ImportError:
        raise UserError(
            f"The autoencoder {name} needs diffusers, which is not installed: pip install 'fakelens[reconstruct]'."
        ) from None
    kind, where = _find(name, diffusers.AutoencoderKL.load_config)
    try:
        network = getattr(diffusers, kind).from_pretrained(name, use_safetensors=True, **where)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"The autoencoder {name} has no safetensors weights that fit: {' '.join(str(error).split())[:200]} "
            "Pickled weights (.bin, .pt) run code when read and are refused."
        ) from error
    widths = network.config["block_out_channels" if kind == KINDS[0] else "encoder_block_out_channels"]
    network = ready(network, device)
    # The forward pass takes the latents' mean and goes from [-1, 1] to [-1, 1].
    return Autoencoder(
        Path(name).name if Path(name).is_dir() else name,
        max(8, 2 ** (len(widths) - 1)),
        lambda images: run(network, images * 2 - 1).add(1).div(2).clamp(0, 1),
    )


def _find(name: str, load_config: Callable[..., dict[str, Any]]) -> tuple[str, dict[str, str]]:
    """Return which of the kinds it is and in which folder of the repo."""
    failures = []
    for subfolder in SUBFOLDERS:
        where = {} if subfolder is None else {"subfolder": subfolder}
        try:
            kind = load_config(name, **where).get("_class_name")
        except (OSError, ValueError) as error:
            failures.append(" ".join(str(error).split())[:200])
            continue
        if kind not in KINDS:
            raise UserError(f"{name} holds {kind or 'no autoencoder'}; this takes {' or '.join(KINDS)}.")
        return kind, where
    raise UserError(f"No autoencoder at {name}: {failures[0]} Name a Hub id or folder of diffusers, or two files.")


def ready(network: Network, device: str | None) -> Network:
    """Put a network on a device, for use and not for training.

    Args:
        network: Changed in place.
        device: As torch names devices; a GPU if there is one, if None.

    Raises:
        UserError: If the device cannot be used.
    """
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return network.to(torch.device(chosen)).eval().requires_grad_(False)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"Device {chosen!r} cannot be used here: {str(error).splitlines()[0]} Say cpu.") from None


def run(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Send images through a network, wherever it lies; what comes back is in ordinary memory.

    Args:
        network: From images to images.
        images: Of shape `(batch_size, 3, height, width)`.
    """
    output = network(images.to(next(network.parameters()).device))
    return (output if isinstance(output, torch.Tensor) else output.sample).cpu()
