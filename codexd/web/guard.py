"""Who may talk to the HTTP side: programs of this machine, not web pages in its browser.

A page that a user visits can send requests to loopback, and a name that it controls can resolve to
127.0.0.1 (DNS rebinding). Browsers cannot forge ``Host``, ``Origin`` and ``Sec-Fetch-Site``.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from codexd.errors import Forbidden, KeyRejected
from codexd.settings.schema import ServerSettings, is_loopback

_FETCHED_BY_US = ("same-origin", "none")
"""``none``: the user typed the address."""


def check_origin(headers: Mapping[str, str], server: ServerSettings) -> None:
    """Let programs and our own pages in.

    Raises:
        Forbidden: names the header.
    """
    host = headers.get("host", "")
    if is_loopback(server.host) and not is_loopback(_host_name(host)):
        raise Forbidden(f"Host {host!r} is not a name of this machine's loopback; use http://127.0.0.1")
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{host}".lower():
        raise Forbidden(f"requests from the web page origin {origin!r} are not answered")
    site = headers.get("sec-fetch-site", "none")
    if site not in _FETCHED_BY_US:
        raise Forbidden(f"requests from other sites (Sec-Fetch-Site: {site}) are not answered")


def check_key(headers: Mapping[str, str], server: ServerSettings) -> None:
    """Ask for ``server.api_key`` where it is set.

    Raises:
        KeyRejected: the request carries another, or none.
    """
    if server.api_key is None:
        return
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    wanted = server.api_key.encode()
    offered = (headers.get("x-api-key", ""), bearer)
    if not any(hmac.compare_digest(key.encode("utf-8", "replace"), wanted) for key in offered):
        raise KeyRejected(
            "invalid x-api-key: it is not the one in the setting server.api_key; `codexctl claude proxy` and "
            "`codexctl codex proxy` write that into their clients' settings"
        )


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
