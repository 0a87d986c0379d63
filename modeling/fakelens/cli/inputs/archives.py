"""A zip of images -> its members, read one by one in memory; nothing is unpacked to disk, and bombs are refused.

A zip's directory says what it holds and how large each member becomes; it may lie. What it states is held against
limits before anything is inflated, and no member inflates past what it stated. Overlapping members, by which a small
file holds the same data thousands of times (Fifield, 2019, https://www.usenix.org/conference/woot19/presentation/fifield),
are refused by their offsets.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fakelens.data.decode import IMAGE_SUFFIXES, MAX_BYTES, ImageError
from fakelens.errors import UserError

MAX_MEMBERS = 1000  # images
MAX_TOTAL = 4 * 2**30  # bytes, unpacked
# Image formats are compressed already and hardly shrink; BMP and TIFF do. A bomb reaches a thousand, or millions.
MAX_RATIO = 100
ALWAYS_FINE = 16 * 2**20  # bytes, unpacked: below, no ratio does harm
# Of the directory, which is taken into memory whole: a thousand members with long names need a tenth of it.
MAX_DIRECTORY = 4 * 2**20
LOCAL_HEADER = 30  # bytes before a member's name and data
ENCRYPTED = 0x1 | 0x2000
PIECE = 2**20  # bytes inflated at a time
# Others are not inflated in pieces by the standard library, so that a few bytes could fill the memory.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DAMAGED = (zipfile.BadZipFile, struct.error, zlib.error, EOFError, OSError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Member:
    """An image in a zip.

    Attributes:
        name: Its path in the zip, fit to be shown.
        archive: The zip.
        index: Its number in the zip's directory.
    """

    name: str
    archive: Path
    index: int

    def read(self) -> bytes:
        """Return the image file's bytes.

        Raises:
            ImageError: If it is damaged, not what the zip states of it, or compressed in an unusual way.
        """
        data = bytearray()
        try:
            with _File(self.archive) as file, zipfile.ZipFile(file) as opened:
                info = opened.infolist()[self.index]
                if info.compress_type not in METHODS:
                    way_out = f"compressed by method {info.compress_type}; zip it again with the usual deflate"
                    raise ImageError("unreadable in its zip", way_out)
                with opened.open(info) as packed:
                    # In pieces: all at once, a member that lies about its size is inflated before it is cut.
                    while piece := packed.read(PIECE):
                        data += piece
        except DAMAGED as error:
            if isinstance(error, ImageError):
                raise
            raise ImageError("damaged in its zip", _words(error)) from None
        return bytes(data)


class Members(list[Member]):
    """The images of a zip, in the order of their names.

    Args:
        found: Them.
        left_out: How many other files the zip holds: not images by their names, hidden, or zips themselves.
    """

    def __init__(self, found: Iterable[Member], left_out: int):
        super().__init__(found)
        self.left_out = left_out


def members(path: Path) -> Members:
    """List the images of a zip. Folders, hidden files, what macOS adds and zips in it are left out.

    Args:
        path: The zip.

    Returns:
        Its images, in the order of their names.

    Raises:
        UserError: If it is no zip or a damaged one, holds too many images, is encrypted, or unpacks to more than it
            should.
    """
    try:
        with _File(path) as file, zipfile.ZipFile(file) as opened:
            infos = opened.infolist()
        size = path.stat().st_size
    except FileNotFoundError:
        raise UserError("no such file: check the path") from None
    except UserError:
        raise
    except DAMAGED as error:
        raise UserError(f"not a zip, or a damaged one: {_words(error)}") from None
    images = [(_shown(info.filename), index) for index, info in enumerate(infos) if _is_image(info)]
    if len(images) > MAX_MEMBERS:
        raise UserError(f"the zip holds {len(images):,} images; at most {MAX_MEMBERS:,} are taken. Split it.")
    chosen = [infos[index] for _, index in images]
    if any(info.flag_bits & ENCRYPTED for info in chosen):
        raise UserError("the zip is encrypted. Unpack it, and give the folder or a zip without a password.")
    _refuse_bombs(infos, chosen, size)
    left_out = sum(not info.is_dir() for info in infos) - len(images)
    return Members((Member(name, path, index) for name, index in sorted(images)), left_out)


class _File(io.FileIO):
    """A zip on disk that gives no directory larger than a zip of images needs; read-only."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY:
            raise UserError("the zip's directory is too large; give fewer files.")
        return super().read(MAX_DIRECTORY if size is None or size < 0 else size)


def _is_image(info: zipfile.ZipInfo) -> bool:
    parts = info.filename.replace("\\", "/").split("/")
    hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
    if info.is_dir() or hidden or "__MACOSX" in parts:
        return False
    return Path(parts[-1]).suffix.lower() in IMAGE_SUFFIXES


def _shown(name: str) -> str:
    """Return a member's name without what would steer a terminal or hide its ending."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in name)


def _refuse_bombs(infos: list[zipfile.ZipInfo], chosen: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse a zip whose directory states what no zip of images has.

    Args:
        infos: All that it holds.
        chosen: The images.
        size: Of the zip, in bytes.
    """
    bomb = "It is refused as a bomb; unpack it if you trust it, and give the folder."
    if any(info.file_size > MAX_BYTES for info in chosen):
        raise UserError(f"the zip holds an image of more than {MAX_BYTES // 2**20} MiB. {bomb}")
    total = sum(info.file_size for info in chosen)
    if total > MAX_TOTAL:
        raise UserError(f"the zip unpacks to more than {MAX_TOTAL // 2**30} GiB. Split it.")
    if total > max(ALWAYS_FINE, MAX_RATIO * size):
        raise UserError(f"the zip unpacks to more than {MAX_RATIO} times its size. {bomb}")
    spans = sorted((info.header_offset, info.header_offset + LOCAL_HEADER + info.compress_size) for info in infos)
    if any(end > start for (_, end), (start, _) in pairwise(spans)):
        raise UserError(f"the zip's members lie over each other. {bomb}")


def _words(error: Exception) -> str:
    """Return what went wrong in one line; of the system's errors without the path, which may be a server's own."""
    said = error.strerror or "unreadable" if isinstance(error, OSError) else str(error)
    return " ".join(said.split())
