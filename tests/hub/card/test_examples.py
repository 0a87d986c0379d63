import re

import pytest
from PIL import ExifTags

from fakelens.errors import UserError
from fakelens.hub.card.examples import example_files
from tests.abuse import make_image


def with_gps():
    image = make_image()
    exif = image.getexif()
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (47.0, 22.0, 0.0)}
    return image, exif


def test_images_that_should_not_be_shown_are_refused(tmp_path):
    def refused(words):
        with pytest.raises(UserError, match=words):
            example_files(str(tmp_path))

    refused("holds 0 files. Give 1 to 8")
    image, exif = with_gps()
    image.save(tmp_path / "home.jpg", exif=exif)
    refused(r"home.jpg states where it was taken")
    image.save(tmp_path / "home.jpg")
    assert example_files(str(tmp_path)) == {"examples/home.jpg": (tmp_path / "home.jpg").read_bytes()}
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    refused(r"torn.png is no image that can be shown")
    for name in ("my cat.png", "notes.txt", "sample-x.png"):
        (tmp_path / "torn.png").rename(tmp_path / name)
        refused(re.escape(name) + " cannot be an example image")
        (tmp_path / name).rename(tmp_path / "torn.png")
    for number in range(8):
        image.save(tmp_path / f"{number}.jpg")
    refused("holds 10 files")
