"""Where a client reaches codexd. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from attrs import field, frozen

from codexd.settings.schema import Settings

_USER_INFO = re.compile(r"(?<=//)[^/@]*@")

NO_KEY = "codexd"
"""The token where ``server.api_key`` asks for none: some clients want a login without one."""


@frozen
class Door:
    """codexd's address, and the token that a client shows there."""

    url: str
    token: str = field(repr=False)

    @property
    def key(self) -> str | None:
        """``server.api_key``."""
        return None if self.token == NO_KEY else self.token


def find_door(addresses: tuple[str, ...], settings: Settings) -> Door:
    """An address of all interfaces is reached at this machine's loopback."""
    parts = urlsplit(addresses[0])
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(parts.hostname or "")
    url = f"http://{host}:{parts.port}" if host else addresses[0]
    return Door(url, settings.server.api_key or NO_KEY)


def hide_user_info(text: str) -> str:
    """``text`` without the password in an address."""
    return _USER_INFO.sub("", text)
