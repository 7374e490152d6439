"""What a daemon is started with, and what it reports once it is up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import field, frozen

from codexd.paths import Places
from codexd.record.logs import LogRing
from codexd.settings.live import LiveSettings
from codexd.web.exchange import Timing

DRAIN_S = 30.0
"""INTERFACE: how long running streams may go on after SIGTERM."""


class SimulatedBackend(Protocol):
    """What a daemon needs of the simulator: an ASGI app that signs in accounts of its own."""

    def sign_in(self) -> dict[str, Any]: ...

    def sign_in_again(self, email: str, plan: str, account_id: str, /) -> dict[str, Any] | None: ...

    async def __call__(self, scope: Any, receive: Any, send: Any, /) -> None: ...


@frozen
class Launch:
    """What a daemon is started with. With ``simulator`` it runs on that instead of the real backend.

    ``clock`` gives seconds since the epoch; ``drain_s`` is how long streams may go on after the signal.
    """

    settings: LiveSettings
    places: Places
    logs: LogRing
    environ: Mapping[str, str]
    simulator: SimulatedBackend | None = None
    clock: Callable[[], float] = time.time
    drain_s: float = DRAIN_S
    timing: Timing = field(factory=Timing)

    @property
    def simulated(self) -> bool:
        return self.simulator is not None


@frozen
class Ready:
    """What ``serve`` reports once both doors are open."""

    address: str
    places: Places
    simulated: bool
