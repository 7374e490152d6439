"""What runs, what stops what, and in which order.

Stopping goes from the inside out: the HTTP proxy drains first, with everything that its requests need
still there, ``codexctl`` included; then the background tasks end, then the HTTP client closes, then the
account store gives up its lock.
"""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial

import attrs
import trio
from attrs import field, frozen

from codexd.accounts.oauth import TokenEndpoint
from codexd.accounts.refresh import Refresher
from codexd.accounts.store import AccountStore
from codexd.accounts.tracker import LimitTracker
from codexd.control import Control, bind_socket, serve_control
from codexd.errors import AddressUnavailable, HomeMismatch
from codexd.paths import Places
from codexd.record.logs import LogRing
from codexd.record.requests import RequestLog
from codexd.settings import Settings
from codexd.simulator.app import Simulator
from codexd.supervisor import OnFailure, Supervisor
from codexd.upstream.codex import CodexBackend, open_client
from codexd.web import server as web
from codexd.web.app import App, create_quart
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
        async with open_client(settings.upstream, trust_env=not launch.simulated) as http:
            tracker, requests = LimitTracker(clock), RequestLog(time.monotonic)
            refresher = Refresher(store, TokenEndpoint(http, settings.upstream.auth_url), clock)
            backend = CodexBackend(http, settings.upstream, clock)
            turns = TurnRunner(settings, store, refresher, tracker, backend, requests, clock)
            messages = MessagesApi(turns, ending, clock, launch.timing)
            app = App(settings.server, messages, create_quart(simulated=launch.simulated, clock=clock), clock)
            control = _make_control(launch, settings, doors, store, tracker, supervisor, requests)

            async with trio.open_nursery() as background:
                supervise = supervisor.supervise
                background.start_soon(supervise, "refresh scheduler", refresher.run)
                background.start_soon(supervise, "rate-limit tracker", tracker.run)
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


def _make_control(
    launch: Launch,
    settings: Settings,
    doors: _Doors,
    store: AccountStore,
    tracker: LimitTracker,
    supervisor: Supervisor,
    requests: RequestLog,
) -> Control:
    return Control(
        store=store,
        tracker=tracker,
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
        log.warning("no account is active; `codexctl accounts import` brings in a login")
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
