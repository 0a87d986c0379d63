"""Zips as people send them, and as those send them who mean harm: the bombs here are real ones."""

import io
import random
import struct
import zipfile
import zlib

import pytest

from fakelens.cli.inputs import archives
from fakelens.cli.inputs.archives import members
from fakelens.cli.inputs.expand import expand
from fakelens.data.decode import ImageError
from fakelens.errors import UserError
from tests.abuse import make_image


def photograph(seed=0, suffix="JPEG"):
    file = io.BytesIO()
    make_image(seed=seed).save(file, format=suffix)
    return file.getvalue()


def write_zip(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, data in files:
            opened.writestr(name, data)
    return path


def patched(path, info, local=None, central=None):
    """Overwrite fields of a member's two headers: {offset: packed bytes}."""
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02" + data[data.index(b"PK\x01\x02") + 4 : data.index(b"PK\x01\x02") + 8])
    for base, fields in ((info.header_offset, local or {}), (start, central or {})):
        for offset, value in fields.items():
            data[base + offset : base + offset + len(value)] = value
    path.write_bytes(data)


def test_images_are_found_in_order_and_the_rest_is_left_out(tmp_path):
    files = [
        ("z.png", photograph(1, "PNG")),
        ("holiday/a.JPG", photograph(2)),
        ("holiday/", b""),
        ("notes.txt", b"words"),
        ("inner.zip", b"PK"),
        (".hidden.jpg", photograph()),
        (".thumbnails/b.jpg", photograph()),
        ("__MACOSX/holiday/._a.JPG", b"resource fork"),
        ("wind\\ows\\.c.jpg", photograph()),
    ]
    found = members(write_zip(tmp_path / "photos.zip", files))
    assert [member.name for member in found] == ["holiday/a.JPG", "z.png"]
    assert [member.read() for member in found] == [photograph(2), photograph(1, "PNG")]
    assert found.left_out == 6  # the folder itself is none of them


def test_names_cannot_steer_a_terminal_or_hide_their_ending(tmp_path):
    names = [
        "\x1b[2Jcleared.jpg",
        "gpj.\u202eexe.jpg",
        "two\nlines.jpg",
        "M\u00fcnchen \u6771\u4eac.jpg",
        "../../up.jpg",
    ]
    found = [m.name for m in members(write_zip(tmp_path / "z.zip", [(name, photograph()) for name in names]))]
    assert set(found) == {
        *("\ufffd[2Jcleared.jpg", "gpj.\ufffdexe.jpg", "two lines.jpg", "M\u00fcnchen \u6771\u4eac.jpg"),
        "../../up.jpg",  # nothing is unpacked, so that it leads nowhere
    }


def test_too_many_and_encrypted_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    path = write_zip(tmp_path / "z.zip", [(f"{n}.jpg", photograph()) for n in range(4)])
    with pytest.raises(UserError, match="holds 4 images; at most 3"):
        members(path)
    path = write_zip(tmp_path / "locked.zip", [("a.jpg", photograph())])
    with zipfile.ZipFile(path) as opened:
        info = opened.infolist()[0]
    patched(path, info, local={6: b"\x01"}, central={8: b"\x01"})
    with pytest.raises(UserError, match="is encrypted"):
        members(path)


def test_a_member_that_states_its_true_size_is_a_bomb_by_it(tmp_path):
    path = write_zip(tmp_path / "bomb.zip", [("a.png", bytes(64 * 2**20))])
    assert path.stat().st_size < 2**17
    with pytest.raises(UserError, match="more than 100 times its size"):
        members(path)
    with pytest.raises(UserError, match="an image of more than 200 MiB"):
        members(write_zip(tmp_path / "large.zip", [("a.png", bytes(201 * 2**20))]))


@pytest.mark.parametrize("stated", [40, 2**20])
def test_a_member_that_lies_about_its_size_stops_at_what_it_stated(tmp_path, stated):
    import tracemalloc

    path = write_zip(tmp_path / "liar.zip", [("a.png", bytes(100 * 2**20))])
    with zipfile.ZipFile(path) as opened:
        info = opened.infolist()[0]
    patched(path, info, local={22: struct.pack("<I", stated)}, central={24: struct.pack("<I", stated)})
    (member,) = members(path)
    tracemalloc.start()
    with pytest.raises(ImageError, match="damaged in its zip"):
        member.read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20


def test_members_that_share_their_data_are_refused(tmp_path):
    """Each entry of the directory states the same local file: small by its ratio, but as large as one likes."""
    name, data = b"a.png", photograph(suffix="PNG")
    packed = zlib.compress(data, 9)[2:-4]
    sizes = struct.pack("<IIIHH", zlib.crc32(data), len(packed), len(data), len(name), 0)
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes + name + packed
    entry = b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0)
    entry += sizes + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    path = tmp_path / "overlapping.zip"
    for count, refused in ((1, False), (50, True)):
        end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(entry) * count, len(local), 0)
        path.write_bytes(local + entry * count + end)
        if refused:
            with pytest.raises(UserError, match="lie over each other"):
                members(path)
        else:
            assert members(path)[0].read() == data


def test_a_directory_of_millions_is_refused_before_it_is_taken_in(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_DIRECTORY", 70_000)
    path = write_zip(tmp_path / "many.zip", [(f"{n:060}.txt", b"") for n in range(1000)])
    with pytest.raises(UserError, match="directory is too large"):
        members(path)


def test_methods_that_cannot_be_inflated_in_pieces_are_not_inflated(tmp_path):
    path = write_zip(tmp_path / "z.zip", [("a.png", bytes(10 * 2**20))], zipfile.ZIP_BZIP2)
    with pytest.raises(ImageError, match="method 12; zip it again with the usual deflate"):
        members(path)[0].read()


def test_no_damage_ends_in_anything_but_a_message(tmp_path):
    """Bytes changed at random, in headers and data alike."""
    full = write_zip(tmp_path / "z.zip", [(f"{n}.jpg", photograph(n)) for n in range(3)]).read_bytes()
    path, chance, refused = tmp_path / "damaged.zip", random.Random(0), 0
    for _ in range(600):
        data = bytearray(full)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data[: chance.randint(1, len(data))] if chance.random() < 0.1 else data)
        try:
            for member in members(path):
                member.read()
        except UserError as error:
            refused += 1
            assert "\n" not in str(error) and str(tmp_path) not in str(error)
    assert refused > 200


def test_a_zip_on_the_command_line_is_its_images(tmp_path):
    path = write_zip(tmp_path / "Photos.ZIP", [("b/x.jpg", photograph(1)), ("a.jpg", photograph(2)), ("c.txt", b"")])
    inputs = list(expand([str(path)]))
    assert [item.name for item in inputs] == [f"{path}/a.jpg", f"{path}/b/x.jpg"]
    assert [item.read() for item in inputs] == [photograph(2), photograph(1)]
    (tmp_path / "no.zip").write_text("words")
    write_zip(tmp_path / "empty.zip", [("c.txt", b""), ("inner.zip", b"")])
    names = ["no.zip", "empty.zip", "missing.zip"]
    errors = []
    for item in expand([str(tmp_path / name) for name in names]):
        if item.error:
            with pytest.raises(ImageError):
                item.read()
        errors.append(item.error)
    assert "not a zip" in errors[0] and "no images in this zip, but 2 other files" in errors[1] and errors[2] is None
