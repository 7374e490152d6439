"""What runs, what stops what, and in which order.

Stopping goes from the inside out: the HTTP proxy drains first, with everything that its requests need
still there, ``codexctl`` included; then the background tasks end, then the HTTP client closes, then the
account store gives up its lock.
"""

from __future__ import annotations

import logging
import signal
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any

import attrs
import httpx
import trio
from attrs import field, frozen

from codexd.accounts.device import DeviceEndpoint
from codexd.accounts.flows import LoginFlows
from codexd.accounts.model import Account
from codexd.accounts.oauth import TokenEndpoint
from codexd.accounts.picker import AccountPicker
from codexd.accounts.refresh import Refresher
from codexd.accounts.sessions import Sessions
from codexd.accounts.store import AccountStore, Added
from codexd.accounts.tracker import LimitTracker
from codexd.accounts.usage_poll import UsagePoller
from codexd.control.call import Accounts, Control
from codexd.control.door import serve_control
from codexd.control.socket_file import bind_socket
from codexd.errors import AddressUnavailable, HomeMismatch
from codexd.paths import Places
from codexd.record.logs import LogRing
from codexd.record.requests import RequestLog
from codexd.settings import Settings
from codexd.simulator.app import Simulator
from codexd.supervisor import OnFailure, Supervisor
from codexd.upstream.account import AccountEndpoint
from codexd.upstream.codex import CodexBackend, open_client
from codexd.web import server as web
from codexd.web.app import App, create_quart
from codexd.web.callback import serve_callback
from codexd.web.messages import MessagesApi, Timing
from codexd.web.turn import TurnRunner

log = logging.getLogger("codexd.daemon")

DRAIN_S = 30.0
"""INTERFACE: how long running streams may go on after SIGTERM."""


@frozen
class Launch:
    """What a daemon is started with. With ``simulator`` it runs on that instead of the real backend.

    ``clock`` gives seconds since the epoch; ``drain_s`` is how long streams may go on after the signal.
    """

    settings: Settings
    places: Places
    logs: LogRing
    environ: Mapping[str, str]
    simulator: Simulator | None = None
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


async def serve(launch: Launch, *, task_status: trio.TaskStatus[Ready] = trio.TASK_STATUS_IGNORED) -> None:
    """Run until SIGTERM, SIGINT or cancellation.

    Raises:
        CodexdError: it can't start (``AlreadyRunning``, ``FileUnreadable``, ``HomeMismatch`` ...), or a task gave up.
    """
    clock, supervisor, stopping, ending = launch.clock, Supervisor(), trio.Event(), trio.Event()
    with AccountStore.open(launch.places.state_dir) as store, _open_doors(launch) as doors:
        _check_home(launch, store)
        settings, run_simulator = launch.settings, None
        if launch.simulator is not None:
            settings, run_simulator = _simulate(launch, launch.simulator, store)
        connect = partial(
            open_client, settings.upstream, trust_env=not launch.simulated, tls=ssl.create_default_context()
        )
        async with connect() as http, connect(keeps_connections=False) as sign_in_http:
            accounts = _make_accounts(launch, settings, store, http, sign_in_http)
            requests = RequestLog(time.monotonic)
            turns = _make_turns(launch, settings, accounts, CodexBackend(http, settings.upstream, clock), requests)
            messages = MessagesApi(turns, ending, clock, launch.timing)
            app = App(settings.server, messages, create_quart(simulated=launch.simulated, clock=clock), clock)
            control = _make_control(launch, settings, doors, accounts, supervisor, requests)

            async with trio.open_nursery() as background:
                supervise = supervisor.supervise
                background.start_soon(supervise, "refresh scheduler", accounts.refresher.run)
                background.start_soon(supervise, "rate-limit tracker", partial(_track_limits, accounts))
                background.start_soon(supervise, "sign-in flows", accounts.logins.run)
                run_control = partial(serve_control, control, doors.control)
                background.start_soon(supervise, "control socket", run_control, OnFailure.END_DAEMON)
                if run_simulator is not None:
                    background.start_soon(supervise, "simulated backend", run_simulator, OnFailure.END_DAEMON)
                background.start_soon(_stop_on_signal, stopping)
                _report_start(launch, doors, store)
                task_status.started(Ready(doors.address, launch.places, launch.simulated))
                run_http = partial(
                    web.serve, app, [doors.http], stop=stopping, drain_s=launch.drain_s, on_drain_end=ending.set
                )
                await supervise("HTTP proxy", run_http, OnFailure.END_DAEMON)
                background.cancel_scope.cancel("the HTTP proxy has drained")
            accounts.tracker.save()
    log.info("stopped")


def _check_home(launch: Launch, store: AccountStore) -> None:
    """A home is real or simulated: a real login must not be tried on the simulator, which would call it dead.

    Raises:
        HomeMismatch: it holds an account of the other kind.
    """
    stranger = next((account for account in store.accounts if account.simulated != launch.simulated), None)
    if stranger is None:
        return
    advice = "use another --home for --simulate" if launch.simulated else "start with --simulate, or use another --home"
    raise HomeMismatch(f"{launch.places.state_dir} holds the account {stranger.label}; {advice}")


def _make_accounts(
    launch: Launch,
    settings: Settings,
    store: AccountStore,
    http: httpx.AsyncClient,
    sign_in_http: httpx.AsyncClient,
) -> Accounts:
    """Everything about accounts, on the sign-in server and the backend of ``settings``."""
    clock, auth_url = launch.clock, settings.upstream.auth_url
    tokens, backend = TokenEndpoint(sign_in_http, auth_url), AccountEndpoint(http, settings.upstream, clock)
    refresher, tracker = Refresher(store, tokens, clock), LimitTracker(clock, launch.places.limits)
    show_pages = partial(serve_callback, simulated=launch.simulated)

    def keep(auth_json: dict[str, Any]) -> tuple[Account, bool]:
        account, outcome = store.add(auth_json, now=clock(), simulated=launch.simulated)
        return account, outcome is Added.ADDED

    return Accounts(
        store=store,
        refresher=refresher,
        tracker=tracker,
        poller=UsagePoller(store, refresher, tracker, backend, clock),
        sessions=Sessions(),
        logins=LoginFlows(tokens, DeviceEndpoint(sign_in_http, auth_url), auth_url, keep, show_pages, clock),
        tokens=tokens,
    )


async def _track_limits(accounts: Accounts) -> None:
    """Fold in what the replies say, and ask where they say nothing."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(accounts.tracker.run)
        nursery.start_soon(accounts.poller.run)


def _make_turns(
    launch: Launch, settings: Settings, accounts: Accounts, backend: CodexBackend, requests: RequestLog
) -> TurnRunner:
    store, tracker, clock = accounts.store, accounts.tracker, launch.clock
    picker = AccountPicker(settings.rotation, store, tracker, accounts.sessions, accounts.poller, clock)
    return TurnRunner(settings, store, picker, accounts.refresher, tracker, backend, requests, clock)


def _make_control(
    launch: Launch,
    settings: Settings,
    doors: _Doors,
    accounts: Accounts,
    supervisor: Supervisor,
    requests: RequestLog,
) -> Control:
    return Control(
        accounts=accounts,
        supervisor=supervisor,
        logs=launch.logs,
        requests=requests,
        places=launch.places,
        settings=settings,
        addresses=(doors.address,),
        simulated=launch.simulated,
        started_at=launch.clock(),
        clock=launch.clock,
        environ=launch.environ,
    )


def _report_start(launch: Launch, doors: _Doors, store: AccountStore) -> None:
    for problem in store.problems:
        log.error("%s", problem)
    if store.active is None:
        log.warning("no account is active; sign in with `codexctl accounts add`")
    log.info("listening on %s and %s", doors.address, launch.places.socket)


@frozen
class _Doors:
    http: socket.socket
    control: socket.socket
    address: str


@contextmanager
def _open_doors(launch: Launch) -> Iterator[_Doors]:
    """Both listening sockets, before anything runs: what can't be had ends the start with a clear error."""
    host, port = launch.settings.server.host, launch.settings.server.port
    with ExitStack() as stack:
        try:
            http = stack.enter_context(closing(web.bind(host, port)))
        except OSError as error:
            raise AddressUnavailable(
                f"can't listen on {host}:{port} ({error.strerror or error}); "
                "another program may have it: choose one with --port or the setting server.port"
            ) from error
        control = stack.enter_context(closing(bind_socket(launch.places.socket)))
        shown = f"[{host}]" if ":" in host else host
        yield _Doors(http, control, f"http://{shown}:{http.getsockname()[1]}")


def _simulate(
    launch: Launch, simulator: Simulator, store: AccountStore
) -> tuple[Settings, Callable[[], Awaitable[None]]]:
    """Settings that point at the simulator, with an account of its own signed in, and the function that runs it."""
    listener = web.bind("127.0.0.1", 0)
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    upstream = attrs.evolve(launch.settings.upstream, backend_url=f"{base}/backend-api", auth_url=base)
    store.add(simulator.sign_in(), now=launch.clock(), simulated=True)
    run = partial(web.serve, simulator, [listener], stop=trio.Event(), drain_s=0.0)
    return attrs.evolve(launch.settings, upstream=upstream), run


async def _stop_on_signal(stopping: trio.Event) -> None:
    """Set ``stopping`` on the first SIGTERM or SIGINT; a second one acts as it always does, at once."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("%s: stopping; running streams have %g s", signal.Signals(number).name, DRAIN_S)
            break
    stopping.set()
