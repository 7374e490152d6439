"""``kilo.models``."""

from __future__ import annotations

from attrs import frozen


@frozen
class KiloModel:
    """``context_window`` is in tokens; it and ``takes_tools`` are null where Kilo does not say."""

    id: str
    name: str
    context_window: int | None
    takes_tools: bool | None


@frozen
class KiloModels:
    """``model``: what the name kilo means now. ``fetched_at`` is seconds since the epoch.

    ``problem``: why there is no list, or none that is new. As long as ``kilo.enabled`` is false Kilo is not asked.
    """

    enabled: bool
    model: str
    models: tuple[KiloModel, ...]
    fetched_at: float | None
    problem: str | None
