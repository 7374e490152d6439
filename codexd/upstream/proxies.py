"""The proxies that the environment names, for requests to a provider or the sign-in server.

``HTTPS_PROXY``, ``HTTP_PROXY`` and ``ALL_PROXY`` name them, ``NO_PROXY`` the hosts that are reached without one; the
lower-case names win, as in curl. httpx reads the same variables, but it fails on values that other programs accept
(``NO_PROXY=[::1]``) without naming the variable, and does not tell which proxy a failed request went through.
"""

from __future__ import annotations

import re
import sys
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Self, TypeAlias

import httpx
from attrs import Factory, define, field, frozen
from socksio import SOCKSError

from codexd.errors import SettingInvalid
from codexd.upstream.connection import FAILURE, PROXY, describe

SCHEMES = ("https", "http", "all")
DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""By the scheme of a proxy's own address: those that httpx supports."""

MAX_PORT = 65535

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_EXCEPTION = re.compile(r"(?:[a-z]+://)?(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^\[\]:]+))(?::(?P<port>\d+))?")

IpNetwork: TypeAlias = IPv4Network | IPv6Network


@frozen
class Proxy:
    """``url`` may contain a password. ``source`` is the variable that names it."""

    url: httpx.URL = field(repr=False)
    source: str

    def __str__(self) -> str:
        """For errors: the address, without user and password."""
        host = f"[{self.url.host}]" if ":" in self.url.host else self.url.host
        return f"{host}:{self.url.port or DEFAULT_PORTS[self.url.scheme]} ({self.source})"


@frozen
class _Exception:
    """An entry of ``NO_PROXY``: a network, or a domain with everything below it, on one port or on all."""

    network: IpNetwork | None
    domain: str
    port: int | None

    def covers(self, url: httpx.URL, address: IPv4Address | IPv6Address | None) -> bool:
        if self.port not in (None, url.port):
            return False
        if address is not None and self.network is not None:
            return address in self.network
        return url.host == self.domain or url.host.endswith(f".{self.domain}")


@frozen
class Proxies:
    """``by_scheme``: the proxy for the URLs of a scheme, or for ``all``."""

    by_scheme: Mapping[str, Proxy] = Factory(dict)
    exceptions: tuple[_Exception, ...] = ()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """The proxies that ``environ`` names; on macOS, if it names none, those of the system.

        Raises:
            SettingInvalid: names the variable whose value is not a proxy.
        """
        excepted = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        if "*" in (entry.strip() for entry in excepted.split(",")):
            return cls()
        return cls(dict(_read_proxies(environ)), tuple(_read_exceptions(excepted)))

    def find(self, url: httpx.URL) -> Proxy | None:
        """The proxy for ``url``. A loopback address is always reached without one."""
        proxy = self.by_scheme.get(url.scheme) or self.by_scheme.get("all")
        if proxy is None:
            return None
        address = None
        with suppress(ValueError):
            address = ip_address(url.host)
        if url.host == "localhost" or (address is not None and address.is_loopback):
            return None
        return None if any(each.covers(url, address) for each in self.exceptions) else proxy


def _read_proxies(environ: Mapping[str, str]) -> Iterator[tuple[str, Proxy]]:
    """The last one of a scheme wins."""
    names = [(scheme, name) for scheme in SCHEMES for name in (f"{scheme}_PROXY".upper(), f"{scheme}_proxy")]
    found = [(scheme, name, environ[name].strip()) for scheme, name in names if environ.get(name, "").strip()]
    if not found and sys.platform == "darwin":
        system = urllib.request.getproxies()
        found = [(scheme, "the system's settings", system[scheme]) for scheme in SCHEMES if scheme in system]
    for scheme, name, value in found:
        yield scheme, Proxy(_parse_proxy(name, value), name)


def _parse_proxy(name: str, value: str) -> httpx.URL:
    try:
        url = httpx.URL(value if "://" in value else f"http://{value}")
    except (httpx.InvalidURL, ValueError):
        url = None
    if (
        url is None
        or url.scheme not in DEFAULT_PORTS
        or not _HOST.fullmatch(url.raw_host.decode())
        or (url.port or 1) > MAX_PORT
    ):
        shown = "" if "@" in value else f" = {value!r}"  # it may contain a password
        raise SettingInvalid(
            f"{name}{shown} (environment): not the address of a proxy. Write it like http://host:8080 or "
            f"socks5://host:1080 (allowed: {', '.join(f'{scheme}://' for scheme in DEFAULT_PORTS)}), or unset it."
        )
    return url


def _read_exceptions(text: str) -> Iterator[_Exception]:
    """The entries of ``NO_PROXY``. One that can't be read matches nothing, as in curl."""
    for entry in re.split(r"[\s,]+", text.lower()):
        parts = _EXCEPTION.fullmatch(entry)
        host = (parts["v6"] or parts["host"]) if parts else entry
        port = int(parts["port"]) if parts and parts["port"] else None
        network = None
        with suppress(ValueError):
            network = ip_network(host, strict=False)
        domain = host.removeprefix("*").strip(".")
        if network is not None or domain:
            yield _Exception(network, domain, port)


class ProxiedTransport(httpx.AsyncBaseTransport):
    """Sends each request directly or through its proxy. ``connect`` makes the transport for a proxy, or for none."""

    def __init__(self, proxies: Proxies, connect: Callable[[Proxy | None], httpx.AsyncBaseTransport]) -> None:
        self._proxies = proxies
        self._transports = {proxy: connect(proxy) for proxy in (None, *proxies.by_scheme.values())}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._send(request)
        except httpx.HTTPError as error:
            request.extensions[FAILURE] = describe(error)
            raise

    async def _send(self, request: httpx.Request) -> httpx.Response:
        proxy = self._proxies.find(request.url)
        if proxy is not None:
            request.extensions[PROXY] = str(proxy)
            if trace := request.extensions.get("trace"):
                request.extensions["trace"] = _Trace(trace, tunnels=request.url.scheme == "https")
        try:
            response = await self._transports[proxy].handle_async_request(request)
        except SOCKSError as error:  # httpx lets it through
            raise httpx.ProxyError(f"it does not speak SOCKS 5 ({error})", request=request) from None
        if proxy is not None and response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
            await response.aclose()
            raise httpx.ProxyError("407 Proxy Authentication Required", request=request)
        return response

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()


@define
class _Trace:
    """Passes the steps of a request on to ``trace`` as if there were no proxy: those of the way to it are left out.

    ``tunnels``: whether a CONNECT comes before the request. Source: https://www.encode.io/httpcore/extensions/.
    """

    trace: Callable[[str, Any], Awaitable[None]]
    tunnels: bool
    is_at_proxy: bool = False

    async def __call__(self, event: str, info: Any) -> None:
        part, _, step = event.partition(".")
        if step == "send_request_headers.started":
            self.is_at_proxy = info["request"].method == b"CONNECT"
        if part in ("proxy", "socks"):
            await self.trace(f"connection.{step}", info)
        elif not self.is_at_proxy and not (self.tunnels and part == "connection"):
            await self.trace(event, info)
