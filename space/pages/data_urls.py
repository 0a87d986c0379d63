"""Images that we make -> data URLs, so that they travel inside the page and no file is written for them."""

import base64
import io

from PIL import Image

LONGEST = 1024  # pixels of the longer side: what a page shows of an image
QUALITY = 88


def data_url(image: Image.Image, format: str = "WEBP", longest: int = LONGEST) -> str:
    """Return an image as a `data:` address for `<img src=...>`.

    Args:
        image: An RGB image.
        format: "WEBP", "JPEG" or "PNG"; PNG alone keeps every pixel as it is.
        longest: Pixels of the longer side; larger images are made smaller.
    """
    if max(image.size) > longest:
        image = image.copy()
        image.thumbnail((longest, longest))
    file = io.BytesIO()
    image.save(file, format=format, quality=QUALITY)
    return of_file(file.getvalue(), format.lower())


def of_file(data: bytes, kind: str) -> str:
    """Return an image file as a `data:` address.

    Args:
        data: The file's bytes.
        kind: "webp", "jpeg" or "png".
    """
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
