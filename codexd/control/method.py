"""What a method is given: the daemon's parts, and the call that it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

import trio
from attrs import field, frozen

from codexd.accounts.catalogues import Catalogues
from codexd.accounts.choosing.sessions import Sessions
from codexd.accounts.limits.tracker import LimitTracker
from codexd.accounts.limits.usage_poll import UsagePoller
from codexd.accounts.refresh import Refresher
from codexd.accounts.sign_in.flows import LoginFlows
from codexd.accounts.sign_in.server import TokenEndpoint
from codexd.accounts.store.store import AccountStore
from codexd.paths import Places
from codexd.record.logs import LogRing
from codexd.record.requests import RequestLog
from codexd.record.usage import UsageHistory
from codexd.settings.live import LiveSettings
from codexd.settings.schema import Settings
from codexd.supervisor import Supervisor
from codexd.upstream.kilo import FreeModels


@frozen(eq=False)
class Accounts:
    """Everything about accounts that the methods work on."""

    store: AccountStore
    refresher: Refresher
    tracker: LimitTracker
    poller: UsagePoller
    catalogues: Catalogues
    sessions: Sessions
    logins: LoginFlows
    tokens: TokenEndpoint


@frozen(eq=False)
class Control:
    """What the methods work on. ``clock`` gives seconds since the epoch.

    ``stop_after`` stops the daemon as SIGTERM does, once its event is set: streams have ``drain_s`` to end.
    """

    accounts: Accounts
    kilo: FreeModels
    supervisor: Supervisor
    logs: LogRing
    requests: RequestLog
    usage: UsageHistory
    places: Places
    live: LiveSettings
    addresses: tuple[str, ...]
    simulated: bool
    started_at: float
    clock: Callable[[], float]
    environ: Mapping[str, str] = field(repr=False)
    stop_after: Callable[[trio.Event], None]
    drain_s: float

    @property
    def settings(self) -> Settings:
        """Those that hold now."""
        return self.live.current

    @property
    def store(self) -> AccountStore:
        return self.accounts.store


class Following(Protocol):
    """The events of a follow, which go out one after the other until it is closed."""

    def close(self) -> None: ...

    def __aiter__(self) -> AsyncIterator[object]: ...


class Session(Protocol):
    """The connection of a call, for the methods that begin and end follows."""

    def follow(self, method: str, follower: Following, replied: trio.Event) -> int: ...

    def cancel(self, subscription: int) -> bool: ...


@frozen
class Call:
    """What a method is told of the call that it answers. ``replied`` is set when the reply has been sent."""

    control: Control
    session: Session
    replied: trio.Event
