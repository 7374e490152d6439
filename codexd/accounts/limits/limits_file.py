"""``limits.json``: each account's limits as last reported, over a restart. It holds no e-mail address and no token."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
from attrs import Factory, frozen

from codexd import jsontext
from codexd.accounts.limits.cooldown import Cooldown
from codexd.accounts.limits.windows import Limits
from codexd.accounts.store.cache_file import CacheFile
from codexd.strict import load_versioned, structure

VERSION = 1


@frozen
class Kept:
    """One account's part of the file."""

    limits: Limits = Factory(Limits)
    cooldowns: tuple[Cooldown, ...] = ()


@frozen
class _Content:
    version: int
    accounts: Mapping[str, Kept]


def open_limits(path: Path) -> CacheFile[Mapping[str, Kept]]:
    return CacheFile(path, parse_limits, "limits")


def parse_limits(data: bytes) -> Mapping[str, Kept]:
    """The file's content, by account id.

    Raises:
        FileUnreadable: the reason only.
    """
    return structure(load_versioned(data, VERSION), _Content).accounts


def dump_limits(accounts: Mapping[str, Kept]) -> bytes:
    content = {"version": VERSION, "accounts": {key: attrs.asdict(kept) for key, kept in accounts.items()}}
    return jsontext.dumps(content) + b"\n"
