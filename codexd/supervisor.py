"""Supervised tasks: restarted with back-off if they fail, with a visible state, and fatal if they fail too often."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum, StrEnum

import trio
from attrs import define, field

from codexd.api.daemon import TaskInfo
from codexd.errors import TaskGaveUp, describe

log = logging.getLogger("codexd.supervisor")

MAX_FAILURES = 5
FAILURE_WINDOW_S = 60.0
"""A task that fails more than ``MAX_FAILURES`` times within this time ends the daemon."""

FIRST_DELAY_S = 0.5
MAX_DELAY_S = 30.0
JITTER = 0.25


class TaskState(StrEnum):
    RUNNING = "running"
    BACKING_OFF = "backing_off"
    FAILED = "failed"
    STOPPED = "stopped"


class OnFailure(Enum):
    RESTART = "restart"
    END_DAEMON = "end_daemon"
    """For listeners: a daemon that accepts no connections must not keep running."""


@define
class _Task:
    name: str
    state: TaskState = TaskState.RUNNING
    restarts: int = 0
    last_error: str | None = None
    failed: deque[float] = field(factory=deque)

    def note_failure(self, error: Exception, now: float) -> int:
        """Record a failure; return the number of failures in the window."""
        self.last_error = describe(_first_leaf(error))
        self.failed.append(now)
        while self.failed[0] < now - FAILURE_WINDOW_S:
            self.failed.popleft()
        return len(self.failed)


class Supervisor:
    """The tasks of one daemon. ``jitter`` returns a number from -1 to 1."""

    def __init__(self, jitter: Callable[[], float] = lambda: random.uniform(-1, 1)) -> None:  # noqa: S311 - no secret
        self._tasks: dict[str, _Task] = {}
        self._jitter = jitter

    @property
    def tasks(self) -> tuple[TaskInfo, ...]:
        return tuple(TaskInfo(task.name, task.state, task.restarts, task.last_error) for task in self._tasks.values())

    async def supervise(
        self, name: str, run: Callable[[], Awaitable[None]], on_failure: OnFailure = OnFailure.RESTART
    ) -> None:
        """Run ``run`` until it returns or is cancelled.

        Raises:
            TaskGaveUp: the task failed too often, or must not fail at all.
        """
        task = self._tasks[name] = _Task(name)
        while True:
            task.state = TaskState.RUNNING
            try:
                await run()
            except Exception as error:  # noqa: BLE001 - supervises tasks, whatever they raise
                await self._recover(task, error, on_failure)
            else:
                task.state = TaskState.STOPPED
                return

    async def _recover(self, task: _Task, error: Exception, on_failure: OnFailure) -> None:
        """Wait until the task may run again."""
        failures = task.note_failure(error, trio.current_time())
        log.error("task %r failed: %s", task.name, task.last_error, exc_info=error)
        if on_failure is OnFailure.END_DAEMON or failures > MAX_FAILURES:
            task.state = TaskState.FAILED
            times = "" if on_failure is OnFailure.END_DAEMON else f" {failures} times in {FAILURE_WINDOW_S:g} s"
            raise TaskGaveUp(f"the task {task.name!r} failed{times}; last error: {task.last_error}") from error
        task.state = TaskState.BACKING_OFF
        task.restarts += 1
        await trio.sleep(back_off_s(failures, self._jitter()))


def back_off_s(failures: int, jitter: float) -> float:
    """Seconds to wait after this number of ``failures``; ``jitter`` is from -1 to 1."""
    delay_s = min(FIRST_DELAY_S * 2.0 ** (failures - 1), MAX_DELAY_S)
    return delay_s * (1 + JITTER * jitter)


def _first_leaf(error: BaseException) -> BaseException:
    """The first error in ``error`` that is not a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
