"""Image bytes -> an upright 8-bit RGB image, or a reason why not.

Every image that enters the package, from a data set, the command line or the Space, comes through here. Odd modes are
converted the way a viewer shows them, and what was done is said in `notes`.
"""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base

from fakelens.errors import UserError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2"})
# A header can claim any size, and the pixels are allocated before they are read: 20,000 x 20,000 would take 1.2 GB.
MAX_PIXELS = 120_000_000
MIN_SIDE = 8  # pixels; below, there is nothing left for a network to look at
MAX_BYTES = 200 * 2**20
ANIMATED = {"GIF", "WEBP", "PNG", "AVIF"}  # a phone's MPO has two frames too, but is a photograph


class ImageError(UserError):
    """An image that cannot be scored.

    Args:
        reason: A short phrase, the same for all images with the same trouble: skipped rows are counted by it.
        detail: What is particular to this image.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


@dataclass(frozen=True)
class DecodedImage:
    """An image and what its file was.

    Attributes:
        image: RGB, 8 bits a channel, upright, first frame.
        format: The file's format as Pillow names it ("JPEG", "PNG", "WEBP", ...), "" for an image without a file.
        width: Of the file, in pixels, before any EXIF rotation.
        height: Likewise.
        notes: What was done to get here, for a person to read.
        camera: Make and model as EXIF states them, "" if it does not.
        software: The program that EXIF says wrote the file, "" if it does not.
    """

    image: Image.Image
    format: str
    width: int
    height: int
    notes: tuple[str, ...] = ()
    camera: str = ""
    software: str = ""


def decode_image(source: bytes | str | Path | Image.Image) -> DecodedImage:
    """Decode an image file, its bytes, or an opened Pillow image.

    Args:
        source: A path, the bytes of a file, or a `PIL.Image.Image`.

    Returns:
        The upright RGB image, at its own resolution.

    Raises:
        ImageError: If the file is missing, empty, no image, damaged, smaller than 8 pixels a side or larger than
            120 million pixels.
    """
    if isinstance(source, Image.Image):
        return _decode(source)
    data = source if isinstance(source, bytes) else read_file(Path(source))
    if not data:
        raise ImageError("empty file", "it has 0 bytes")
    try:
        with warnings.catch_warnings():
            # The size is checked below, before anything is allocated.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as opened:
                return _decode(opened)
    except UnidentifiedImageError:
        raise ImageError("not an image", "no known image format in its first bytes") from None
    except Image.DecompressionBombError:
        raise ImageError("too large", f"more than {MAX_PIXELS / 1e6:.0f} million pixels") from None
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError("damaged image", str(error)) from None


def read_file(path: Path) -> bytes:
    """Return an image file's bytes.

    Raises:
        ImageError: If there is no such file, it cannot be read, or it has more than 200 MiB.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ImageError("too large", f"the file has more than {MAX_BYTES // 2**20} MiB")
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError("no such file", "check the path") from None
    except OSError as error:
        raise ImageError("unreadable file", error.strerror or str(error)) from None


def _decode(opened: Image.Image) -> DecodedImage:
    width, height = opened.size
    if width * height > MAX_PIXELS:
        raise ImageError("too large", f"{width} x {height} pixels; at most {MAX_PIXELS / 1e6:.0f} million are read")
    if min(width, height) < MIN_SIDE:
        raise ImageError("too small", f"{width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed")
    notes = []
    kind = opened.format or ""
    if kind in ANIMATED and getattr(opened, "n_frames", 1) > 1:  # a plugin that reads still images alone has none
        notes.append("animated: only the first frame was scored")
    opened.load()
    exif = opened.getexif()
    image = ImageOps.exif_transpose(opened)
    if exif.get(Base.Orientation, 1) != 1:
        notes.append("turned upright by its EXIF orientation")
    if image.mode.startswith(("I", "F")):
        image = _to_8_bit(image)
        notes.append("16-bit or floating-point intensity levels scaled to 8 bits")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.new("RGBA", rgba.size, "white")
        image.alpha_composite(rgba)
        notes.append("transparency laid over white")
    elif image.mode == "CMYK":
        notes.append("CMYK converted to RGB")
    camera = " ".join(_text(exif.get(tag)) for tag in (Base.Make, Base.Model)).strip()
    software = _text(exif.get(Base.Software))
    return DecodedImage(image.convert("RGB"), kind, width, height, tuple(notes), camera, software)


def _text(value: object) -> str:
    """Return an EXIF value as text; cameras pad theirs with spaces and NULs."""
    return str(value or "").split("\x00")[0].strip()


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale intensity levels as their range asks; Pillow's own conversion clips everything above 255 to white."""
    levels = np.asarray(image).astype(np.float64)
    top = 65535.0 if image.mode.startswith("I") else max(1.0, float(levels.max(initial=0.0)))
    return Image.fromarray((levels.clip(0, top) * (255.0 / top)).round().astype(np.uint8))
