"""What a person names on the command line -> images: files, folders, zips, web addresses, a list on standard input."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fakelens.cli.inputs.archives import Member, members
from fakelens.data.decode import IMAGE_SUFFIXES, ImageError
from fakelens.data.web import fetch
from fakelens.errors import UserError


@dataclass(frozen=True)
class Input:
    """One image to score.

    Attributes:
        name: The path or address as it is shown.
        error: Why there is nothing to read, None if there is.
        member: Where it lies in a zip, None if it does not.
    """

    name: str
    error: str | None = None
    member: Member | None = None

    def read(self) -> Path | bytes:
        """Return what `decode_image` takes: a path, or the bytes of a download or of a zip's member.

        Raises:
            ImageError: If there is nothing to read, or it cannot be had.
        """
        if self.error is not None:
            raise ImageError(self.error)
        if self.member is not None:
            return self.member.read()
        return fetch(self.name) if is_url(self.name) else Path(self.name)


def is_url(name: str) -> bool:
    """Tell whether a name is a web address."""
    return name.lower().startswith(("http://", "https://"))


def expand(names: Iterable[str]) -> Iterator[Input]:
    """List the images of folders and zips, in order of names; pass files and addresses on as they are.

    Hidden files and folders are left out, and so are zips in a folder or in a zip.
    """
    for name in names:
        path = Path(name).expanduser()
        if is_url(name):
            yield Input(name)
        elif path.is_dir():
            yield from _folder(name, path)
        elif path.suffix.lower() == ".zip" and path.is_file():
            yield from _zip(path)
        else:
            yield Input(str(path))


def _folder(name: str, path: Path) -> Iterator[Input]:
    found = (p for p in sorted(path.rglob("*")) if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    files = [p for p in found if not any(part.startswith(".") for part in p.relative_to(path).parts)]
    yield from (Input(str(p)) for p in files)
    if not files:
        yield Input(name, f"no images in this folder; looked for {', '.join(sorted(IMAGE_SUFFIXES))}")


def _zip(path: Path) -> Iterator[Input]:
    try:
        found = members(path)
    except UserError as error:
        yield Input(str(path), str(error))
        return
    yield from (Input(f"{path}/{member.name}", member=member) for member in found)
    if not found:
        others = f"{found.left_out} other file{'s' * (found.left_out != 1)}"
        looked = ", ".join(sorted(IMAGE_SUFFIXES))
        yield Input(str(path), f"no images in this zip, but {others}; looked for {looked}")
