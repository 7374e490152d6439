"""``daemon.*`` and ``kilo.*``."""

from __future__ import annotations

from attrs import frozen


@frozen
class TaskInfo:
    """A supervised task: ``state`` is a word of ``codexd.supervisor.TaskState``."""

    name: str
    state: str
    restarts: int
    last_error: str | None


@frozen
class DaemonStatus:
    """``active_account`` is an email; ``problems``: sentences about files that could not be read."""

    version: str
    pid: int
    started_at: float
    addresses: tuple[str, ...]
    simulated: bool
    tasks: tuple[TaskInfo, ...]
    active_account: str | None
    streams_in_flight: int
    settings_path: str
    problems: tuple[str, ...]


@frozen
class Stopping:
    """The daemon takes no new requests; those that run have ``drain_seconds`` to end."""

    streams_in_flight: int
    drain_seconds: float


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
