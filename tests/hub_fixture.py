"""A small Hub: a real HTTP server that speaks the routes which huggingface_hub and transformers use.

It checks what it is sent as the Hub does: names, tokens and permissions, the card's metadata, `.eval_results`, the
SHA-256 and size of LFS objects, the parent of a commit. A commit happens whole or not at all; every revision stays.

    with hub() as server:
        subprocess.run([...], env=os.environ | server.env)
        server.repo("user/name").files()

The environment has to be set before huggingface_hub is imported: run what is tested in a process of its own.
"""

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.local_hub.routes import answer
from tests.local_hub.state import READER, WRITER, Hub, Request

__all__ = ["READER", "WRITER", "Hub", "hub"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        headers = {key.lower(): value for key, value in self.headers.items()}
        request = Request(self.command, parts.path, query, headers, self._body())
        with self.hub.lock:
            reply = answer(self.hub, request)
        if reply is None:
            self.close_connection = True
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        kind = "application/octet-stream" if isinstance(reply.body, bytes) else "application/json"
        with suppress(ConnectionError):  # whoever asked may have been killed
            self.send_response(reply.status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_GET(self) -> None:
        self._handle()

    def do_HEAD(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet; `Hub.requests` has it all."""


@contextmanager
def hub() -> Iterator[Hub]:
    """Start a Hub on a free port of this machine, and stop it in the end."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    with tempfile.TemporaryDirectory() as home:
        handler.hub = Hub(f"http://127.0.0.1:{server.server_port}", home)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield handler.hub
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
