"""The route that takes uploads, in place of Gradio's: each file under a path of its own, and none too large.

Gradio's route names a file's folder after its content, so that two people with the same image would share one file,
and the first to be answered would delete it for both. This one stands before it in the server's list of routes, at
the same address, and answers likewise: with the list of paths.
"""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator
from email.message import Message
from io import BufferedWriter
from pathlib import Path

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from server.temporary import upload_folder
from server.uploads import MAX_UPLOAD

API = "/gradio_api"
FILES = 256  # of one request
HEADER = 8192  # bytes of one part's header
NAME = 60  # characters of a file's name that are kept: of any script, they fit into 255 bytes
LOOK = 0.1  # seconds between two looks at how far an upload is
PATIENCE = 3.0  # seconds that a page may ask for an upload before it has begun


class RefusedError(Exception):
    """A form that is not taken.

    Args:
        message: Why, for the sender.
        status: Of HTTP.
    """

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


class Form:
    """Writes the files of one form into the folder of uploads as its bytes come in.

    Args:
        boundary: What divides the form's parts.
        arrived: Told of each piece of a file: its name and the number of bytes.
    """

    def __init__(self, boundary: bytes, arrived: list[tuple[str, int]]):
        self.paths: list[Path] = []
        self._arrived = arrived
        self._header, self._field, self._value = Message(), b"", b""
        self._file: BufferedWriter | None = None
        self._size = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._name_of_header,
                "on_header_value": self._value_of_header,
                "on_header_end": self._end_of_header,
                "on_headers_finished": self._open,
                "on_part_data": self._write,
                "on_part_end": self._close,
            },
        )

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the form.

        Args:
            data: At least one byte.

        Raises:
            RefusedError: If they are no form, or too much.
        """
        try:
            self._parser.write(data)
        except FormParserError:
            raise RefusedError("This is no multipart form.") from None
        except OSError as error:
            raise RefusedError(f"This server has no room for the file: {error.strerror}.", 507) from None

    def end(self) -> None:
        """Take note that the form has ended.

        Raises:
            RefusedError: If it broke off within a file.
        """
        if self._file is not None:
            raise RefusedError("The upload broke off.")

    def discard(self) -> None:
        """Delete what was written."""
        self._close()
        for path in self.paths:
            path.unlink(missing_ok=True)
            path.parent.rmdir()

    def _begin(self) -> None:
        self._header, self._field, self._value = Message(), b"", b""

    def _name_of_header(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._check_header()

    def _value_of_header(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check_header()

    def _check_header(self) -> None:
        if len(self._field) + len(self._value) > HEADER:
            raise RefusedError("A part's header is too long.")

    def _end_of_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._header["content-disposition"] = self._value.decode("utf-8", "replace")
        self._field, self._value = b"", b""

    def _open(self) -> None:
        # Other fields than `files` are read and dropped.
        if self._header.get_param("name", header="content-disposition") != "files":
            return
        if len(self.paths) == FILES:
            raise RefusedError(f"At most {FILES} files are taken at once.", 413)
        folder = upload_folder() / secrets.token_hex(16)
        folder.mkdir(parents=True)
        self.paths.append(folder / safe_name(self._header.get_filename() or ""))
        self._file, self._size = self.paths[-1].open("wb"), 0

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            return
        self._size += end - start
        if self._size > MAX_UPLOAD:
            raise RefusedError(f"This file is too large; at most {MAX_UPLOAD >> 20} MiB are taken.", 413)
        self._file.write(memoryview(data)[start:end])
        self._arrived.append((self.paths[-1].name, end - start))

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


class Uploads:
    """The routes for uploads, and how far each upload is that a page watches."""

    def __init__(self) -> None:
        self._watched: dict[str, list[tuple[str, int]]] = {}

    def routes(self) -> list[Route]:
        """Return the routes to add to the server."""
        return [
            Route(f"{API}/upload", self.receive, methods=["POST"]),
            Route(f"{API}/upload_progress", self.progress, methods=["GET"]),
        ]

    async def receive(self, request: Request) -> Response:
        """Store a form's files, and answer with the list of their paths."""
        arrived: list[tuple[str, int]] = []
        watch = request.query_params.get("upload_id")
        if watch:
            self._watched[watch] = arrived
        try:
            return await self._stored(request, arrived, is_watched=bool(watch))
        except RefusedError as error:
            return PlainTextResponse(str(error), error.status)
        except ClientDisconnect:
            return PlainTextResponse("", 400)  # which nobody reads
        finally:
            self._watched.pop(watch or "", None)

    async def _stored(self, request: Request, arrived: list[tuple[str, int]], is_watched: bool) -> Response:
        form = Form(boundary(request), arrived)
        try:
            async for data in request.stream():
                if data:
                    form.feed(data)
                if not is_watched:
                    arrived.clear()
            form.end()
        except BaseException:  # whatever it was, nobody will ask for these files
            form.discard()
            raise
        return JSONResponse([str(path) for path in form.paths])

    async def progress(self, request: Request) -> Response:
        """Tell how far an upload is, as the server-sent events that Gradio's list of files draws its bar from."""
        watch = request.query_params.get("upload_id", "")
        for _ in range(int(PATIENCE / LOOK)):
            if watch in self._watched:
                return StreamingResponse(self._told(watch), media_type="text/event-stream")
            await asyncio.sleep(LOOK)
        return StreamingResponse(iter([_event(msg="done")]), media_type="text/event-stream")

    async def _told(self, watch: str) -> AsyncIterator[str]:
        while (arrived := self._watched.get(watch)) is not None:
            pieces: dict[str, int] = {}
            for name, size in arrived:
                pieces[name] = pieces.get(name, 0) + size
            arrived.clear()
            for name, size in pieces.items():
                yield _event(msg="update", orig_name=name, chunk_size=size)
            await asyncio.sleep(LOOK)
        yield _event(msg="done")


def boundary(request: Request) -> bytes:
    """Return what divides a form's parts.

    Args:
        request: Of an upload.

    Raises:
        RefusedError: If it is no multipart form.
    """
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    found = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or not found:
        raise RefusedError("Send files as multipart/form-data.")
    return found.encode("latin-1", "replace")


def safe_name(name: str) -> str:
    """Return a file's name as it is stored: letters, digits, spaces, dashes, dots within; never a path.

    Args:
        name: What its sender calls it.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    return re.sub(r"[^\w\-. ]", "_", last)[-NAME:].strip(" .") or "file"


def _event(**message: str | int) -> str:
    return f"data: {json.dumps(message)}\n\n"
