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
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any, TypeAlias

import httpx
import trio
from attrs import field, frozen

from codexd.accounts.choosing.picker import AccountPicker
from codexd.accounts.choosing.sessions import Sessions
from codexd.accounts.limits.tracker import LimitTracker
from codexd.accounts.limits.usage_poll import UsagePoller
from codexd.accounts.model import Account
from codexd.accounts.refresh import Refresher
from codexd.accounts.sign_in.device import DeviceEndpoint
from codexd.accounts.sign_in.flows import LoginFlows
from codexd.accounts.sign_in.oauth import TokenEndpoint
from codexd.accounts.store import AccountStore, Added
from codexd.control.call import Accounts, Control
from codexd.control.door import serve_control
from codexd.control.socket_file import bind_socket
from codexd.errors import AddressUnavailable, CodexdError, HomeMismatch
from codexd.paths import Places
from codexd.record.logs import LogRing
from codexd.record.requests import RequestLog
from codexd.record.usage import UsageHistory
from codexd.settings import Settings
from codexd.settings_live import LiveSettings
from codexd.simulator.app import Simulator
from codexd.supervisor import OnFailure, Supervisor
from codexd.upstream.account import AccountEndpoint
from codexd.upstream.codex import CodexBackend, make_timeout, open_client
from codexd.web import server as web
from codexd.web.app import App, create_quart
from codexd.web.callback import serve_callback
from codexd.web.messages import MessagesApi, Timing
from codexd.web.turn import TurnRunner

log = logging.getLogger("codexd.daemon")

DRAIN_S = 30.0
"""INTERFACE: how long running streams may go on after SIGTERM."""


REPLY_S = 5.0
"""How long the reply to ``daemon.stop`` may take."""

Run: TypeAlias = Callable[[], Awaitable[None]]
Task: TypeAlias = tuple[str, Run, OnFailure]


@frozen
class Launch:
    """What a daemon is started with. With ``simulator`` it runs on that instead of the real backend.

    ``clock`` gives seconds since the epoch; ``drain_s`` is how long streams may go on after the signal.
    """

    settings: LiveSettings
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
    supervisor, stopping, ending = Supervisor(), trio.Event(), trio.Event()
    with (
        AccountStore.open(launch.places.state_dir) as store,
        _open_doors(launch) as doors,
        _keep_usage(launch) as usage,
    ):
        _check_home(launch, store)
        live, run_simulator = launch.settings, None
        if launch.simulator is not None:
            run_simulator = _simulate(launch, launch.simulator, store)
        connect = partial(
            open_client, live.current.upstream, trust_env=not launch.simulated, tls=ssl.create_default_context()
        )
        async with connect() as http, connect(keeps_connections=False) as sign_in_http:
            live.on_change(partial(_apply_settings, launch.logs, (http, sign_in_http)))
            accounts = _make_accounts(launch, store, http, sign_in_http)
            requests = RequestLog(time.monotonic, on_end=usage.add)
            app = _make_app(launch, accounts, http, requests, ending)

            async with trio.open_nursery() as background:
                stop_after = _StopAfter(background, stopping)
                control = _make_control(launch, doors, accounts, supervisor, requests, usage, stop_after)
                run_control = partial(serve_control, control, doors.control)
                for name, run, on_failure in _list_tasks(accounts, usage, run_control, run_simulator):
                    background.start_soon(supervisor.supervise, name, run, on_failure)
                background.start_soon(_stop_on_signal, stopping)
                await background.start(_reload_on_signal, live)
                _report_start(launch, doors, store)
                task_status.started(Ready(doors.address, launch.places, launch.simulated))
                run_http = partial(
                    web.serve, app, [doors.http], stop=stopping, drain_s=launch.drain_s, on_drain_end=ending.set
                )
                await supervisor.supervise("HTTP proxy", run_http, OnFailure.END_DAEMON)
                background.cancel_scope.cancel("the HTTP proxy has drained")
            accounts.tracker.save()
    log.info("stopped")


def _keep_usage(launch: Launch) -> closing[UsageHistory]:
    live = launch.settings
    return closing(UsageHistory(launch.places.usage, lambda: live.current.usage.retention_days, launch.clock))


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
    launch: Launch, store: AccountStore, http: httpx.AsyncClient, sign_in_http: httpx.AsyncClient
) -> Accounts:
    """Everything about accounts, on the sign-in server and the backend of the settings."""
    clock, live = launch.clock, launch.settings
    auth_url = live.current.upstream.auth_url
    tokens, backend = TokenEndpoint(sign_in_http, auth_url), AccountEndpoint(http, lambda: live.current.upstream, clock)
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


def _list_tasks(accounts: Accounts, usage: UsageHistory, control: Run, simulator: Run | None) -> Iterator[Task]:
    """What runs beside the HTTP proxy."""
    yield "refresh scheduler", accounts.refresher.run, OnFailure.RESTART
    yield "rate-limit tracker", partial(_track_limits, accounts), OnFailure.RESTART
    yield "sign-in flows", accounts.logins.run, OnFailure.RESTART
    yield "usage history", usage.run, OnFailure.RESTART
    yield "control socket", control, OnFailure.END_DAEMON
    if simulator is not None:
        yield "simulated backend", simulator, OnFailure.END_DAEMON


def _make_app(
    launch: Launch, accounts: Accounts, http: httpx.AsyncClient, requests: RequestLog, ending: trio.Event
) -> App:
    """The HTTP side; each request reads the settings that hold then."""
    store, tracker, clock, live = accounts.store, accounts.tracker, launch.clock, launch.settings
    picker = AccountPicker(lambda: live.current.rotation, store, tracker, accounts.sessions, accounts.poller, clock)
    backend = CodexBackend(http, lambda: live.current.upstream, clock)
    turns = TurnRunner(lambda: live.current, store, picker, accounts.refresher, tracker, backend, requests, clock)
    messages = MessagesApi(turns, ending, clock, launch.timing)
    return App(lambda: live.current.server, messages, create_quart(simulated=launch.simulated, clock=clock), clock)


def _make_control(
    launch: Launch,
    doors: _Doors,
    accounts: Accounts,
    supervisor: Supervisor,
    requests: RequestLog,
    usage: UsageHistory,
    stop_after: Callable[[trio.Event], None],
) -> Control:
    return Control(
        accounts=accounts,
        supervisor=supervisor,
        logs=launch.logs,
        requests=requests,
        usage=usage,
        places=launch.places,
        live=launch.settings,
        addresses=(doors.address,),
        simulated=launch.simulated,
        started_at=launch.clock(),
        clock=launch.clock,
        environ=launch.environ,
        stop_after=stop_after,
        drain_s=launch.drain_s,
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
    server = launch.settings.current.server
    host, port = server.host, server.port
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


def _simulate(launch: Launch, simulator: Simulator, store: AccountStore) -> Run:
    """Point the settings at the simulator, sign an account of its own in; the function that runs it."""
    listener = web.bind("127.0.0.1", 0)
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    urls = {"upstream.backend_url": f"{base}/backend-api", "upstream.auth_url": base}
    launch.settings.pin(urls, "--simulate")
    store.add(simulator.sign_in(), now=launch.clock(), simulated=True)
    return partial(web.serve, simulator, [listener], stop=trio.Event(), drain_s=0.0)


def _apply_settings(logs: LogRing, clients: Iterable[httpx.AsyncClient], before: Settings, after: Settings) -> None:
    """Tell those that don't read the settings themselves each time."""
    if after.log.level != before.log.level:
        logging.getLogger("codexd").setLevel(after.log.level.upper())
    if after.log.history != before.log.history:
        logs.resize(after.log.history)
    for client in clients:
        client.timeout = make_timeout(after.upstream)


async def _stop_on_signal(stopping: trio.Event) -> None:
    """Set ``stopping`` on the first SIGTERM or SIGINT; a second one acts as it always does, at once."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("%s: stopping; running streams have %g s", signal.Signals(number).name, DRAIN_S)
            break
    stopping.set()


@frozen
class _StopAfter:
    """Sets ``stopping`` once the client that asked for it knows, or has hung up."""

    background: trio.Nursery
    stopping: trio.Event

    def __call__(self, replied: trio.Event) -> None:
        self.background.start_soon(self._stop, replied)

    async def _stop(self, replied: trio.Event) -> None:
        with trio.move_on_after(REPLY_S):
            await replied.wait()
        log.info("asked to stop; running streams have %g s", DRAIN_S)
        self.stopping.set()


async def _reload_on_signal(
    live: LiveSettings, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Read the settings file again on each SIGHUP."""
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            try:
                live.reload()
            except CodexdError as error:
                log.error("SIGHUP: the settings stay as they were: %s", error)  # noqa: TRY400 - the text says all
