"""Who may use the HTTP side: programs on this machine, but not web pages in its browsers.

A web page can send requests to loopback, and a host name that it controls can resolve to 127.0.0.1 (DNS rebinding). It
can't make a browser forge ``Host``, ``Origin`` or ``Sec-Fetch-Site``.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from codexd.errors import Forbidden, KeyRejected
from codexd.settings.schema import ServerSettings, is_loopback

_ALLOWED_SITES = ("same-origin", "none")
"""``none``: the user entered the address."""


def check_origin(headers: Mapping[str, str], server: ServerSettings) -> None:
    """Allow programs and codexd's own pages only.

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
    if site not in _ALLOWED_SITES:
        raise Forbidden(f"requests from other sites (Sec-Fetch-Site: {site}) are not answered")


def check_key(headers: Mapping[str, str], server: ServerSettings) -> None:
    """Require ``server.api_key`` if it is set.

    Raises:
        KeyRejected: the request has another key, or none.
    """
    if server.api_key is None:
        return
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    wanted = server.api_key.encode()
    offered = (headers.get("x-api-key", ""), bearer)
    if not any(hmac.compare_digest(key.encode("utf-8", "replace"), wanted) for key in offered):
        raise KeyRejected(
            "invalid x-api-key: it differs from the setting server.api_key; `codexctl claude proxy` and "
            "`codexctl codex proxy` write the key into the settings of Claude Code and the Codex CLI"
        )


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
