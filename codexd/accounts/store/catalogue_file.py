"""``models/<account id>.json``: the backend's list of models for an account, over a restart. No e-mail, no token."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
from attrs import field, frozen
from attrs.validators import matches_re, optional

from codexd import jsontext
from codexd.accounts.store.cache_file import CacheFile
from codexd.accounts.store.strict import load_versioned, structure

VERSION = 1
ETAG = re.compile(r"[\x20-\x7e]{1,200}")
"""What can stand in a header."""


@frozen
class Listed:
    """What the models endpoint answered.

    ``models`` are its entries as they came, ``etag`` is None if it gave none, ``fetched_at`` in seconds since the
    epoch; it shows a ``client_version`` only what that may use.
    """

    models: list[dict[str, Any]]
    etag: str | None = field(validator=optional(matches_re(ETAG)))
    fetched_at: float
    client_version: str


@frozen
class _Content:
    version: int
    listed: Listed


def open_catalogue(folder: Path, account_id: str) -> CacheFile[Listed]:
    return CacheFile(folder / f"{account_id}.json", parse_listed, "models")


def parse_listed(data: bytes) -> Listed:
    """What is kept.

    Raises:
        FileUnreadable: the reason only.
    """
    return structure(load_versioned(data, VERSION), _Content).listed


def dump_listed(listed: Listed) -> bytes:
    """The file's content."""
    return jsontext.dumps({"version": VERSION, "listed": attrs.asdict(listed, recurse=False)}) + b"\n"
