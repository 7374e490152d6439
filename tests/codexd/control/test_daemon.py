"""``daemon.*`` and ``kilo.models``."""

import os

import pytest
import trio
from support.control_peer import connect, serving
from support.control_server import NOW, auth_json, make_control

from codexd.accounts.store.store import AccountStore


@pytest.fixture
def store(tmp_path):
    with AccountStore.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def control(tmp_path, store):
    return make_control(tmp_path, store)


async def test_status(control, store, tmp_path):
    store.add(auth_json(), now=NOW)
    async with serving(control):
        peer = await connect(control)
        with control.requests.record("req_1", "POST", "/v1/messages", "test"):
            reply = await peer.call("daemon.status")
    assert reply.result == {
        "version": "0.1.0",
        "pid": os.getpid(),
        "started_at": NOW - 60,
        "addresses": ["http://127.0.0.1:8081"],
        "simulated": False,
        "tasks": [],
        "active_account": "work@example.com",
        "streams_in_flight": 1,
        "settings_path": str(tmp_path / "settings.toml"),
        "problems": [],
    }


async def test_status_shows_the_tasks(control):
    async with serving(control), trio.open_nursery() as nursery:
        nursery.start_soon(control.supervisor.supervise, "limits", control.accounts.tracker.run)
        await trio.testing.wait_all_tasks_blocked()
        peer = await connect(control)
        reply = await peer.call("daemon.status")
        nursery.cancel_scope.cancel()
    assert reply.result["tasks"] == [{"name": "limits", "state": "running", "restarts": 0, "last_error": None}]
