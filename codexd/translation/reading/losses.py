"""The loss ledger: the fields that a translation renamed, approximated or dropped, by path.

Nothing is lost silently: the ledger is kept with the request, counted in the header ``codexd-losses``, and logged. With
the setting ``translation.strict`` a request that loses a field is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from codexd import bounds
from codexd.api.records import LossInfo


class LossKind(StrEnum):
    RENAMED = "renamed"
    """Sent under another name, and restored in the answer."""
    APPROXIMATED = "approximated"
    """Sent as something close to it."""
    DROPPED = "dropped"
    """Left out, because the backend has nothing like it."""
    COSMETIC = "cosmetic"
    """Left out without any effect on the answer, such as ``cache_control``."""


REPORTED = (LossKind.DROPPED, LossKind.APPROXIMATED)
"""The kinds that the header ``codexd-losses`` counts."""

MAX_CHARS = 300
"""The longest path and the longest note. Ledgers are kept for a while, and a request may have many odd fields."""


class Losses:
    """The ledger of one request. A path is recorded once, however often the request is translated.

    After ``bounds.LOSSES_OF_REQUEST`` paths, losses are only counted.
    """

    def __init__(self) -> None:
        self._by_path: dict[str, LossInfo] = {}
        self._reported_beyond = 0
        self._first_dropped: LossInfo | None = None

    def add(self, kind: LossKind, path: str, note: str) -> None:
        path = path[:MAX_CHARS]
        if path in self._by_path:
            return
        loss = LossInfo(kind, path, note[:MAX_CHARS])
        if kind is LossKind.DROPPED and self._first_dropped is None:
            self._first_dropped = loss
        if len(self._by_path) < bounds.LOSSES_OF_REQUEST:
            self._by_path[path] = loss
        elif kind in REPORTED:
            self._reported_beyond += 1

    def __iter__(self) -> Iterator[LossInfo]:
        return iter(self._by_path.values())

    def __len__(self) -> int:
        return len(self._by_path)

    @property
    def reported(self) -> int:
        """The number in ``codexd-losses``: how many fields were dropped or approximated."""
        return self._reported_beyond + sum(loss.kind in REPORTED for loss in self)

    @property
    def first_dropped(self) -> LossInfo | None:
        return self._first_dropped
