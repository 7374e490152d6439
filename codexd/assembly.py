"""The daemon's parts, each given what it works on. What runs, and what stops what, is told by ``daemon``."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from typing import Any

import httpx
import trio
from attrs import evolve, frozen

from codexd.accounts.catalogues import Catalogues
from codexd.accounts.choosing.picker import AccountPicker
from codexd.accounts.choosing.sessions import Sessions
from codexd.accounts.limits.tracker import LimitTracker
from codexd.accounts.limits.usage_poll import UsagePoller
from codexd.accounts.model import Account
from codexd.accounts.refresh import Refresher
from codexd.accounts.sign_in.device import DeviceEndpoint
from codexd.accounts.sign_in.flows import LoginFlows
from codexd.accounts.sign_in.oauth import TokenEndpoint
from codexd.accounts.store.store import AccountStore, Added
from codexd.control.method import Accounts
from codexd.launch import Launch, SimulatedBackend
from codexd.record.logs import LogRing
from codexd.record.requests import RequestLog
from codexd.record.usage import UsageHistory
from codexd.settings.schema import Settings
from codexd.translation.messages import request as messages_request
from codexd.translation.responses import request as responses_request
from codexd.translation.responses.owners import ReasoningOwners
from codexd.turns.kilo import KiloRunner
from codexd.turns.turn import TurnRunner
from codexd.upstream.account import AccountEndpoint
from codexd.upstream.codex import COMPACT, CodexBackend, make_timeout
from codexd.upstream.kilo import FreeModels, KiloBackend
from codexd.web.app import App, create_quart
from codexd.web.callback import serve_callback
from codexd.web.chat import ChatApi
from codexd.web.codex_routes import CodexRoutes
from codexd.web.count import CountRoute
from codexd.web.exchange import ModelRoute
from codexd.web.messages import MessagesApi
from codexd.web.models import ModelLists
from codexd.web.responses import ResponsesApi


def make_accounts(
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
        catalogues=Catalogues(store, refresher, backend, lambda: live.current, clock, launch.places.models),
        sessions=Sessions(),
        logins=LoginFlows(tokens, DeviceEndpoint(sign_in_http, auth_url), auth_url, keep, show_pages, clock),
        tokens=tokens,
    )


@frozen
class Kilo:
    """The third-party route."""

    backend: KiloBackend
    models: FreeModels


def make_kilo(launch: Launch, http: httpx.AsyncClient) -> Kilo:
    live = launch.settings
    backend = KiloBackend(http, lambda: live.current, launch.clock)
    return Kilo(backend, FreeModels(backend))


def make_app(
    launch: Launch, accounts: Accounts, kilo: Kilo, http: httpx.AsyncClient, requests: RequestLog, ending: trio.Event
) -> App:
    """The HTTP side; each request reads the settings that hold then."""
    store, tracker, clock, live = accounts.store, accounts.tracker, launch.clock, launch.settings
    picker = AccountPicker(lambda: live.current.rotation, store, tracker, accounts.sessions, accounts.poller, clock)
    backend = CodexBackend(http, lambda: live.current.upstream, clock)
    turns = TurnRunner(
        settings=lambda: live.current,
        store=store,
        picker=picker,
        refresher=accounts.refresher,
        tracker=tracker,
        backend=backend,
        requests=requests,
        catalogues=accounts.catalogues,
        third_party=KiloRunner(lambda: live.current, kilo.backend, kilo.models, requests, clock),
        clock=clock,
    )
    messages = MessagesApi(turns, clock)
    responses = ResponsesApi(clock, ReasoningOwners())
    compact = evolve(responses, read=responses_request.parse_compact)
    compacting = evolve(turns, backend=evolve(backend, endpoint=COMPACT))
    hot = {
        "/v1/chat/completions": ModelRoute(ChatApi(clock), turns, ending, launch.timing).answer,
        "/v1/messages": ModelRoute(messages, turns, ending, launch.timing).answer,
        "/v1/messages/count_tokens": CountRoute(turns, messages_request.parse_count).answer,
        "/v1/responses": ModelRoute(responses, turns, ending, launch.timing).answer,
        "/v1/responses/compact": ModelRoute(compact, compacting, ending, launch.timing).answer,
        "/v1/responses/input_tokens": CountRoute(
            turns, responses_request.parse_count, {"object": "response.input_tokens"}
        ).answer,
    }
    models = ModelLists(lambda: live.current, store, accounts.catalogues)
    quart = create_quart(simulated=launch.simulated, clock=clock, models=models)
    CodexRoutes(store, accounts.poller, tracker.limits, clock).add_to(quart)
    return App(lambda: live.current.server, hot, quart, clock)


def make_simulator() -> SimulatedBackend:
    """The backend of ``codexd --simulate``."""
    from codexd.simulator.app import Simulator  # noqa: PLC0415 - a real daemon never loads it
    from codexd.simulator.options import Options  # noqa: PLC0415 - as above

    return Simulator(options=Options(kept_requests=20))


def keep_usage(launch: Launch) -> closing[UsageHistory]:
    live = launch.settings
    return closing(UsageHistory(launch.places.usage, lambda: live.current.usage.retention_days, launch.clock))


def apply_settings(logs: LogRing, clients: Iterable[httpx.AsyncClient], before: Settings, after: Settings) -> None:
    """Tell those that don't read the settings themselves each time."""
    if after.log.level != before.log.level:
        logging.getLogger("codexd").setLevel(after.log.level.upper())
    if after.log.history != before.log.history:
        logs.resize(after.log.history)
    for client in clients:
        client.timeout = make_timeout(after.upstream)
