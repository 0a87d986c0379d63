"""A web address -> the bytes behind it: never more than an image has, and where asked from the public internet alone.

`public_only` is for servers, where the address comes from a stranger and the server's own network must stay out of
reach. A name is resolved once and the connection goes to the very addresses that were checked, so that a name which
resolves differently the next time gains nothing; redirects are followed by hand and each is checked again.
"""

import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import httpcore2 as httpcore
import httpx2 as httpx

from fakelens.data.decode import MAX_BYTES, ImageError

TIMEOUT = 20.0  # seconds, for each step of a request
DEADLINE = 60.0  # seconds, for all of it with `public_only`: an answer that drips must not hold a worker
MAX_REDIRECTS = 5
PORTS = (80, 443)  # what `public_only` leaves: other ports are seldom images, and often somebody's service
# One at most: several, one in the other, multiply what they inflate to.
ENCODINGS = ("", "identity", "gzip", "deflate")

# Ranges that Python 3.11 calls global, or that lead elsewhere than to one machine on the internet.
NOT_GLOBAL = [
    ip_network(network)
    for network in (
        "168.63.129.16/32",  # a cloud's own service for its machines, at a public-looking address
        "192.0.0.0/24",  # IETF protocol assignments
        "192.88.99.0/24",  # relays of 6to4
        "2001::/23",  # IETF protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
]
GLOBAL_UNICAST = ip_network("2000::/3")  # all that has been given out of IPv6
NAT64 = ip_network("64:ff9b::/96")  # an IPv4 address in its last 32 bits

Address = IPv4Address | IPv6Address


def fetch(url: str, public_only: bool = False) -> bytes:
    """Download an image.

    Args:
        url: An `http://` or `https://` address.
        public_only: Refuse whatever is not on the public internet, also after redirects, other ports than 80 and 443,
            and names or passwords in the address; leave proxies alone; end after 60 seconds whatever comes.

    Returns:
        The body, at most 200 MiB.

    Raises:
        ImageError: If the address is refused, does not answer, answers with an error, or sends more than an image
            should have.
    """
    try:
        with _client(public_only) as client:
            request = client.build_request("GET", url)
            for _ in range(MAX_REDIRECTS + 1):
                if public_only:
                    _check_url(request.url)
                response = client.send(request, stream=True)
                try:
                    if response.next_request is None:
                        return _body(response)
                    request = response.next_request
                finally:
                    response.close()  # the body of a redirect is never read
    except httpx.HTTPStatusError as error:
        raise ImageError("download failed", f"the server answered {error.response.status_code}") from None
    except httpcore.TimeoutException:
        raise ImageError("download failed", "the server was too slow") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpcore.NetworkError, httpcore.ProtocolError, UnicodeError) as error:
        raise ImageError("download failed", " ".join(str(error).split()) or type(error).__name__) from None
    raise ImageError("download failed", f"more than {MAX_REDIRECTS} redirects")


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to a machine on the public internet.

    An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) is scored itself.

    Args:
        address: As it was resolved.
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in GLOBAL_UNICAST:
            return False
    listed = any(address in network for network in NOT_GLOBAL if network.version == address.version)
    return address.is_global and not (listed or address.is_multicast or address.is_reserved)


def public_addresses(host: str, port: int) -> list[str]:
    """Resolve a host, and return its addresses if every one of them is public.

    Args:
        host: A name, or an address in any spelling that the system takes (`127.1`, `0x7f000001`).
        port: The port to connect to.

    Raises:
        ImageError: If there is none, or one of them is not public.
    """
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):  # the latter from a label that no name may have
        found = []
    if not found or not all(is_public(ip_address(address)) for address in found):
        # The same words for a private address and for no such name: nobody learns which names there are inside.
        raise ImageError("address refused", "it does not lead to the public internet")
    return found


class DeadlineStream(httpcore.NetworkStream):
    """A connection on which no step outlasts a moment in time.

    Args:
        stream: The connection.
        deadline: On `time.monotonic`'s clock, in seconds.
    """

    def __init__(self, stream: httpcore.NetworkStream, deadline: float):
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read as the connection does."""
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write as the connection does."""
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Encrypt the connection; the certificate is checked against the name in the address."""
        encrypted = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return DeadlineStream(encrypted, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """Tell what the connection tells of itself."""
        return self._stream.get_extra_info(info)


class PublicBackend(httpcore.NetworkBackend):
    """Connects to the addresses that were checked, and to nothing else.

    Args:
        deadline: When all has to be done, on `time.monotonic`'s clock, in seconds.
    """

    def __init__(self, deadline: float):
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve, check, and connect to the first address that answers."""
        *others, last = public_addresses(host, port)
        for address in others:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return self._connect(address, port)
        return self._connect(last, port)

    def _connect(self, address: str, port: int) -> httpcore.NetworkStream:
        return DeadlineStream(self._sockets.connect_tcp(address, port, _left(self._deadline)), self._deadline)


class PublicTransport(httpx.BaseTransport):
    """What carries requests to the public internet alone.

    Args:
        deadline: When all has to be done, on `time.monotonic`'s clock, in seconds.
    """

    def __init__(self, deadline: float):
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(), network_backend=PublicBackend(deadline)
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response, whose body is still to be read."""
        url = request.url
        response = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                extensions=request.extensions,
            )
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    """A response's body as it comes."""

    def __init__(self, response: httpcore.Response):
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


def _client(public_only: bool) -> httpx.Client:
    headers = {"Accept-Encoding": "identity"}  # images are compressed already
    if not public_only:
        return httpx.Client(timeout=TIMEOUT, headers=headers)
    transport = PublicTransport(time.monotonic() + DEADLINE)
    return httpx.Client(timeout=TIMEOUT, headers=headers, transport=transport, trust_env=False)


def _check_url(url: httpx.URL) -> None:
    """Refuse what no public image's address has."""
    if url.scheme not in ("http", "https") or not url.host:
        raise ImageError("address refused", "only http:// and https:// addresses are fetched")
    if url.userinfo:
        raise ImageError("address refused", "it holds a name or a password")
    if url.port is not None and url.port not in PORTS:
        raise ImageError("address refused", f"only the ports {' and '.join(map(str, PORTS))} are asked")


def _body(response: httpx.Response) -> bytes:
    """Read a response's body, decompressed, as far as an image may go."""
    response.raise_for_status()
    too_large = ImageError("too large", f"the download passed {MAX_BYTES // 2**20} MiB")
    if int(response.headers.get("Content-Length", 0)) > MAX_BYTES:
        raise too_large
    if response.headers.get("Content-Encoding", "").strip().lower() not in ENCODINGS:
        raise ImageError("download failed", "the server sent it in an encoding that it was not asked for")
    data = bytearray()
    for part in response.iter_bytes():  # decompressed in pieces of at most 1 MiB
        data += part
        if len(data) > MAX_BYTES:
            raise too_large
    return bytes(data)


def _left(deadline: float) -> float:
    """Return how long the next step may take, in seconds."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the deadline has passed")
    return min(TIMEOUT, left)
