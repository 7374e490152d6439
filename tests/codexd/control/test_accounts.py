import pytest
from support.control_peer import connect, serving
from support.control_server import NOW, auth_json, make_control

from codexd.accounts.limits.windows import Observation, Window
from codexd.accounts.store.store import AccountStore


@pytest.fixture
def store(tmp_path):
    with AccountStore.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def control(tmp_path, store):
    return make_control(tmp_path, store)


async def test_accounts_with_their_quota_and_state(control, store):
    work, _ = store.add(auth_json(), now=NOW)
    home, _ = store.add(auth_json("home@example.com", "pro"), now=NOW, simulated=True)
    store.mark_needs_login(home.id, "its login has ended")
    control.accounts.tracker.fold(work.id, Observation((Window("5h", 100.0, 18000, NOW + 60),), "plus", NOW))
    async with serving(control):
        peer = await connect(control)
        result = (await peer.call("accounts.list")).result
    first, second = result["accounts"]
    assert result["active"] == work.id
    assert first == {
        "id": work.id,
        "label": "work@example.com",
        "email": "work@example.com",
        "plan": "plus",
        "active": True,
        "state": "limited",
        "reason": None,
        "expires_at": NOW + 864_000,
        "added_at": NOW,
        "last_used": None,
        "quota": [{"name": "5h", "used_percent": 100.0, "window_seconds": 18000, "resets_at": NOW + 60, "limit": None}],
        "simulated": False,
        "quota_stale": False,
        "limited_until": None,
        "followed": None,
        "workspace": "workspace-work",
    }
    assert (second["state"], second["reason"], second["simulated"]) == ("needs_login", "its login has ended", True)
    assert not second["active"]


async def test_an_account_whose_file_is_unreadable_is_still_listed(control, store, tmp_path):
    account, _ = store.add(auth_json(), now=NOW)
    store.close()
    (tmp_path / "accounts" / account.id / "auth.json").write_text("{")
    with AccountStore.open(tmp_path) as reopened:
        broken = make_control(tmp_path, reopened)
        async with serving(broken):
            peer = await connect(broken)
            (info,) = (await peer.call("accounts.list")).result["accounts"]
            status = (await peer.call("daemon.status")).result
        assert (info["state"], info["expires_at"]) == ("needs_login", None)
    assert len(status["problems"]) == 1


@pytest.mark.parametrize(
    ("state", "warning"),
    [
        ("ok", None),
        ("disabled", "codexctl accounts enable work@example.com"),
        ("needs_login", "its login has ended"),
        ("limited", "It is available again in 1 min"),
    ],
)
async def test_a_switch_warns_of_an_account_that_cant_serve(control, store, state, warning):
    work, _ = store.add(auth_json(), now=NOW)
    match state:
        case "disabled":
            store.set_disabled(work.id, disabled=True)
        case "needs_login":
            store.mark_needs_login(work.id, "its login has ended")
        case "limited":
            control.accounts.tracker.fold(work.id, Observation((Window("5h", 100.0, 18000, NOW + 60),), "plus", NOW))
    async with serving(control):
        peer = await connect(control)
        result = (await peer.call("accounts.switch", {"account": "work"})).result
    assert result["warning"] is None if warning is None else warning in result["warning"]


async def test_quota_and_models_with_no_account_say_how_to_sign_in(control):
    async with serving(control):
        peer = await connect(control)
        for method in ("accounts.quota", "accounts.models"):
            assert "codexctl accounts add" in (await peer.call(method)).message


async def test_switch(control, store):
    store.add(auth_json(), now=NOW)
    home, _ = store.add(auth_json("home@example.com"), now=NOW)
    async with serving(control):
        peer = await connect(control)
        reply = await peer.call("accounts.switch", {"account": "home"})
        unknown = await peer.call("accounts.switch", {"account": "nobody"})
    assert reply.result["account"]["email"] == "home@example.com"
    assert store.active == home
    assert (unknown.code, unknown.data) == (-32000, {"kind": "account_not_found"})
