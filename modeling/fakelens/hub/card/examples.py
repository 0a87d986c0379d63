"""Example images for the widget on a model's page: the embedded sample's, or a folder of somebody's own.

Images of an evaluation are never among them: they are licensed as the data that they come from.
"""

import io
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from PIL import ExifTags, Image

from fakelens.data.decode import ImageError, decode_image
from fakelens.data.sources.labels import FAKE, REAL
from fakelens.errors import UserError
from fakelens.hub.preflight import EXAMPLES

SAMPLE, NONE = "sample", "none"
AT_MOST = 8


def example_files(where: str) -> dict[str, bytes]:
    """Return example images by their path in the repo.

    Args:
        where: A folder of at most eight images; `sample` for two crops of public-domain photographs and the embedded
            sample's reconstructions of them; `none`.

    Raises:
        UserError: If the folder is missing, or holds something that cannot be shown or should not be.
    """
    if where == NONE:
        return {}
    return _of_sample() if where == SAMPLE else _of_folder(Path(where).expanduser())


def widget(names: Iterable[str]) -> list[dict[str, str]]:
    """Return the entry of a card's front matter that shows example images, titled by their names.

    Args:
        names: Their paths in the repo.
    """
    return [{"src": name, "example_title": re.sub(r"[-_]+", " ", PurePosixPath(name).stem)} for name in names]


def _of_sample() -> dict[str, bytes]:
    from fakelens.data.sources.opening import examples, open_source
    from fakelens.data.sources.skips import SkipLog

    kinds = {REAL: "photograph", FAKE: "reconstruction"}
    found: dict[str, bytes] = {}
    for example in sorted(examples(open_source("sample", "test"), SkipLog()), key=lambda e: e.id):
        # The first pair of each photograph.
        found.setdefault(f"examples/sample-{kinds[example.label]}-{example.source}.jpg", example.data)
    return dict(sorted(found.items()))


def _of_folder(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise UserError(f"No folder of example images at {folder}. Name one, or say --examples {SAMPLE} or {NONE}.")
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if not 1 <= len(paths) <= AT_MOST:
        raise UserError(f"{folder} holds {len(paths)} files. Give 1 to {AT_MOST} example images.")
    found = {}
    for path in paths:
        name = f"examples/{path.name}"
        if not path.is_file() or not re.fullmatch(EXAMPLES, name) or name.startswith("examples/sample-"):
            raise UserError(
                f"{path} cannot be an example image. Give JPEG, PNG or WebP files, named with A-Z, a-z, 0-9, _, . and "
                f"- but not sample-..., and nothing else in {folder}."
            )
        data = path.read_bytes()
        try:
            decode_image(data)
        except ImageError as error:
            raise UserError(f"{path} is no image that can be shown: {error}. Take it out.") from None
        with Image.open(io.BytesIO(data)) as image:
            if image.getexif().get_ifd(ExifTags.IFD.GPSInfo):
                raise UserError(f"{path} states where it was taken (GPS). Save it without its EXIF data.")
        found[name] = data
    return found
