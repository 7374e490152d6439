"""The pool of connections to providers, and the rule about when one may be used again.

The rule: **a connection that has, or may have, anything left is never used again.** Bytes that are left over from one
turn would be read as the answer to the next one. So a connection is used again only if

1. the last answer came in chunks, which say where it ends. A ``content-length`` that is too short looks like an end,
   and so does the head of a 204 with a body: their rest may arrive at any time;
2. nothing follows the last chunk, neither in what has been read nor in the socket nor inside TLS;
3. nothing has arrived for ``QUIET_S`` after the answer;
4. nothing arrives while the next request is being written. Otherwise the request, which the server can't have read
   completely, goes out on another connection.

One gap remains: a stray answer that is on its way to us while we send the last bytes of the next request.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx
import trio

QUIET_S = 0.25
"""A server that sends too much sends it right after the answer: within a round trip, even across an ocean."""

WRITE_BYTES = 64 * 1024
"""How much of a request is written between two looks at what has arrived."""


def make_transport(tls: ssl.SSLContext, limits: httpx.Limits, proxy: httpx.Proxy | None) -> httpx.AsyncHTTPTransport:
    """A transport for HTTP/1.1, directly or through ``proxy``, that keeps the rule above."""
    transport = httpx.AsyncHTTPTransport(verify=tls, trust_env=False)
    transport._pool = _Pool(  # noqa: SLF001 - httpx has no parameter for it
        ssl_context=tls,
        proxy=_to_httpcore(proxy) if proxy is not None else None,
        max_connections=limits.max_connections,
        max_keepalive_connections=limits.max_keepalive_connections,
        keepalive_expiry=limits.keepalive_expiry,
        network_backend=_Network(),
    )
    return transport


def _to_httpcore(proxy: httpx.Proxy) -> httpcore.Proxy:
    url = proxy.url
    return httpcore.Proxy(
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        auth=proxy.raw_auth,
        headers=proxy.headers.raw,
        ssl_context=proxy.ssl_context,
    )


class _Pool(httpcore.AsyncConnectionPool):
    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        return _Connection(super().create_connection(origin))


class _Connection(httpcore.AsyncConnectionInterface):
    """Decides between two requests: rules 1 to 3.

    The pool asks ``has_expired`` of every connection each time before it chooses one that ``is_available``.
    """

    def __init__(self, inner: httpcore.AsyncConnectionInterface) -> None:
        self._inner = inner
        self._says_its_end = False
        """Whether the last answer did."""
        self._idle_since: float | None = None

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        response = await self._inner.handle_async_request(request)
        self._says_its_end = _says_its_end(response)
        self._idle_since = None
        return response

    def has_expired(self) -> bool:
        if self._inner.has_expired():
            return True
        if not self._inner.is_idle() or self._inner.is_closed():
            return False
        if self._idle_since is None:
            self._idle_since = trio.current_time()
        return not (self._says_its_end and _is_drained(self._inner))

    def is_available(self) -> bool:
        is_quiet = self._idle_since is not None and trio.current_time() >= self._idle_since + QUIET_S
        return is_quiet and self._inner.is_available()

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        return self._inner.can_handle_request(origin)

    def is_idle(self) -> bool:
        return self._inner.is_idle()

    def is_closed(self) -> bool:
        return self._inner.is_closed()

    def info(self) -> str:
        return self._inner.info()

    async def aclose(self) -> None:
        await self._inner.aclose()


def _says_its_end(response: httpcore.Response) -> bool:
    headers = {name.lower(): value.strip().lower() for name, value in response.headers}
    return headers.get(b"transfer-encoding") == b"chunked" and b"content-length" not in headers


def _is_drained(connection: httpcore.AsyncConnectionInterface) -> bool:
    """Whether the parser has nothing left. False if a new httpcore keeps its private parser elsewhere."""
    found: Any = connection
    while (inner := getattr(found, "_connection", None)) is not None:  # a proxy's connection holds another one
        found = inner
    parser = getattr(found, "_h11_state", None)
    return parser is not None and not parser.trailing_data[0]


class _Network(httpcore.TrioBackend):
    async def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        return _Stream(await super().connect_tcp(*args, **kwargs))


class _Stream(httpcore.AsyncNetworkStream):
    """Looks before it writes: rule 4. ``below`` is the stream that carries this one's TLS."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, below: _Stream | None = None) -> None:
        self._inner = inner
        self._below = below
        self._has_answered = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's interface
        self._has_answered = True
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's interface
        """Write ``buffer``.

        Raises:
            httpcore.ConnectionNotAvailable: something arrived that nobody has asked for. The pool then takes another
                connection.
        """
        for piece in _cut(buffer) if self._has_answered else (buffer,):
            if self._has_answered and self.is_readable():
                raise httpcore.ConnectionNotAvailable
            await self._inner.write(piece, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout), below=self)

    def get_extra_info(self, info: str) -> Any:
        return self.is_readable() if info == "is_readable" else self._inner.get_extra_info(info)

    def is_readable(self) -> bool:
        """Whether there is something to read, or the end. It may be consumed: the connection is closed then."""
        if self._below is None:
            return bool(self._inner.get_extra_info("is_readable"))
        try:
            self._inner.get_extra_info("ssl_object").read(1)
        except ssl.SSLWantReadError:
            return self._below.is_readable()
        except ssl.SSLError:
            pass
        return True


def _cut(buffer: bytes) -> Iterable[bytes]:
    return (buffer[start : start + WRITE_BYTES] for start in range(0, len(buffer), WRITE_BYTES))
