"""What a daemon is started with, and its parts, wired together. ``daemon`` decides what runs when."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import httpx
import trio
from attrs import evolve, field, frozen

from codexd import bounds
from codexd.accounts.catalogues import Catalogues
from codexd.accounts.choosing.picker import AccountPicker
from codexd.accounts.choosing.sessions import Sessions
from codexd.accounts.limits.tracker import LimitTracker
from codexd.accounts.limits.usage_poll import UsagePoller
from codexd.accounts.model import Account, AddOutcome
from codexd.accounts.refresh import Refresher, make_back_off
from codexd.accounts.sign_in.device_codes import DeviceEndpoint
from codexd.accounts.sign_in.flows import LoginFlows
from codexd.accounts.sign_in.keeper import LoginKeeper
from codexd.accounts.sign_in.server import SignInServer, TokenEndpoint
from codexd.accounts.store.lock import LockedEndpoint
from codexd.accounts.store.store import AccountStore
from codexd.bounds import Gauge
from codexd.control.method import Accounts
from codexd.descriptors import Budget, Slots
from codexd.errors import SettingInvalid
from codexd.paths import Places
from codexd.record.logs import LogRing
from codexd.record.requests import RequestLog
from codexd.record.usage import UsageHistory
from codexd.service.handover import Predecessor
from codexd.service.line import Line
from codexd.service.listeners import Adopted
from codexd.settings.live import LiveSettings
from codexd.settings.schema import Settings
from codexd.translation.chat.api import CHAT
from codexd.translation.client_api import ClientApi
from codexd.translation.messages import request as messages_request
from codexd.translation.messages.api import MESSAGES
from codexd.translation.reading.media import FINDINGS
from codexd.translation.reading.schema import fit_known
from codexd.translation.responses import request as responses_request
from codexd.translation.responses.api import ResponsesApi
from codexd.translation.responses.request import Recall
from codexd.turns.chatgpt import ChatGptPlan
from codexd.turns.kilo import Kilo
from codexd.turns.runner import TurnRunner
from codexd.upstream.account import AccountEndpoint
from codexd.upstream.codex import CodexBackend
from codexd.upstream.http import make_timeout, open_client
from codexd.upstream.kilo import FreeModels, KiloBackend, open_kilo_client
from codexd.upstream.proxies import Proxies
from codexd.web.app import App, Refusals, create_quart
from codexd.web.callback import serve_callback
from codexd.web.codex_routes import CodexRoutes
from codexd.web.exchange import CountRoute, ModelRoute, Timing
from codexd.web.http import Handler, Room
from codexd.web.models import ModelLists

UNLIMITED_TOKENS = 10**15
DRAIN_S = 30.0
"""How long running streams may continue after SIGTERM."""

SPARE_CONNECTIONS = 2
"""Connections to the backend beside those of running requests: for limits and lists of models."""


class SimulatedBackend(Protocol):
    """What a daemon needs from the simulator: a server that signs in its own accounts."""

    def sign_in(self) -> dict[str, Any]: ...

    def sign_in_again(self, email: str, plan: str, account_id: str, /) -> dict[str, Any] | None: ...

    @property
    def faults_spec(self) -> str | None: ...

    async def serve(self, listener: socket.socket, /) -> None: ...


@frozen
class Launch:
    """What a daemon is started with. If ``simulator`` is set, the daemon uses it instead of the real backend.

    ``clock`` returns seconds since the epoch; ``drain_s`` is how long streams may continue after the signal;
    ``running_folder`` is where the daemon notes that it runs, if anywhere; ``adopted`` are the listening sockets that
    were passed to it.

    ``command`` starts the program again; with ``line`` and ``predecessor`` it is for restarting without losing a turn.
    """

    settings: LiveSettings
    places: Places
    logs: LogRing
    environ: Mapping[str, str]
    simulator: SimulatedBackend | None = None
    clock: Callable[[], float] = time.time
    drain_s: float = DRAIN_S
    timing: Timing = field(factory=Timing)
    running_folder: Path | None = None
    adopted: Adopted = field(factory=Adopted)
    command: Sequence[str] = ()
    temporary_home: Path | None = None
    line: Line = field(factory=Line)
    predecessor: Predecessor | None = None

    @property
    def simulated(self) -> bool:
        return self.simulator is not None

    @property
    def faults(self) -> str | None:
        """What the simulator does wrong on purpose, as given to ``--faults``."""
        return self.simulator.faults_spec if self.simulator is not None else None


@frozen
class Ready:
    """What ``serve`` reports once the HTTP proxy and the control socket accept connections."""

    address: str
    places: Places
    simulated: bool
    has_accounts: bool


@frozen
class Shared:
    """What all requests share: places for connections, room for bodies, and what codexd recalls of earlier answers."""

    clients: Slots
    control_clients: Slots
    room: Room = field(factory=Room)
    recall: Recall = field(factory=Recall)


@frozen
class Clients:
    """The HTTP clients: of the backend, the sign-in server and Kilo."""

    backend: httpx.AsyncClient
    sign_in: httpx.AsyncClient
    kilo: httpx.AsyncClient


@asynccontextmanager
async def open_clients(launch: Launch, tls: ssl.SSLContext, budget: Budget) -> AsyncIterator[Clients]:
    upstream = launch.settings.current.upstream
    proxies = Proxies() if launch.simulated else Proxies.of(launch.environ)
    connect = partial(open_client, upstream, proxies=proxies, tls=tls)
    async with (
        connect(max_connections=budget.clients + SPARE_CONNECTIONS) as backend,
        connect(keeps_connections=False) as sign_in,
        open_kilo_client(upstream, proxies=proxies, tls=tls) as kilo,
    ):
        launch.settings.on_change(partial(apply_settings, launch.logs, (backend, sign_in, kilo)))
        yield Clients(backend, sign_in, kilo)


@frozen
class Parts:
    """What requests and control methods work with."""

    clients: Clients
    accounts: Accounts
    kilo: Kilo
    requests: RequestLog
    usage: UsageHistory
    shared: Shared


def make_parts(launch: Launch, store: AccountStore, usage: UsageHistory, clients: Clients, budget: Budget) -> Parts:
    return Parts(
        clients,
        _make_accounts(launch, store, clients),
        _make_kilo(launch, clients.kilo),
        RequestLog(time.monotonic, on_end=usage.add),
        usage,
        Shared(Slots(budget.clients), Slots(budget.control)),
    )


def _make_accounts(launch: Launch, store: AccountStore, clients: Clients) -> Accounts:
    """The parts that work on accounts, using the sign-in server and the backend of the settings."""
    clock, live = launch.clock, launch.settings
    auth_url = live.current.upstream.auth_url
    server = SignInServer(clients.sign_in, auth_url, make_back_off(), clock)
    tokens, backend = TokenEndpoint(server), AccountEndpoint(clients.backend, lambda: live.current.upstream, clock)
    show_pages = partial(serve_callback, simulated=launch.simulated)

    def name_account(account_id: str) -> str:
        return next((account.label for account in store.accounts if account.id == account_id), "a removed account")

    refresher = Refresher(store, LockedEndpoint(tokens, store.lock), clock)
    tracker = LimitTracker(clock, launch.places.limits, name_account)

    def keep(auth_json: dict[str, Any]) -> tuple[Account, bool]:
        account, outcome = store.add(auth_json, now=clock(), simulated=launch.simulated)
        return account, outcome is AddOutcome.ADDED

    keeper = LoginKeeper(keep, lambda: store.reserve(None))
    return Accounts(
        store=store,
        refresher=refresher,
        tracker=tracker,
        poller=UsagePoller(store, refresher, tracker, backend, clock),
        catalogues=Catalogues(store, refresher, backend, lambda: live.current, clock, launch.places.models),
        sessions=Sessions(),
        logins=LoginFlows(tokens, DeviceEndpoint(server), auth_url, keeper, show_pages, clock),
        tokens=tokens,
    )


def _make_kilo(launch: Launch, http: httpx.AsyncClient) -> Kilo:
    live = launch.settings
    backend = KiloBackend(http, lambda: live.current, launch.clock)
    return Kilo(lambda: live.current, backend, FreeModels(backend))


def make_app(launch: Launch, parts: Parts, ending: trio.Event) -> App:
    """The HTTP side; each request reads the current settings."""
    live, clock = launch.settings, launch.clock
    accounts, requests, room = parts.accounts, parts.requests, parts.shared.room
    turns = TurnRunner(lambda: live.current, (parts.kilo, _make_plan(launch, parts)), requests, clock)

    def route(api: ClientApi[Any]) -> Handler:
        return ModelRoute(api, turns, requests, room, ending, clock, launch.timing).answer

    responses = ResponsesApi(parts.shared.recall)
    count_responses = CountRoute(
        turns, room, lambda data: responses.parse_count(data, now=clock()), {"object": "response.input_tokens"}
    )
    hot = {
        "/v1/chat/completions": route(CHAT),
        "/v1/messages": route(MESSAGES),
        "/v1/messages/count_tokens": CountRoute(turns, room, messages_request.parse_count).answer,
        "/v1/responses": route(responses),
        "/v1/responses/compact": route(evolve(responses, read=responses_request.parse_compact)),
        "/v1/responses/input_tokens": count_responses.answer,
    }
    models = ModelLists(lambda: live.current, accounts.store, accounts.catalogues)
    refusals = Refusals(requests, clock)
    quart = create_quart(simulated=launch.simulated, refusals=refusals, models=models)
    CodexRoutes(accounts.store, accounts.poller, accounts.tracker.limits, clock).add_to(quart)
    return App(lambda: live.current.server, hot, quart, refusals)


def _make_plan(launch: Launch, parts: Parts) -> ChatGptPlan:
    accounts, clock, live = parts.accounts, launch.clock, launch.settings
    store, tracker = accounts.store, accounts.tracker
    return ChatGptPlan(
        settings=lambda: live.current,
        store=store,
        picker=AccountPicker(lambda: live.current.rotation, store, tracker, accounts.sessions, accounts.poller, clock),
        refresher=accounts.refresher,
        tracker=tracker,
        catalogues=accounts.catalogues,
        backend=CodexBackend(parts.clients.backend, lambda: live.current.upstream, clock),
        clock=clock,
        now=parts.requests.now,
    )


def list_gauges(launch: Launch, parts: Parts) -> tuple[Gauge, ...]:
    """What ``codexctl status --verbose`` shows as in use."""
    accounts, requests, usage, shared = parts.accounts, parts.requests, parts.usage, parts.shared
    owners, answers = shared.recall.owners, shared.recall.answers

    def gauge(name: str, read: Callable[[], int], limit: int, unit: str = "") -> Gauge:
        return Gauge(name, read, lambda: limit, unit)

    return (
        gauge("connections", lambda: shared.clients.used, shared.clients.limit),
        gauge("control connections", lambda: shared.control_clients.used, shared.control_clients.limit),
        gauge("log lines to write", lambda: _count_unwritten(launch.logs), bounds.OUTPUT_BYTES, "bytes"),
        gauge("bodies of running requests", lambda: shared.room.used_bytes, bounds.BODIES_BYTES, "bytes"),
        gauge("requests kept", lambda: requests.kept, bounds.REQUESTS),
        gauge("refusals kept", lambda: requests.kept_refusals, bounds.REFUSALS),
        Gauge("log entries kept", launch.logs.__len__, lambda: launch.settings.current.log.history),
        gauge("usage to write", lambda: usage.waiting, bounds.USAGE_ROWS),
        gauge("limits to process", lambda: accounts.tracker.waiting, bounds.OBSERVATIONS),
        gauge("sessions", accounts.sessions.__len__, bounds.SESSIONS),
        gauge("answers remembered", lambda: answers.size_bytes, bounds.REMEMBERED_BYTES, "bytes"),
        gauge("reasoning remembered", owners.__len__, bounds.REASONING),
        gauge("tool schemas remembered", lambda: fit_known.cache_info().currsize, bounds.SCHEMAS),
        gauge("images and PDFs checked", FINDINGS.__len__, bounds.MEDIA),
    )


def _count_unwritten(logs: LogRing) -> int:
    return logs.output.waiting_bytes if logs.output is not None else 0


def make_simulator(faults: str | None = None) -> SimulatedBackend:
    """The backend for ``codexd --simulate``; ``faults`` is the SPEC of what goes wrong on purpose.

    Raises:
        SettingInvalid: the SPEC is wrong.
    """
    from codexd.simulator.app import Simulator  # noqa: PLC0415 - a real daemon never loads it
    from codexd.simulator.faults import parse_plan  # noqa: PLC0415 - as above
    from codexd.simulator.options import Options  # noqa: PLC0415 - as above

    try:
        plan = parse_plan(faults) if faults is not None else None
    except ValueError as error:
        raise SettingInvalid(f"--faults: {error}") from None
    if plan is None:
        return Simulator(options=Options(kept_requests=20))
    # Only the SPEC limits anybody: a long run must not use up the plan.
    options = Options(
        kept_requests=20, primary_budget_tokens=UNLIMITED_TOKENS, secondary_budget_tokens=UNLIMITED_TOKENS
    )
    return Simulator(options=options, faults=plan)


def describe_faults() -> str:
    """What may be given to ``--faults``."""
    from codexd.simulator.faults import describe_spec  # noqa: PLC0415 - as above

    return describe_spec()


def open_usage(launch: Launch) -> closing[UsageHistory]:
    live = launch.settings
    return closing(UsageHistory(launch.places.usage, lambda: live.current.usage.retention_days, launch.clock))


def apply_settings(logs: LogRing, clients: Iterable[httpx.AsyncClient], before: Settings, after: Settings) -> None:
    """Apply changed settings to the parts that don't read them on every use."""
    if after.log.level != before.log.level:
        logging.getLogger("codexd").setLevel(after.log.level.upper())
    if after.log.history != before.log.history:
        logs.resize(after.log.history)
    for client in clients:
        client.timeout = make_timeout(after.upstream)
