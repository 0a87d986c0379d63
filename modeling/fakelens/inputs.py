"""What a person names on the command line -> images: files, folders, web addresses, a list on standard input."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx

from fakelens.data.decode import MAX_BYTES, ImageError
from fakelens.data.sources import IMAGE_SUFFIXES

TIMEOUT = 20.0  # seconds, for each step of a request


@dataclass(frozen=True)
class Input:
    """One image to judge.

    Attributes:
        name: The path or address as it is shown.
        error: Why there is nothing to read, None if there is.
    """

    name: str
    error: str | None = None

    def read(self) -> Path | bytes:
        """Return what `decode_image` takes: a path, or a download's bytes.

        Raises:
            ImageError: If an address cannot be fetched.
        """
        return fetch(self.name) if is_url(self.name) else Path(self.name)


def is_url(name: str) -> bool:
    """Tell whether a name is a web address."""
    return name.lower().startswith(("http://", "https://"))


def expand(names: Iterable[str]) -> Iterator[Input]:
    """Walk folders (hidden files and folders left out), in order of names; pass files and addresses on as they are."""
    for name in names:
        path = Path(name).expanduser()
        if is_url(name) or not path.is_dir():
            yield Input(name if is_url(name) else str(path))
            continue
        found = (p for p in sorted(path.rglob("*")) if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
        files = [p for p in found if not any(part.startswith(".") for part in p.relative_to(path).parts)]
        yield from (Input(str(p)) for p in files)
        if not files:
            yield Input(name, f"no images in this folder; looked for {', '.join(sorted(IMAGE_SUFFIXES))}")


def fetch(url: str) -> bytes:
    """Download an image.

    Raises:
        ImageError: If the address does not answer, answers with an error, or sends more than an image should have.
    """
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=TIMEOUT) as response:
            response.raise_for_status()
            data = bytearray()
            for part in response.iter_bytes():
                data += part
                if len(data) > MAX_BYTES:
                    raise ImageError("too large", f"the download passed {MAX_BYTES // 2**20} MiB")
    except httpx.HTTPStatusError as error:
        raise ImageError("download failed", f"the server answered {error.response.status_code}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ImageError("download failed", str(error) or type(error).__name__) from None
    return bytes(data)
