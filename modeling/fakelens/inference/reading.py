"""A path, a file's bytes or an opened image -> what goes to the network, and what stands beside its score."""

import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fakelens.data.decode import DecodedImage, ImageError, decode_image, read_file
from fakelens.inference.input_warnings import warnings_for
from fakelens.provenance.read import Provenance, read_provenance

ImageSource = bytes | str | os.PathLike[str] | Image.Image


@dataclass(frozen=True)
class ReadImage:
    """An image as it is scored, and what stands beside its score.

    Attributes:
        decoded: What goes to the network.
        warnings: What `warnings_for` says of it.
        stated: What its file states of its origin.
    """

    decoded: DecodedImage
    warnings: tuple[str, ...]
    stated: Provenance


def read_image(source: ImageSource) -> ReadImage | ImageError:
    """Read one image; an error is returned, for the others are still to be scored.

    Args:
        source: A path, the bytes of a file, or an opened image, which has no file to state anything.
    """
    try:
        if isinstance(source, Image.Image):
            decoded, data = decode_image(source), None
        else:
            data = source if isinstance(source, bytes) else read_file(Path(source))
            decoded = decode_image(data)
    except ImageError as error:
        return error
    return ReadImage(decoded, warnings_for(decoded.image, data), read_provenance(data) if data else Provenance())
