"""``daemon.*`` and ``kilo.models``."""

import os

import attrs
import pytest
import trio
from support.control_peer import connect, serving
from support.control_server import NOW, auth_json, make_call, make_control

from codexd.accounts.store.store import AccountStore
from codexd.control.daemon import KILO_IS_OFF
from codexd.control.dispatch import dispatch


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


async def test_stop_takes_effect_after_its_reply(control):
    waiting_for = []
    stopping = attrs.evolve(control, stop_after=waiting_for.append)
    async with serving(stopping):
        peer = await connect(stopping)
        assert (await peer.call("daemon.stop")).result == {"streams_in_flight": 0, "drain_seconds": 30.0}
        with trio.fail_after(5):
            await waiting_for[0].wait()


async def test_kilo_is_not_asked_before_its_user_opts_in(control):
    models = (await dispatch(make_call(control), "kilo.models", None)).value
    assert (models["enabled"], models["models"], models["fetched_at"]) == (False, [], None)
    assert models["problem"] == KILO_IS_OFF


async def test_reload_says_what_changed(control):
    control.live.file.write_text("[log]\nlevel = 'debug'\n")
    changed = (await dispatch(make_call(control), "daemon.reload", None)).value
    assert [(change["name"], change["before"], change["after"]) for change in changed["changed"]] == [
        ("log.level", "info", "debug")
    ]
    assert changed["file"] == str(control.live.file)
