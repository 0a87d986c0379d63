"""Pictures that we make -> data URLs, so that they travel inside the page and no file is written for them."""

import base64
import io

from PIL import Image

LONGEST = 1024  # pixels of the longer side: what a page shows of a picture
QUALITY = 88


def data_url(image: Image.Image, format: str = "WEBP", longest: int = LONGEST) -> str:
    """Return a picture as a `data:` address for `<img src=...>`.

    Args:
        image: An RGB picture.
        format: "WEBP", "JPEG" or "PNG"; PNG alone keeps every pixel as it is.
        longest: Pixels of the longer side; larger pictures are made smaller.
    """
    if max(image.size) > longest:
        image = image.copy()
        image.thumbnail((longest, longest))
    file = io.BytesIO()
    image.save(file, format=format, quality=QUALITY)
    return f"data:image/{format.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
