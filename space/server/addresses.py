"""Images that a client names by their addresses: fetched here, before Gradio's own download, which knows no limit.

A client may put an address where the path of an upload belongs (`{"path": "https://…", "meta": …}`); assistants do so
over MCP. This middleware fetches it as `/classify_url` does, from the public internet alone and up to the same size,
and Gradio sees the path of an upload.
"""

import json
import secrets
from typing import Any

import anyio.to_thread
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fakelens.data.decode import ImageError
from fakelens.data.web import fetch
from server.temporary import upload_folder
from server.upload_route import API

MAX_BODY = 8 * 2**20  # bytes of a call, whose files were uploaded before
FETCHED = 8  # addresses in one call
ELSEWHERE = (f"{API}/upload", f"{API}/mcp")  # MCP's calls come back through here as ordinary ones


class FetchAddresses:
    """ASGI middleware that puts an upload's path where a call names an image by its address.

    Args:
        app: What answers then.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        is_call = scope["type"] == "http" and scope["method"] == "POST" and f"{API}/" in path
        if not is_call or any(one in path for one in ELSEWHERE):
            await self.app(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            await JSONResponse({"detail": "This call is too large."}, 413)(scope, receive, send)
            return
        try:
            body = await with_fetched(body)
        except ImageError as error:
            detail = f"This address cannot be read: {error}"
            await JSONResponse({"detail": detail}, 400)(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        scope = {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}
        await self.app(scope, _replayed(body, receive), send)


async def with_fetched(body: bytes) -> bytes:
    """Return a call's body with each image fetched that it names by an address; as it is if there is none.

    Args:
        body: JSON, or whatever somebody sent.

    Raises:
        ImageError: If an address cannot be read, is private, or there are too many.
    """
    try:
        call = json.loads(body)
    except (ValueError, RecursionError):  # Gradio's to refuse
        return body
    found = _addressed(call)
    if len(found) > FETCHED:
        raise ImageError(f"{len(found)} addresses in one call; at most {FETCHED} are fetched")
    for image in found:
        data = await anyio.to_thread.run_sync(fetch, image["path"], True)
        file = upload_folder() / secrets.token_hex(16) / "download"
        file.parent.mkdir(parents=True)
        file.write_bytes(data)
        image.setdefault("orig_name", image["path"])
        image["path"] = str(file)
    return json.dumps(call).encode() if found else body


def _addressed(value: Any) -> list[dict[str, Any]]:
    """Return the dictionaries within JSON whose `path` is an address, however deep."""
    found, waiting = [], [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            path = one.get("path")
            if isinstance(path, str) and path.lower().startswith(("http://", "https://")):
                found.append(one)
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return found


async def _body(receive: Receive) -> bytes | None:
    """Return a request's body; None if it is too large."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            return None
    return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read once more, and then what comes after it."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay
