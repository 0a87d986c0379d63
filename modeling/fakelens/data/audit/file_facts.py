"""What an image file gives away before anyone looks at the image: format, size, compression, mean colour."""

import io

import numpy as np
from PIL import Image, JpegImagePlugin

FORMATS = ("JPEG", "PNG", "WEBP")
FORMAT_FACTS = (  # what a file is, whatever it shows
    *(f"is {name}" for name in FORMATS),
    "width",
    "height",
    "aspect",
    "megapixels",
    "JPEG luma table",
    "JPEG chroma table",
    "JPEG chroma subsampling",
    "has EXIF",
)
# At one format and quality, detailed images take more bytes.
CONTENT_FACTS = ("bytes per pixel", "mean red", "mean green", "mean blue", "spread of colour")
ABSENT = -1.0  # of the JPEG facts in other files


def file_facts(data: bytes, image: Image.Image) -> np.ndarray:
    """Measure one file.

    Args:
        data: The file's bytes; they decode.
        image: The same, decoded to RGB.

    Returns:
        Of shape `(16,)`, in the order of `FORMAT_FACTS` and `CONTENT_FACTS`: 0 or 1 for what a file is or has; pixels;
        width over height; millions of pixels; the mean entries of the quantisation tables (the higher, the coarser);
        0 for 4:4:4, 1 for 4:2:2, 2 for 4:2:0; bytes; intensity levels.
    """
    with Image.open(io.BytesIO(data)) as file:  # reads the header alone
        width, height = file.size
        jpeg = file.format in ("JPEG", "MPO")  # an MPO is a phone's JPEG with a second frame behind
        facts = [
            *(float(file.format == name or (name == "JPEG" and jpeg)) for name in FORMATS),
            width,
            height,
            width / height,
            width * height / 1e6,
            *(_jpeg_facts(file) if isinstance(file, JpegImagePlugin.JpegImageFile) else (ABSENT, ABSENT, ABSENT)),
            float(len(file.getexif()) > 0),
            len(data) / (width * height),
        ]
    pixels = np.asarray(image).reshape(-1, 3)
    return np.array([*facts, *pixels.mean(axis=0), pixels.std()], dtype=np.float64)


def _jpeg_facts(file: JpegImagePlugin.JpegImageFile) -> tuple[float, float, float]:
    tables = file.quantization
    luma = float(np.mean(tables[0])) if 0 in tables else ABSENT
    chroma = float(np.mean(tables[1])) if 1 in tables else ABSENT
    return luma, chroma, float(JpegImagePlugin.get_sampling(file))
