"""Downloads against real servers on this machine.

They have no public address and no public port: where a test needs the rule to let one in, it replaces the rule for
that address alone (`PORTS`, or what `is_public` says of 127.0.0.1). Nothing else is replaced but names' resolution.
"""

import gzip
import socket
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest

from fakelens.data import web
from fakelens.data.decode import ImageError
from fakelens.data.web import fetch, is_public

ANSWER = b"the bytes of an image"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):  # noqa: N802  the name that http.server asks for
        self.server.asked.append((self.path, self.headers["Host"], self.headers["Accept-Encoding"]))
        name, _, rest = self.path.strip("/").partition("/")
        port = self.server.server_port
        if name == "image":
            self.answer(200, body=ANSWER)
        elif name == "hop":  # hop/3 goes to hop/2, and so on to the image; with 10 MiB in the body that nobody reads
            target = f"/hop/{int(rest) - 1}" if int(rest) > 1 else "/image"
            self.answer(302, [("Location", target)], bytes(10 * 2**20) if rest == "1" else b"")
        elif name == "to":
            self.answer(302, [("Location", rest.replace("PORT", str(port)))])
        elif name == "claims":
            self.answer(200, [("Content-Length", str(10**12))])
        elif name == "gzip":
            self.answer(200, [("Content-Encoding", "gzip")], gzip.compress(bytes(4 * 2**20)))
        elif name == "twice":
            self.answer(200, [("Content-Encoding", "gzip, gzip")], gzip.compress(gzip.compress(bytes(2**20))))
        elif name == "deflate":
            self.answer(200, [("Content-Encoding", "deflate")], zlib.compress(ANSWER))
        else:
            self.answer(404, body=b"secret words of an internal service")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def let_in(monkeypatch, server):
    """Take this server's port for a public one, and 127.0.0.1 (nothing else) for a public address."""
    monkeypatch.setattr(web, "PORTS", (80, 443, server.server_port))
    monkeypatch.setattr(web, "is_public", lambda address: str(address) == "127.0.0.1" or is_public(address))
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def names(monkeypatch):
    """Resolve the names in this table by it, one entry a call: the last one stays."""
    table = {}
    real = socket.getaddrinfo

    def resolve(host, port, *arguments, **options):
        if host not in table:
            return real(host, port, *arguments, **options)
        found = table[host].pop(0) if len(table[host]) > 1 else table[host][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return table


@pytest.mark.parametrize(
    ("addresses", "public"),
    [
        ("8.8.8.8 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1", True),
        ("127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.100.100.200 0.0.0.0 224.0.0.1", False),
        ("240.0.0.1 255.255.255.255 192.0.0.9 192.0.2.1 198.18.0.1 168.63.129.16 192.88.99.1", False),
        ("::1 :: fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 ff02::1 fec0::1 ::127.0.0.1 2001:db8::1 100::1", False),
        (
            "::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b:1::a00:1 2002:7f00:1:: 2002:a9fe:a9fe:: 2001::1",
            False,
        ),
    ],
)
def test_what_is_public(addresses, public):
    assert {address: is_public(ip_address(address)) for address in addresses.split()} == dict.fromkeys(
        addresses.split(), public
    )


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f000001",
        "127.1",
        "0",
        "169.254.169.254",
        "no-such-name.example",
    ],
)
def test_a_private_address_is_refused_in_every_spelling_and_never_asked(host, server, names, monkeypatch):
    names["no-such-name.example"] = [[]]  # in the same words, so that nobody learns which names there are inside
    monkeypatch.setattr(web, "PORTS", (server.server_port,))
    with pytest.raises(ImageError) as refused:
        fetch(f"http://{host}:{server.server_port}/image", public_only=True)
    assert str(refused.value) == "address refused: it does not lead to the public internet"
    assert not server.asked


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.org/a.png", "only http:// and https://"),
        ("file:///etc/passwd", "only http:// and https://"),
        ("example.org/a.png", "only http:// and https://"),
        ("http:///a.png", "only http:// and https://"),
        ("http://8.8.8.8:22/a.png", "only the ports 80 and 443"),
        ("https://user:word@example.org/a.png", "a name or a password"),
        ("http://user@example.org/a.png", "a name or a password"),
    ],
)
def test_what_no_image_has_in_its_address_is_refused(url, words):
    with pytest.raises(ImageError, match=words) as refused:
        fetch(url, public_only=True)
    assert "word@" not in str(refused.value)


def test_one_private_address_among_public_ones_is_enough(names, server, monkeypatch):
    monkeypatch.setattr(web, "PORTS", (server.server_port,))
    names["two.example"] = [["8.8.8.8", "127.0.0.1"]]
    with pytest.raises(ImageError, match="address refused"):
        fetch(f"http://two.example:{server.server_port}/image", public_only=True)
    assert not server.asked


def test_a_name_is_resolved_once_and_the_address_that_was_checked_is_asked(names, let_in, server):
    """Rebinding: a second resolution would lead elsewhere."""
    names["rebinds.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    url = f"http://rebinds.example:{server.server_port}/image"
    assert fetch(url, public_only=True) == ANSWER
    assert server.asked == [
        ("/image", f"rebinds.example:{server.server_port}", "identity")
    ]  # the name, not the address
    with pytest.raises(ImageError, match="address refused"):  # now it resolves to the other one
        fetch(url, public_only=True)


def test_the_next_address_is_tried_where_one_does_not_answer(names, let_in, server, monkeypatch):
    monkeypatch.setattr(web, "is_public", lambda address: str(address) in ("127.0.0.1", "127.0.0.9"))
    names["two.example"] = [["127.0.0.9", "127.0.0.1"]]
    assert fetch(f"http://two.example:{server.server_port}/image", public_only=True) == ANSWER


@pytest.mark.parametrize("public_only", [False, True])
def test_redirects_are_followed_so_far(let_in, server, public_only):
    assert fetch(f"{let_in}/hop/5", public_only) == ANSWER
    with pytest.raises(ImageError, match="more than 5 redirects"):
        fetch(f"{let_in}/hop/6", public_only)
    with pytest.raises(ImageError, match="download failed"):
        fetch(f"{let_in}/to/http://[::1/", public_only)


@pytest.mark.parametrize(
    "target", ["http://127.0.0.2:PORT/image", "http://localhost.:9/", "http://user@127.0.0.1:PORT/image", "file:///x"]
)
def test_a_redirect_to_where_nobody_may_go_is_refused(let_in, server, target):
    with pytest.raises(ImageError, match="address refused|download failed"):
        fetch(f"{let_in}/to/{target}", public_only=True)
    assert [path for path, _, _ in server.asked if path == "/image"] == []


def test_proxies_of_the_environment_are_not_asked(let_in, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert fetch(f"{let_in}/image", public_only=True) == ANSWER
    with pytest.raises(ImageError):  # the user's own command line keeps to them
        fetch(f"{let_in}/image")


@pytest.mark.parametrize("public_only", [False, True])
def test_sizes_are_held_to_before_and_after_decompression(let_in, monkeypatch, public_only):
    monkeypatch.setattr(web, "MAX_BYTES", 2**20)
    assert fetch(f"{let_in}/deflate", public_only) == ANSWER
    for path in ("claims", "gzip"):
        with pytest.raises(ImageError, match="too large: the download passed 1 MiB"):
            fetch(f"{let_in}/{path}", public_only)
    with pytest.raises(ImageError, match="an encoding that it was not asked for"):
        fetch(f"{let_in}/twice", public_only)


def test_errors_are_one_line_without_the_servers_words(let_in):
    with pytest.raises(ImageError) as failed:
        fetch(f"{let_in}/nothing", public_only=True)
    assert str(failed.value) == "download failed: the server answered 404"
    for url in ("http://" + "a" * 70 + ".example/", "http://[::1", "http://a b/", "", "http://127.0.0.1:9/"):
        for public_only in (False, True):
            with pytest.raises(ImageError) as failed:
                fetch(url, public_only)
            assert "\n" not in str(failed.value)


@pytest.mark.parametrize("part", ["header", "body"])
def test_an_answer_that_drips_ends_at_the_deadline(part, monkeypatch):
    """Each byte comes well within a step's own limit, so that only the deadline can end it."""
    listening = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip():
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + (b"" if part == "header" else b"\r\n"))
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"X-A: b\r\n" if part == "header" else b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    port = listening.getsockname()[1]
    monkeypatch.setattr(web, "PORTS", (port,))
    monkeypatch.setattr(web, "is_public", lambda address: str(address) == "127.0.0.1")
    monkeypatch.setattr(web, "DEADLINE", 0.5)
    try:
        with pytest.raises(ImageError, match="the server was too slow"):
            fetch(f"http://127.0.0.1:{port}/", public_only=True)
    finally:
        stop.set()
        thread.join()
        listening.close()


def test_no_server_is_asked_after_the_deadline(let_in, server, monkeypatch):
    monkeypatch.setattr(web, "DEADLINE", -1.0)
    with pytest.raises(ImageError, match="too slow"):
        fetch(f"{let_in}/image", public_only=True)
    assert not server.asked
