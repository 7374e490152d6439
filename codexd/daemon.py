"""What runs, what stops what, and in which order.

The daemon stops from the inside out: the HTTP proxy drains first, while everything that its requests need, ``codexctl``
included, is still there; then the background tasks end, the HTTP clients close, and the account store releases its
lock.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeAlias

import trio
from attrs import evolve

from codexd import __version__
from codexd.accounts.store.store import AccountStore
from codexd.api.daemon import Service
from codexd.assembly import (
    Launch,
    Parts,
    Ready,
    SimulatedBackend,
    list_gauges,
    make_app,
    make_parts,
    open_clients,
    open_usage,
)
from codexd.control.daemon import read_serving
from codexd.control.method import Accounts, Control
from codexd.control.socket import serve_control
from codexd.descriptors import Budget, Slots
from codexd.errors import HomeMismatch, RestartFailed
from codexd.paths import RunningDaemon
from codexd.record.usage import UsageHistory
from codexd.service.handover import Estate, Handover
from codexd.service.lifecycle import Restart, Stop, StopAfter, reload_on_signal, stop_if_orphaned, stop_on_signal
from codexd.service.listeners import Listeners, Origin, open_listeners
from codexd.service.manager import Manager, find_service, knows_main_process
from codexd.service.running import note, noted
from codexd.supervisor import OnFailure, Supervisor
from codexd.upstream.http import make_tls
from codexd.web import server as web

log = logging.getLogger("codexd.daemon")

LAST_REQUEST_S = 5.0
"""For how long after a hand-over a kept connection may be used once more: longer than a busy client is silent."""

LAST_REQUEST_BEFORE_START_S = 1.0
"""The same if the next process only starts when this one has ended, and new connections wait for it."""

Run: TypeAlias = Callable[[], Awaitable[None]]
Task: TypeAlias = tuple[str, Run, OnFailure]


async def serve(launch: Launch, *, task_status: trio.TaskStatus[Ready] = trio.TASK_STATUS_IGNORED) -> None:
    """Run until SIGTERM, SIGINT or cancellation.

    Raises:
        CodexdError: the daemon can't start (``AlreadyRunning``, ``HomeMismatch`` and others), or a task gave up.
    """
    supervisor, stopping, ending = Supervisor(), trio.Event(), trio.Event()
    stop, line = Stop(stopping, launch.drain_s, Manager.of(launch.environ, os.getpid())), launch.line
    tls, budget = make_tls(launch.environ), Budget.of_process()
    with (
        await _open_accounts(launch) as store,
        _open_listeners(launch) as listeners,
        open_usage(launch) as usage,
        _noted(launch, listeners),
    ):
        _check_home(launch, store)
        run_simulator = _simulate(launch, store)
        async with open_clients(launch, tls, budget) as clients:
            parts = make_parts(launch, store, usage, clients, budget)
            async with trio.open_nursery() as background:
                owned = await background.start(_hold_nursery)
                handover = _make_handover(launch, listeners, parts.accounts, background)
                restart = Restart(handover, background, owned, stop, store.close)
                control = _make_control(launch, listeners, parts, supervisor, StopAfter(background, stop), restart)
                for task in _list_owned_tasks(control, stop):
                    owned.start_soon(supervisor.supervise, *task)
                for task in _list_tasks(usage, run_simulator):
                    background.start_soon(supervisor.supervise, *task)
                background.start_soon(stop_on_signal, stop, line)
                background.start_soon(stop_if_orphaned, stop, line)
                await background.start(reload_on_signal, launch.settings, stop.manager, line)
                run_control = _make_control_server(
                    launch, listeners, control, parts.shared.control_clients, restart.handed_over
                )
                await owned.start(_supervise_listener, supervisor, "control socket", run_control)
                async with trio.open_nursery() as proxy:
                    run_http = _make_http_server(launch, listeners, parts, stopping, ending)
                    await proxy.start(_supervise_listener, supervisor, "HTTP proxy", run_http)
                    _report_ready(launch, listeners, store, stop.manager)
                    task_status.started(
                        Ready(listeners.addresses[0], launch.places, launch.simulated, bool(store.accounts))
                    )
                background.cancel_scope.cancel("the HTTP proxy has drained")
            if not line.has_handed_over:
                parts.accounts.tracker.save()
    log.info("the old process has ended its requests" if line.has_handed_over else "stopped")


async def _open_accounts(launch: Launch) -> AccountStore:
    """The accounts; if a predecessor has them, as soon as it lends them.

    Raises:
        AlreadyRunning, FileUnreadable, RestartFailed
    """
    if launch.predecessor is None:
        return AccountStore.open(launch.places.state_dir)
    await launch.predecessor.take_over()
    return AccountStore.open(launch.places.state_dir, launch.predecessor.lock)


def _check_home(launch: Launch, store: AccountStore) -> None:
    """A home is real or simulated: the simulator would reject a real login, and codexd would consider it dead.

    Raises:
        HomeMismatch: it contains an account of the other kind.
    """
    misplaced = next((account for account in store.accounts if account.simulated != launch.simulated), None)
    if misplaced is None:
        return
    advice = "use another --home for --simulate" if launch.simulated else "start with --simulate, or use another --home"
    raise HomeMismatch(f"{launch.places.state_dir} contains the account {misplaced.label}; {advice}")


async def _track_limits(accounts: Accounts) -> None:
    """Process what replies report about the limits, and poll when they report nothing."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(accounts.tracker.run)
        nursery.start_soon(accounts.poller.run)


def _list_owned_tasks(control: Control, stop: Stop) -> Iterator[Task]:
    """What only one process may run. It ends when a new process has taken over."""
    accounts, manager = control.accounts, stop.manager
    yield "refresh scheduler", accounts.refresher.run, OnFailure.RESTART
    yield "rate-limit tracker", partial(_track_limits, accounts), OnFailure.RESTART
    yield "model lists", accounts.catalogues.run, OnFailure.RESTART
    yield "sign-in flows", accounts.logins.run, OnFailure.RESTART
    if manager.address is not None:
        inform = partial(manager.keep_informed, partial(_describe, control, stop.event))
        yield "service manager", inform, OnFailure.RESTART


def _list_tasks(usage: UsageHistory, simulator: Run | None) -> Iterator[Task]:
    """What the requests need that still run when the daemon stops or has handed over."""
    yield "usage history", usage.run, OnFailure.RESTART
    if simulator is not None:
        yield "simulated backend", simulator, OnFailure.END_DAEMON


async def _hold_nursery(*, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    """A nursery that can be cancelled without its parent."""
    async with trio.open_nursery() as nursery:
        task_status.started(nursery)
        await trio.sleep_forever()


async def _supervise_listener(
    supervisor: Supervisor,
    name: str,
    run: Callable[..., Awaitable[None]],
    *,
    task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Started once ``run`` accepts connections. If it fails, the daemon ends."""
    await supervisor.supervise(name, partial(run, task_status=task_status), OnFailure.END_DAEMON)


def _describe(control: Control, stopping: trio.Event) -> str:
    """What the daemon does, in one line for the service manager."""
    running = f"requests in flight: {control.requests.in_flight}"
    if control.live.problem:
        running += "; the settings file is broken, and the last good settings are in effect"
    serving = read_serving(control)
    if stopping.is_set():
        return f"Stopping; {running}"
    if serving.possible and serving.account is not None:
        simulated = " (simulated)" if control.simulated else ""
        return f"Ready: requests go to {serving.account}{simulated}; {running}"
    return f"No request can be served: {serving.reason}; {running}"


def _make_control(
    launch: Launch,
    listeners: Listeners,
    parts: Parts,
    supervisor: Supervisor,
    stop_after: Callable[[trio.Event], None],
    restart: Restart,
) -> Control:
    return Control(
        accounts=parts.accounts,
        kilo=parts.kilo.models,
        supervisor=supervisor,
        logs=launch.logs,
        requests=parts.requests,
        usage=parts.usage,
        places=launch.places,
        live=launch.settings,
        addresses=listeners.addresses,
        service=_find_service(launch, listeners),
        simulated=launch.simulated,
        faults=launch.faults,
        started_at=launch.clock(),
        clock=launch.clock,
        environ=launch.environ,
        stop_after=stop_after,
        restart=restart,
        drain_s=launch.drain_s,
        gauges=list_gauges(launch, parts),
    )


def _make_handover(launch: Launch, listeners: Listeners, accounts: Accounts, background: trio.Nursery) -> Handover:
    """How this daemon would hand over to a new one."""
    server, store, service = launch.settings.current.server, accounts.store, _find_service(launch, listeners)

    def make_estate(channel: int, stderr: int) -> Estate:
        return Estate(
            channel=channel,
            line=launch.line.offer(),
            lock=store.lock.descriptor,
            stderr=stderr,
            http=[each.fileno() for each in listeners.http],
            control=listeners.control.fileno(),
            origin=next(filter(lambda origin: origin.is_manager, listeners.origins), Origin.PREDECESSOR),
            host=server.host,
            port=server.port,
            is_main=knows_main_process(launch.environ, os.getpid()),
            manager=service.manager,
            unit=service.unit,
            temporary_home=None if launch.temporary_home is None else str(launch.temporary_home),
        )

    def save() -> None:
        store.save()
        accounts.tracker.save()
        if not store.is_saved:  # what is in memory only would be lost
            raise RestartFailed(" ".join(store.problems).rstrip("."))

    def take_back() -> None:
        was_lent = store.take_back()
        if was_lent and launch.simulator is not None:
            _sign_in_simulated(launch, launch.simulator, store)
        note(_describe_running(launch, listeners), launch.running_folder)

    lend = partial(store.lock.lend, save)
    return Handover(launch.command, launch.environ, launch.line, background, make_estate, lend, take_back)


def _find_service(launch: Launch, listeners: Listeners) -> Service:
    activated = listeners.http_origin.is_manager
    if launch.predecessor is not None:
        return evolve(launch.predecessor.service, activated=activated)
    return find_service(launch.environ, activated=activated)


def _make_control_server(
    launch: Launch, listeners: Listeners, control: Control, slots: Slots, handed_over: trio.Event
) -> Run:
    def owns_file() -> bool:
        return not listeners.control_origin.is_manager and not launch.line.has_handed_over

    return partial(serve_control, control, listeners.control, owns_file=owns_file, slots=slots, leaving=handed_over)


def _make_http_server(
    launch: Launch, listeners: Listeners, parts: Parts, stopping: trio.Event, ending: trio.Event
) -> Run:
    """Once ``stopping`` is set it drains; ``ending`` is set when the time for that is over."""

    def last_request_s() -> float:
        if launch.line.has_handed_over:
            return LAST_REQUEST_S
        return LAST_REQUEST_BEFORE_START_S if listeners.http_origin.is_manager else 0.0

    return partial(
        web.serve,
        make_app(launch, parts, ending),
        list(listeners.http),
        stop=stopping,
        drain_s=launch.drain_s,
        on_drain_end=ending.set,
        last_request_s=last_request_s,
        slots=parts.shared.clients,
    )


def _report_ready(launch: Launch, listeners: Listeners, store: AccountStore, manager: Manager) -> None:
    for problem in store.problems:
        log.error("%s", problem)
    if launch.faults is not None:
        log.warning("the simulated backend fails on purpose: --faults %s", launch.faults)
    if store.active is None:
        log.warning("no account is active; sign in with `codexctl accounts add`")
    log.info("listening on %s and %s", ", ".join(listeners.addresses), launch.places.socket)
    manager.ready()
    if launch.predecessor is not None:
        launch.predecessor.report_ready()


def _open_listeners(launch: Launch) -> AbstractContextManager[Listeners]:
    """Open the listening sockets before anything runs, so that a failure ends the start with a clear error."""
    return open_listeners(launch.adopted, launch.settings.current.server, launch.places.socket, launch.running_folder)


def _noted(launch: Launch, listeners: Listeners) -> AbstractContextManager[None]:
    return noted(_describe_running(launch, listeners), launch.running_folder)


def _describe_running(launch: Launch, listeners: Listeners) -> RunningDaemon:
    places = launch.places
    return RunningDaemon(
        os.getpid(), places.socket, listeners.addresses[0], places.state_dir, launch.simulated, __version__
    )


def _simulate(launch: Launch, store: AccountStore) -> Run | None:
    """Point the settings at the simulator, if there is one, and sign in its accounts. Returns what runs it."""
    simulator = launch.simulator
    if simulator is None:
        return None
    listener = web.bind("127.0.0.1", 0)
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    urls = {
        "upstream.backend_url": f"{base}/backend-api",
        "upstream.auth_url": base,
        "kilo.url": f"{base}/api/openrouter",
    }
    launch.settings.pin(urls, "--simulate")
    _sign_in_simulated(launch, simulator, store)
    return partial(simulator.serve, listener)


def _sign_in_simulated(launch: Launch, simulator: SimulatedBackend, store: AccountStore) -> None:
    """Sign in the accounts: each simulator knows only the logins that it has made itself."""
    store.add(simulator.sign_in(), now=launch.clock(), simulated=True)
    for account in store.accounts:
        login = simulator.sign_in_again(account.email, account.plan, account.chatgpt_account_id)
        if login is not None and account.followed is None:
            store.add(login, now=launch.clock(), simulated=True)
