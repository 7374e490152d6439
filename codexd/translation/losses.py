"""The loss ledger: what a translation renamed, approximated or dropped, by the path of the field.

Nothing is lost silently: the ledger is kept with the request, counted in the header ``codexd-losses``,
logged, and with the setting ``translation.strict`` a dropped field is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from attrs import frozen


class LossKind(Enum):
    RENAMED = "renamed"
    """The same under another name, restored on the way back."""
    APPROXIMATED = "approximated"
    """Carried over as something near it."""
    DROPPED = "dropped"
    """The backend has nothing like it."""
    COSMETIC = "cosmetic"
    """Dropped, and no answer is different for it, such as ``cache_control``."""


@frozen
class Loss:
    """One field's fate; ``note`` says in words what was done and why."""

    kind: LossKind
    path: str
    note: str


class Losses:
    """The ledger of one request. A path is written down once, however often the request is translated."""

    def __init__(self) -> None:
        self._by_path: dict[str, Loss] = {}

    def add(self, kind: LossKind, path: str, note: str) -> None:
        self._by_path.setdefault(path, Loss(kind, path, note))

    def __iter__(self) -> Iterator[Loss]:
        return iter(self._by_path.values())

    def __len__(self) -> int:
        return len(self._by_path)

    @property
    def told(self) -> int:
        """How many a client is told of in ``codexd-losses``: what was dropped or approximated."""
        return sum(loss.kind in (LossKind.DROPPED, LossKind.APPROXIMATED) for loss in self)

    @property
    def first_dropped(self) -> Loss | None:
        return next((loss for loss in self if loss.kind is LossKind.DROPPED), None)
