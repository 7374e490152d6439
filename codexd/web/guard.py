"""Who may use the HTTP side: programs on this machine, but not web pages in its browsers.

A web page can send requests to loopback, and a host name that it controls can resolve to 127.0.0.1 (DNS rebinding). It
can't make a browser forge ``Host``, ``Origin`` or ``Sec-Fetch-Site``. The user can let in a name or an origin with
``server.allowed_hosts`` and ``server.allowed_origins``, and only to the routes that clients need.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from codexd.errors import Forbidden, KeyRejected
from codexd.settings.schema import ServerSettings, is_loopback

_ALLOWED_SITES = ("same-origin", "none")
"""``none``: the user entered the address."""

_FOR_PAGES = ("/v1/",)
_FOR_HOSTS = ("/v1/", "/backend-api/", "/health", "/api/hello")
"""The routes that an allowed origin, or an allowed host name, opens: never those that manage codexd."""


def check_origin(path: str, headers: Mapping[str, str], server: ServerSettings) -> None:
    """Allow programs, codexd's own pages, and what the user has allowed.

    Raises:
        Forbidden: names the header, and the setting that would let it in.
    """
    host = headers.get("host", "")
    _check_host(path, host, server)
    if find_allowed_origin(path, headers, server) is not None:
        return
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{host}".lower():
        remedy = (
            "the page was opened from a file, or has no origin of its own; serve it from an address that you can add to"
            if origin == "null"
            else "to let them in, add it to"
        )
        raise Forbidden(
            f"requests from the origin {origin!r} are not answered; {remedy} the setting server.allowed_origins"
        )
    site = headers.get("sec-fetch-site", "none")
    if site not in _ALLOWED_SITES:
        raise Forbidden(
            f"requests from other sites (Sec-Fetch-Site: {site}) are not answered, unless their Origin is in the "
            "setting server.allowed_origins"
        )


def _check_host(path: str, host: str, server: ServerSettings) -> None:
    name = _host_name(host)
    if not is_loopback(server.host) or is_loopback(name):
        return
    if name and path.startswith(_FOR_HOSTS) and name in {_host_name(allowed) for allowed in server.allowed_hosts}:
        return
    raise Forbidden(
        f"Host {host!r} is not a name of this machine's loopback; use http://127.0.0.1, or add the name to the setting "
        "server.allowed_hosts"
    )


def find_allowed_origin(path: str, headers: Mapping[str, str], server: ServerSettings) -> str | None:
    """The origin of a request that ``server.allowed_origins`` lets in, as the browser wrote it."""
    origin = headers.get("origin")
    if origin is None or not path.startswith(_FOR_PAGES):
        return None
    return origin if origin.lower() in {allowed.lower() for allowed in server.allowed_origins} else None


# -- CORS, for allowed origins: https://fetch.spec.whatwg.org/#http-cors-protocol ---------------------

_EXPOSED = "request-id, x-request-id, codexd-losses, retry-after, x-should-retry"
PREFLIGHT_S = 600
"""How long a browser may remember the answer to a preflight."""


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser asks if it may send the real request; it asks without the key."""
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def make_cors_headers(origin: str) -> dict[str, str]:
    """What lets the page of an allowed ``origin`` read an answer."""
    return {"access-control-allow-origin": origin, "access-control-expose-headers": _EXPOSED, "vary": "origin"}


def make_preflight_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What lets a page send the request that ``headers`` ask for."""
    wanted = headers.get("access-control-request-headers", "")
    allowed = {
        "access-control-allow-methods": "GET, POST",
        "access-control-max-age": str(PREFLIGHT_S),
    }
    if wanted:
        allowed["access-control-allow-headers"] = wanted
    if headers.get("access-control-request-private-network") == "true":
        allowed["access-control-allow-private-network"] = "true"
    return allowed


# -- the key ------------------------------------------------------------------------------------------


def check_key(headers: Mapping[str, str], server: ServerSettings) -> None:
    """Require ``server.api_key`` if it is set.

    Raises:
        KeyRejected: the request has another key, or none.
    """
    if server.api_key is None:
        return
    wanted = server.api_key.encode()
    offered = (headers.get("x-api-key", ""), _read_bearer(headers.get("authorization", "")))
    if not any(hmac.compare_digest(key.encode("utf-8", "replace"), wanted) for key in offered):
        raise KeyRejected(
            "The request does not have the key of the setting server.api_key. `codexctl claude proxy` and "
            "`codexctl codex proxy` write it into the settings of Claude Code and the Codex CLI."
        )


def _read_bearer(authorization: str) -> str:
    """The token; the name of the scheme may be written in any case (RFC 9110, section 11.1)."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _host_name(host: str) -> str:
    if "@" in host:  # a user has no place in Host (RFC 9110, section 7.2)
        return ""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
