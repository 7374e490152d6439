"""``limits.json``: what is known of each account's limits, over a restart. By account id; no e-mail, no token."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import cattrs
from attrs import Factory, frozen

from codexd.accounts.files.strict import make_converter
from codexd.accounts.limits.cooldown import Cooldown
from codexd.accounts.limits.windows import Limits
from codexd.errors import FileUnreadable
from codexd.files import delete_leftovers, keep_aside, read_private, write_atomic
from codexd.translation import jsontext

log = logging.getLogger("codexd.limits")

VERSION = 1
_converter = make_converter()


@frozen
class Kept:
    """One account's part of the file."""

    limits: Limits = Factory(Limits)
    cooldowns: tuple[Cooldown, ...] = ()


@frozen
class _Content:
    version: int
    accounts: Mapping[str, Kept]


class LimitsFile:
    """The file at ``path``. Losing it costs one question to the backend, so nothing here stops the daemon."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_blocked = False
        """An unreadable file could not be moved away; it is not overwritten."""
        self._has_warned = False

    def load(self) -> Mapping[str, Kept]:
        """What the file holds; nothing when it is missing or unreadable, which is then kept aside."""
        try:
            delete_leftovers(self._path.parent, self._path.name)
            return parse_limits(read_private(self._path))
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._set_aside(error.strerror or type(error).__name__)
        except FileUnreadable as error:
            self._set_aside(str(error))
        return {}

    def write(self, data: bytes) -> bool:
        """Replace the file; whether that went well. A disk that stays full is told of once."""
        if self._is_blocked:
            return True
        try:
            write_atomic(self._path, data)
        except OSError as error:
            if not self._has_warned:
                log.warning("%s could not be written: %s", self._path, error.strerror)
            self._has_warned = True
            return False
        self._has_warned = False
        return True

    def _set_aside(self, reason: str) -> None:
        try:
            kept = keep_aside(self._path)
        except OSError:
            self._is_blocked = True
            log.warning("%s can't be read (%s) nor moved away; limits are not kept this time", self._path, reason)
        else:
            log.warning("%s can't be read (%s); kept as %s, the limits are asked for again", self._path, reason, kept)


def parse_limits(data: bytes) -> Mapping[str, Kept]:
    """What is kept, by account id.

    Raises:
        FileUnreadable: the reason only.
    """
    try:
        raw = jsontext.loads(data)
    except ValueError as error:
        raise FileUnreadable(f"it is not JSON ({error})") from None
    version: Any = raw.get("version") if isinstance(raw, dict) else None
    if version != VERSION:
        raise FileUnreadable(f"its version is {version!r}, and this codexd reads version {VERSION}")
    try:
        return _converter.structure(raw, _Content).accounts
    except cattrs.BaseValidationError as error:
        raise FileUnreadable("; ".join(cattrs.transform_error(error))) from None


def dump_limits(accounts: Mapping[str, Kept]) -> bytes:
    """The file's content."""
    content = {"version": VERSION, "accounts": {key: attrs.asdict(kept) for key, kept in accounts.items()}}
    return jsontext.dumps(content) + b"\n"
