"""What a control method is: its declaration, the parts of the daemon that it works on, and the call it answers."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, get_type_hints

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
from codexd.api.daemon import Process, Service
from codexd.bounds import Gauge
from codexd.errors import CodexdError
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
    """The parts that work on accounts."""

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
    """What the methods work on. ``clock`` returns seconds since the epoch.

    ``stop_after`` stops the daemon as SIGTERM does, once its event is set; streams then have ``drain_s`` to end.
    ``restart`` does so after a new process has taken over, which it returns.
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
    service: Service
    simulated: bool
    faults: str | None
    started_at: float
    clock: Callable[[], float]
    environ: Mapping[str, str] = field(repr=False)
    stop_after: Callable[[trio.Event], None]
    restart: Callable[[trio.Event], Awaitable[Process]]
    drain_s: float
    gauges: tuple[Gauge, ...]

    @property
    def settings(self) -> Settings:
        """The current settings."""
        return self.live.current

    @property
    def store(self) -> AccountStore:
        return self.accounts.store


class Following(Protocol):
    """The events of a follow, which are sent one after another until it is closed."""

    def close(self) -> None: ...

    def __aiter__(self) -> AsyncIterator[object]: ...


class Session(Protocol):
    """The connection of a call, for the methods that start and end follows."""

    def follow(self, method: str, follower: Following, replied: trio.Event) -> int: ...

    def cancel(self, subscription: int) -> bool: ...


@frozen
class Call:
    """One call of a method. ``replied`` is set once the reply has been sent."""

    control: Control
    session: Session
    replied: trio.Event


MethodFunction: TypeAlias = Callable[[Call, Any], Awaitable[object]]


@frozen(eq=False)
class Method:
    """A method of the control contract. ``params`` and ``result`` are classes of ``codexd.api``.

    ``example``: valid params. ``event``: the class of a follow's notifications. ``errors``: the errors that the method
    may raise, subclasses included. Invalid params, a daemon that is stopping and a failing disk can end any call and
    are not listed.
    """

    name: str
    summary: str
    params: type
    result: type
    answer: MethodFunction
    example: Mapping[str, Any]
    errors: tuple[type[CodexdError], ...]
    event: type | None


def method(
    name: str,
    *,
    example: Mapping[str, Any] = MappingProxyType({}),
    errors: tuple[type[CodexdError], ...] = (),
    event: type | None = None,
) -> Callable[[MethodFunction], Method]:
    """Declare the decorated function as the control method ``name``.

    Its annotations define the classes of the params and the result; the first line of its docstring is the summary.
    """

    def declare(answer: MethodFunction) -> Method:
        _call, params, result = get_type_hints(answer).values()
        summary, _, _reasons = inspect.cleandoc(answer.__doc__ or "").partition("\n")
        return Method(name, summary.removesuffix("."), params, result, answer, example, errors, event)

    return declare
