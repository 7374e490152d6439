"""The history of typed lines, kept in a file for the next session. Lines with secrets are left out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import History

KEPT_LINES = 1000

_SECRET = re.compile(
    r"""(?x)
      (?<![A-Za-z0-9_-]) (?: eyJ[\w-]{8,} | rt[_.][\w.-]{8,} | sk-[\w-]{8,} )  # a JWT, a refresh token, an API key
    | (?i: [?&](?:code|state)= | \bbearer\s )                                  # where a sign-in ends, a header
    | (?i: (?:api[_-]?key|token|secret|password) [\w-]* (?: \s*=\s* | \s+ ) [^\s-] )  # its name, and a value
    """
)
_NAMES_AN_ACCOUNT = re.compile(r"\s*(?:codexctl\s+)?accounts\s+token\b")


def may_keep(line: str) -> bool:
    """Whether ``line`` may be written to the file. As in other shells, a line that begins with a space may not."""
    if not line.strip() or line[0].isspace():
        return False
    return bool(_NAMES_AN_ACCOUNT.match(line)) or not _SECRET.search(line)


class PrivateHistory(History):
    """A history in a file that only its user can read. Without access to the file, there is no history."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def load_history_strings(self) -> Iterable[str]:
        """The newest first."""
        try:
            lines = self._path.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return
        if len(lines) > 2 * KEPT_LINES:
            self._shorten(lines[-KEPT_LINES:])
        yield from reversed(lines[-KEPT_LINES:])

    def store_string(self, string: str) -> None:
        lines = [line for line in string.splitlines() if may_keep(line)]
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(self._path, lines, os.O_APPEND)
        except OSError:
            return

    def _shorten(self, lines: list[str]) -> None:
        shorter = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            _write(shorter, lines, os.O_EXCL)
            shorter.replace(self._path)
        except OSError:
            shorter.unlink(missing_ok=True)


def _write(path: Path, lines: Iterable[str], flag: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
        file.writelines(f"{line}\n" for line in lines)
