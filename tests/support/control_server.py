"""A control socket over a real store, ring and supervisor, for the tests of both of its ends."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import httpx
import trio

from codexd.accounts.catalogues import Catalogues
from codexd.accounts.choosing.sessions import Sessions
from codexd.accounts.limits.tracker import LimitTracker
from codexd.accounts.limits.usage_poll import UsagePoller
from codexd.accounts.refresh import Refresher, make_back_off
from codexd.accounts.sign_in.device_codes import DeviceEndpoint
from codexd.accounts.sign_in.flows import LoginFlows
from codexd.accounts.sign_in.keeper import LoginKeeper
from codexd.accounts.sign_in.server import SignInServer, TokenEndpoint
from codexd.accounts.store.store import AccountStore
from codexd.api.daemon import Process, Service
from codexd.bounds import Gauge
from codexd.control.method import Accounts, Call, Control
from codexd.control.socket import bind_socket, serve_control
from codexd.errors import RestartFailed
from codexd.paths import Places
from codexd.record.logs import LogRing
from codexd.record.requests import RequestLog
from codexd.record.usage import UsageHistory
from codexd.settings.live import LiveSettings
from codexd.settings.schema import KiloSettings, Settings, UpstreamSettings
from codexd.supervisor import Supervisor
from codexd.upstream.account import AccountEndpoint
from codexd.upstream.kilo import FreeModels, KiloBackend

NOW = 1_800_000_000.0


def jwt(claims):
    parts = ({"alg": "none"}, claims)
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{head}.{body}.c2ln"


def auth_json(email="work@example.com", plan="plus"):
    user = email.partition("@")[0]
    claims = {
        "email": email,
        "exp": NOW + 864_000,
        "https://api.openai.com/auth": {
            "chatgpt_account_id": f"workspace-{user}",
            "chatgpt_user_id": f"user-{user}",
            "chatgpt_plan_type": plan,
        },
    }
    tokens = {"id_token": jwt(claims), "access_token": jwt(claims), "refresh_token": f"rt_{user}_0123456789"}
    return {"OPENAI_API_KEY": None, "tokens": tokens | {"account_id": f"workspace-{user}"}}


NOWHERE = "http://127.0.0.1:9"
"""The sign-in server of a control socket that never asks it."""


def make_accounts(store: AccountStore) -> Accounts:
    """Of a store, with a network on which nobody answers."""

    async def refuse(*_args, **_options):
        raise OSError

    http, tracker = httpx.AsyncClient(trust_env=False), LimitTracker(lambda: NOW)
    server = SignInServer(http, NOWHERE, make_back_off(), lambda: NOW)
    tokens = TokenEndpoint(server)
    refresher = Refresher(store, tokens, lambda: NOW)
    keeper = LoginKeeper(lambda auth_json: store.add(auth_json, now=NOW), lambda: store.reserve(None))
    upstream = attrs.evolve(UpstreamSettings(), backend_url=f"{NOWHERE}/backend-api")
    backend = AccountEndpoint(http, lambda: upstream, lambda: NOW)
    return Accounts(
        store=store,
        refresher=refresher,
        tracker=tracker,
        poller=UsagePoller(store, refresher, tracker, backend, lambda: NOW),
        catalogues=Catalogues(store, refresher, backend, Settings, lambda: NOW),
        sessions=Sessions(),
        logins=LoginFlows(tokens, DeviceEndpoint(server), NOWHERE, keeper, refuse, lambda: NOW),
        tokens=tokens,
    )


def make_kilo() -> FreeModels:
    """On that network."""
    settings = attrs.evolve(Settings(), kilo=KiloSettings(url=NOWHERE))
    return FreeModels(KiloBackend(httpx.AsyncClient(trust_env=False), lambda: settings, lambda: NOW))


async def refuse_to_restart(_replied: trio.Event) -> Process:
    raise RestartFailed("codexd can't be restarted: it runs inside another program")


def make_control(folder: Path, store: AccountStore, *, simulated=False, ring=None) -> Control:
    return Control(
        accounts=make_accounts(store),
        kilo=make_kilo(),
        supervisor=Supervisor(),
        logs=LogRing(1000) if ring is None else ring,
        requests=RequestLog(lambda: 0.0),
        usage=UsageHistory(folder / "usage.sqlite3", lambda: 90, lambda: NOW),
        places=Places(folder, folder, folder / "control.sock"),
        live=LiveSettings.open(folder / "settings.toml", environ={}, flags={}),
        addresses=("http://127.0.0.1:8081",),
        service=Service("systemd", "codexd.service", activated=True),
        simulated=simulated,
        faults=None,
        started_at=NOW - 60,
        clock=lambda: NOW,
        environ={"CODEX_HOME": str(folder / "codex-cli")},
        stop_after=lambda replied: None,
        restart=refuse_to_restart,
        drain_s=30.0,
        gauges=(Gauge("requests kept", lambda: 1, lambda: 1000), Gauge("bodies", lambda: 0, lambda: 8, "bytes")),
    )


class Follows:
    """A session without a connection: its follows are noted, and no event is sent."""

    def __init__(self):
        self.methods = []
        self._followers = {}

    def follow(self, method, follower, replied):
        self.methods.append(method)
        self._followers[len(self.methods)] = follower
        return len(self.methods)

    def cancel(self, subscription):
        follower = self._followers.pop(subscription, None)
        if follower is not None:
            follower.close()
        return follower is not None


def make_call(control: Control) -> Call:
    return Call(control, Follows(), trio.Event())


@asynccontextmanager
async def serving(control: Control) -> AsyncIterator[Control]:
    """``control`` answering at its socket."""
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, control, bind_socket(control.places.socket))
        try:
            yield control
        finally:
            nursery.cancel_scope.cancel()


def write_auth(path: Path, **options) -> Path:
    """The login file of another program."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(auth_json(**options)))
    return path
