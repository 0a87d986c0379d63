import numpy as np
import pytest
from PIL import Image

from fakelens.data.decode import ImageError, decode_image
from tests.abuse import CASES, make_image, write_cases


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("abuse")
    write_cases(folder)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_file_is_scored_or_refused_with_its_reason(folder, case):
    if case.error:
        with pytest.raises(ImageError, match=case.error):
            decode_image(folder / case.name)
        return
    decoded = decode_image(folder / case.name)
    assert decoded.image.mode == "RGB"
    assert any(case.note in note for note in decoded.notes) if case.note else decoded.notes == ()


def test_bomb_is_refused_from_its_header_alone(folder, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("the pixels were read"))
    with pytest.raises(ImageError, match="too large"):
        decode_image(folder / "bomb.png")


def test_sixteen_bit_levels_keep_their_brightness(folder):
    expected = np.asarray(make_image().convert("L")).astype(int)
    assert np.abs(np.asarray(decode_image(folder / "sixteen_bit.png").image)[..., 0] - expected).max() <= 1


def test_exif_rotation_is_applied(folder):
    decoded = decode_image(folder / "rotated.jpg")
    assert decoded.image.size == (40, 48)
    assert (decoded.width, decoded.height) == (48, 40)


def test_bytes_path_and_image_decode_alike(folder):
    path = folder / "plain.jpg"
    with Image.open(path) as opened:
        results = [decode_image(path), decode_image(path.read_bytes()), decode_image(opened)]
    assert len({r.image.tobytes() for r in results}) == 1


def test_animation_gives_its_first_frame(folder):
    assert np.array_equal(np.asarray(decode_image(folder / "animated.webp").image), np.asarray(make_image(seed=0)))


def test_camera_and_software_come_from_exif(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "ACME\x00", "Pocket 3 ", "Editor 1.0"
    make_image().save(tmp_path / "camera.jpg", exif=exif)
    decoded = decode_image(tmp_path / "camera.jpg")
    assert (decoded.camera, decoded.software) == ("ACME Pocket 3", "Editor 1.0")
