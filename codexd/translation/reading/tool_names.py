"""Tool names that the backend accepts: ``[A-Za-z0-9_-]``, at most 64 characters.

Anthropic's API accepts longer ones, and tools of MCP servers have them. A short name depends on the full name alone, so
it stays the same when the list of tools changes, as the prompt cache requires. A legal name that looks like a short one
is replaced too, so that no two names become the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind

MAX_NAME_CHARS = 64

_LEGAL = re.compile(r"(?!.*_[0-9a-f]{8}\Z)[A-Za-z0-9_-]{1,64}")
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")
_HASH_CHARS = 8


def shorten(name: str) -> str:
    """``name`` if it is legal; otherwise a legal name made from it, which ends in a hash of the full name."""
    if _LEGAL.fullmatch(name):
        return name
    stem = name
    if name.startswith("mcp__") and len(name) > MAX_NAME_CHARS:
        stem = "mcp__" + name.rpartition("__")[2]  # the tool's name says more than the server's
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:_HASH_CHARS]
    return f"{_ILLEGAL.sub('_', stem)[: MAX_NAME_CHARS - _HASH_CHARS - 1]}_{digest}"


def legal_name(tool: Fields, name: str) -> str:
    """``name``, the name of ``tool``, as the backend accepts it; the ledger gets what was changed."""
    short = shorten(name)
    if short != name:
        tool.lose(LossKind.RENAMED, "name", f"sent as {short}, and restored in answers")
    return short


class ToolNames:
    """Restores full names from short ones.

    It is built from all names in a request, those in its history included: a model calls a tool by a name that it saw
    there, even if the tool is not among those that were sent.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._full = {short: name for name in names if (short := shorten(name)) != name}

    def __bool__(self) -> bool:
        """Whether there is anything to restore."""
        return bool(self._full)

    def restore(self, name: str) -> str:
        """The client's name for ``name``; a name that the model made up stays as it is."""
        return self._full.get(name, name)
