"""``daemon.*``."""

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
