"""``daemon.*`` and ``kilo.models``."""

import os

import attrs
import pytest
import trio
from support.control_peer import connect, serving
from support.control_server import NOW, auth_json, make_call, make_control

from codexd.accounts.limits.windows import Observation, Window
from codexd.accounts.store.store import AccountStore
from codexd.control.daemon import KILO_IS_OFF
from codexd.control.dispatch import dispatch
from codexd.errors import NoAccount, NoSuchRoute, RateLimited, RefreshUnavailable, UsageLimitReached


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
        "faults": None,
        "tasks": [],
        "active_account": "work@example.com",
        "streams_in_flight": 1,
        "settings_path": str(tmp_path / "settings.toml"),
        "problems": [],
        "serving": {
            "possible": True,
            "state": "ok",
            "account": "work@example.com",
            "reason": None,
            "until": None,
            "advice": None,
            "others": [],
        },
        "limited_models": [],
        "last_failure": None,
        "service": {"manager": "systemd", "unit": "codexd.service", "activated": True},
        "bounds": [
            {"name": "requests kept", "used": 1, "limit": 1000, "unit": ""},
            {"name": "bodies", "used": 0, "limit": 8, "unit": "bytes"},
        ],
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
        assert (await peer.call("daemon.stop")).result == {
            "streams_in_flight": 0,
            "drain_seconds": 30.0,
            "service": {"manager": "systemd", "unit": "codexd.service", "activated": True},
        }
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


async def read_status(control):
    return (await dispatch(make_call(control), "daemon.status", None)).value


async def test_serving_follows_the_accounts(control, store):
    assert (await read_status(control))["serving"]["state"] == "no_account"
    work, _ = store.add(auth_json(), now=NOW)
    home, _ = store.add(auth_json("home@example.com"), now=NOW)
    assert (await read_status(control))["serving"] == {
        "possible": True,
        "state": "ok",
        "account": "work@example.com",
        "reason": None,
        "until": None,
        "advice": None,
        "others": ["home@example.com"],
    }
    tracker = control.accounts.tracker
    tracker.fold(work.id, Observation((Window("5h", 100.0, 18000, NOW + 60),), "plus", NOW))
    limited = (await read_status(control))["serving"]
    assert (limited["possible"], limited["state"], limited["until"]) == (False, "limited", NOW + 60)
    assert limited["reason"] == "work@example.com is limited (usage limit reached)"
    tracker.note_refusal(work.id, RateLimited("slow down", retry_after_s=7.0), model="gpt-5.5")
    assert "too many requests" in (await read_status(control))["serving"]["reason"]
    control.live.set("rotation.enabled", "true")
    assert (await read_status(control))["serving"]["account"] == "home@example.com"
    store.mark_needs_login(home.id, "It has ended. Sign in again.")
    status = await read_status(control)
    assert not status["serving"]["possible"]
    assert "home@example.com needs a new login. It has ended. Sign in again." in status["problems"]
    store.set_disabled(home.id, disabled=True)
    assert (await read_status(control))["problems"] == []
    store.switch(home.id)
    control.live.unset("rotation.enabled")
    assert (await read_status(control))["serving"]["state"] == "disabled"
    control.live.set("kilo.enabled", "true")
    assert (await read_status(control))["serving"]["state"] == "kilo_only"


async def test_an_expired_token_that_can_not_be_refreshed(tmp_path):
    later = NOW + 900_000
    with AccountStore.open(tmp_path) as store:
        account, _ = store.add(auth_json(), now=NOW)
        control = attrs.evolve(make_control(tmp_path, store), clock=lambda: later)
        assert (await read_status(control))["serving"]["possible"]
        assert (await read_status(control))["serving"]["state"] == "expired"
        with pytest.raises(RefreshUnavailable):
            await control.accounts.refresher.refresh_now(account.id)
        serving = (await read_status(control))["serving"]
    assert (serving["possible"], serving["state"]) == (False, "expired")
    assert "sign-in server" in serving["advice"]


async def test_a_followed_login_that_has_expired(tmp_path):
    file = tmp_path / "theirs.json"
    with AccountStore.open(tmp_path) as store:
        store.add(auth_json(), now=NOW, followed=file)
        control = attrs.evolve(make_control(tmp_path, store), clock=lambda: NOW + 900_000)
        serving = (await read_status(control))["serving"]
    assert not serving["possible"]
    assert str(file) in serving["advice"]


async def test_a_limited_model_and_the_last_failure_are_named(control, store):
    work, _ = store.add(auth_json(), now=NOW)
    windows = (Window("gpt-6-spark 5h", 100.0, 18000, NOW + 60, "gpt-6-spark"),)
    seen = Observation(windows, "plus", NOW, active_limit="gpt-6-spark")
    error = UsageLimitReached("used up", resets_at=NOW + 60)
    control.accounts.tracker.note_refusal(work.id, error, model="gpt-6-spark", observation=seen)
    with control.requests.record("req_1", "POST", "/v1/messages", "test") as record:
        record.note_failure(NoAccount("there is none"))
        record.note_reported(401, "authentication_error", "there is none")
    status = await read_status(control)
    assert status["serving"]["possible"]
    assert status["limited_models"] == [{"model": "gpt-6-spark", "until": NOW + 60}]
    assert (status["last_failure"]["request"], status["last_failure"]["error"]) == ("req_1", "there is none")


async def test_a_failed_probe_is_not_the_last_failure(control):
    with control.requests.record("req_1", "GET", "/backend-api/plugins/list", "test") as record:
        record.note_failure(NoSuchRoute("codexd has no /backend-api/plugins/list"))
        record.note_status(404)
    assert (await read_status(control))["last_failure"] is None
