import asyncio
from contextlib import closing

import pytest

from codexctl import async_client
from codexctl.async_client import AsyncControlClient
from codexctl.client import ConnectionLost, NoDaemon, Refused


def run(daemon, use):
    async def connect():
        with closing(await AsyncControlClient.open(daemon.path)) as client:
            return await asyncio.wait_for(use(client), 20)

    return asyncio.run(connect())


def test_calls_go_one_after_the_other(daemon):
    daemon.answers["settings.get"] = lambda params: {"value": params["name"]}

    async def ask(client):
        return [await client.call("settings.get", {"name": name}) for name in ("a", "b")]

    assert run(daemon, ask) == [{"value": "a"}, {"value": "b"}]


def test_a_refusal_has_its_kind(daemon, scripting):
    _, refusal = scripting
    daemon.answers["accounts.list"] = refusal("No.", "account_not_found")
    with pytest.raises(Refused, match=r"No\.") as refused:
        run(daemon, lambda client: client.call("accounts.list"))
    assert refused.value.kind == "account_not_found"


def test_a_daemon_that_hangs_up(daemon, scripting):
    later, _ = scripting
    daemon.answers["daemon.status"] = later

    async def ask(client):
        call = asyncio.create_task(client.call("daemon.status"))
        await asyncio.to_thread(daemon.next_call, "daemon.status")
        daemon.hang_up("daemon.status")
        await call

    with pytest.raises(ConnectionLost, match="closed the connection"):
        run(daemon, ask)


def test_a_daemon_that_never_answers(daemon, scripting, monkeypatch):
    later, _ = scripting
    monkeypatch.setattr(async_client, "REPLY_TIMEOUT_S", 0.05)
    daemon.answers["daemon.status"] = later
    with pytest.raises(NoDaemon, match="did not answer"):
        run(daemon, lambda client: client.call("daemon.status"))


def test_no_daemon(tmp_path):
    with pytest.raises(NoDaemon, match="is not running"):
        asyncio.run(AsyncControlClient.open(tmp_path / "none.sock"))
