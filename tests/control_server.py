"""A control socket over a real store, ring and supervisor, for the tests of both of its ends."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from codexd.accounts.store import AccountStore
from codexd.accounts.tracker import LimitTracker
from codexd.control import Control, bind_socket, serve_control
from codexd.paths import Places
from codexd.record.logs import LogRing
from codexd.record.requests import RequestLog
from codexd.settings import Settings
from codexd.supervisor import Supervisor

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


def make_control(folder: Path, store: AccountStore, *, simulated=False, ring=None) -> Control:
    return Control(
        store=store,
        tracker=LimitTracker(lambda: NOW),
        supervisor=Supervisor(),
        logs=ring or LogRing(1000),
        requests=RequestLog(lambda: 0.0),
        places=Places(folder, folder, folder / "control.sock"),
        settings=Settings(),
        addresses=("http://127.0.0.1:8081",),
        simulated=simulated,
        started_at=NOW - 60,
        clock=lambda: NOW,
        environ={"CODEX_HOME": str(folder / "codex-cli")},
    )


@asynccontextmanager
async def serving(control: Control) -> AsyncIterator[Control]:
    """``control`` answering at its socket."""
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, control, bind_socket(control.places.socket))
        try:
            yield control
        finally:
            nursery.cancel_scope.cancel()
