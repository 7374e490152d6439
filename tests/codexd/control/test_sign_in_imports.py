"""``accounts.import``."""

import pytest
from support.control_peer import connect, serving
from support.control_server import make_control, write_auth

from codexd.accounts.store.store import AccountStore


@pytest.fixture
def store(tmp_path):
    with AccountStore.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def control(tmp_path, store):
    return make_control(tmp_path, store)


async def test_import_from_the_codex_cli_warns_of_the_shared_login(control, store, tmp_path):
    codex_file = write_auth(tmp_path / "codex-cli" / "auth.json")
    async with serving(control):
        peer = await connect(control)
        first = (await peer.call("accounts.import")).result
        again = (await peer.call("accounts.import", {"source": str(codex_file)})).result
    (account,) = store.accounts
    ref = {
        "id": account.id,
        "label": "work@example.com",
        "email": "work@example.com",
        "plan": "plus",
        "simulated": False,
    }
    assert (first["added"], first["updated"]) == ([ref], [])
    assert (again["added"], again["updated"]) == ([], [ref])
    assert f"{codex_file} and codexd now share the same login" in first["note"]
    assert "codexctl accounts add" in first["note"]
    assert "--follow" in first["note"]
    assert first["note"] == again["note"]


async def test_import_from_a_file_or_its_folder(control, tmp_path):
    write_auth(tmp_path / "copy" / "auth.json", email="home@example.com")
    async with serving(control):
        peer = await connect(control)
        result = (await peer.call("accounts.import", {"source": str(tmp_path / "copy")})).result
        absent = await peer.call("accounts.import", {"source": str(tmp_path / "absent.json")})
        relative = await peer.call("accounts.import", {"source": "auth.json"})
    assert [account["email"] for account in result["added"]] == ["home@example.com"]
    assert (absent.code, absent.data) == (-32000, {"kind": "login_file_invalid"})
    assert "absent.json" in absent.message
    assert (relative.code, relative.data["path"]) == (-32602, "source")


async def test_what_a_simulated_daemon_imports_is_simulated(store, tmp_path):
    control = make_control(tmp_path, store, simulated=True)
    write_auth(tmp_path / "codex-cli" / "auth.json")
    async with serving(control):
        peer = await connect(control)
        result = (await peer.call("accounts.import")).result
    assert result["added"][0]["simulated"] is True
