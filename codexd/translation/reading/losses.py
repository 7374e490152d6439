"""The loss ledger: what a translation renamed, approximated or dropped, by the path of the field.

Nothing is lost silently: the ledger is kept with the request, counted in the header ``codexd-losses``,
logged, and with the setting ``translation.strict`` a dropped field is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from codexd.api.records import LossInfo


class LossKind(StrEnum):
    RENAMED = "renamed"
    """The same under another name, restored on the way back."""
    APPROXIMATED = "approximated"
    """Carried over as something near it."""
    DROPPED = "dropped"
    """The backend has nothing like it."""
    COSMETIC = "cosmetic"
    """Dropped, and no answer is different for it, such as ``cache_control``."""


_TOLD = (LossKind.DROPPED, LossKind.APPROXIMATED)


MAX_KEPT = 1000
MAX_CHARS = 300
"""Of a path or a note. The ledger is kept with its request, and a client may send a million unknown fields."""


class Losses:
    """The ledger of one request. A path is written down once, however often the request is translated.

    What comes after ``MAX_KEPT`` paths is only counted.
    """

    def __init__(self) -> None:
        self._by_path: dict[str, LossInfo] = {}
        self._more_told = 0
        self._first_dropped: LossInfo | None = None

    def add(self, kind: LossKind, path: str, note: str) -> None:
        path = path[:MAX_CHARS]
        if path in self._by_path:
            return
        loss = LossInfo(kind, path, note[:MAX_CHARS])
        if kind is LossKind.DROPPED and self._first_dropped is None:
            self._first_dropped = loss
        if len(self._by_path) < MAX_KEPT:
            self._by_path[path] = loss
        elif kind in _TOLD:
            self._more_told += 1

    def __iter__(self) -> Iterator[LossInfo]:
        return iter(self._by_path.values())

    def __len__(self) -> int:
        return len(self._by_path)

    @property
    def told(self) -> int:
        """How many a client is told of in ``codexd-losses``: what was dropped or approximated."""
        return self._more_told + sum(loss.kind in _TOLD for loss in self)

    @property
    def first_dropped(self) -> LossInfo | None:
        return self._first_dropped
