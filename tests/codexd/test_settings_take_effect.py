"""What is set while the daemon runs holds from the next request on."""

from __future__ import annotations

import itertools
import logging
import os
import re
import signal
import subprocess
import sys

import httpx
import pytest
import trio
import trio.testing
from support.harness import HELLO, RefusedError, post, start_daemon

from codexd.api.records import LogFilter
from codexd.assembly import apply_settings
from codexd.record.logs import LogRing
from codexd.settings.schema import Settings, replace_values
from codexd.upstream.http import make_timeout


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path)


OPUS = HELLO | {"model": "claude-opus-4-8"}


async def asked_of(running, body=OPUS, **headers):
    """The request that reaches the backend for ``body``."""
    answer = await post(running, body, **headers)
    assert answer.status_code == 200, answer.text
    return running.asked[-1]


async def test_models_and_efforts(running):
    before = (await asked_of(running)).body
    await running.call("settings.set", name="models.opus", value="gpt-6.1-sol")
    await running.call("settings.set", name="reasoning.opus", value="low")
    after = (await asked_of(running)).body
    assert (before["model"], before["reasoning"]["effort"]) == ("gpt-5.5", "high")
    assert (after["model"], after["reasoning"]["effort"]) == ("gpt-6.1-sol", "low")
    await running.call("settings.set", name="models.aliases", value={"mine": "gpt-6-sol"})
    assert (await asked_of(running, OPUS | {"model": "mine"})).body["model"] == "gpt-6-sol"
    await running.call("settings.unset", name="models.opus")
    assert (await asked_of(running)).body["model"] == "gpt-5.5"


async def test_the_api_key(running):
    assert (await post(running, HELLO)).status_code == 200
    await running.call("settings.set", name="server.api_key", value="k1")
    assert (await post(running, HELLO)).status_code == 401
    assert (await post(running, HELLO, x_api_key="k1")).status_code == 200
    await running.call("settings.set", name="server.api_key", value="k2")
    assert (await post(running, HELLO, x_api_key="k1")).status_code == 401
    await running.call("settings.unset", name="server.api_key")
    assert (await post(running, HELLO)).status_code == 200


async def test_the_fast_tier(running):
    fast = {**HELLO, "model": "gpt-6-sol"}
    assert "service_tier" not in (await asked_of(running, fast)).body
    await running.call("settings.set", name="models.fast", value="catalogue")
    assert (await asked_of(running, fast)).body["service_tier"] == "priority"
    assert "service_tier" not in (await asked_of(running, {**fast, "service_tier": "standard_only"})).body
    assert "service_tier" not in (await asked_of(running, HELLO)).body


async def test_rotation(running):
    numbers = itertools.count()

    async def accounts_asked():
        for _ in range(4):
            await asked_of(running, HELLO | {"messages": [{"role": "user", "content": f"{next(numbers)}"}]})
        return {request.headers["chatgpt-account-id"] for request in running.asked[-4:]}

    await running.sign_in("bea@example.com")
    assert len(await accounts_asked()) == 1
    await running.call("settings.set", name="rotation.enabled", value=True)
    await running.call("settings.set", name="rotation.strategy", value="round-robin")
    assert len(await accounts_asked()) == 2
    await running.call("settings.set", name="rotation.enabled", value=False)
    assert len(await accounts_asked()) == 1


async def test_strict_translation(running):
    body = HELLO | {"top_k": 5}
    assert (await post(running, body)).status_code == 200
    await running.call("settings.set", name="translation.strict", value="on")
    refused = await post(running, body)
    assert refused.status_code == 400
    assert "translation.strict" in refused.text


async def test_what_the_backend_is_told_and_how_long_it_is_waited_for(running):
    await running.call("settings.set", name="upstream.client_version", value="9.9.9")
    assert (await asked_of(running)).headers["version"] == "9.9.9"
    await running.call("settings.set", name="upstream.idle_timeout", value=0.2)
    running.load({"stall_s": 60})
    assert "silent for 0.2 s" in (await post(running, HELLO)).text


async def test_the_level_and_the_length_of_the_log(running):
    logger = logging.getLogger("codexd")
    await running.call("settings.set", name="log.level", value="warning")
    assert logger.level == logging.WARNING
    await running.call("settings.set", name="log.history", value=3)
    for number in range(5):
        logger.warning("entry %d", number)
    kept = [entry.message for entry in running.logs.history(LogFilter())]
    assert kept == ["entry 2", "entry 3", "entry 4"]


async def test_what_a_flag_fixes_is_said(running):
    with pytest.raises(RefusedError, match="--port"):
        await running.call("settings.set", name="server.port", value=1)
    with pytest.raises(RefusedError, match="--simulate"):
        await running.call("settings.set", name="upstream.backend_url", value="http://example.com")


async def test_a_reload_and_a_broken_file(running):
    running.places.settings.write_text("[models]\nopus = 'gpt-6.1-sol'\n")
    assert (await asked_of(running)).body["model"] == "gpt-5.5"
    changed = (await running.call("daemon.reload"))["changed"]
    assert [(change["name"], change["after"]) for change in changed] == [("models.opus", ["gpt-6.1-sol"])]
    running.places.settings.write_text("[models]\nopus = 'gpt-5.4-mini'\n[server")
    with pytest.raises(RefusedError, match="not TOML"):
        await running.call("daemon.reload")
    assert (await asked_of(running)).body["model"] == "gpt-6.1-sol"
    assert "[server" in running.places.settings.read_text()


async def test_a_stop_lets_streams_end(nursery, tmp_path):
    answers = []

    async def ask(running):
        answers.append(await post(running, HELLO))

    async with trio.open_nursery() as daemons:
        running = await start_daemon(daemons, tmp_path)
        running.load({"output": [{"text": "begun"}], "hold": "end", "after_events": 4})
        nursery.start_soon(ask, running)
        with trio.fail_after(10):
            while not running.asked:
                await trio.sleep(0.01)
        stopping = await running.call("daemon.stop")
        assert stopping == {
            "streams_in_flight": 1,
            "drain_seconds": 5.0,
            "service": {"manager": None, "unit": None, "activated": False},
        }
        running.simulator.release("end")
    with trio.fail_after(5):
        while not answers:
            await trio.sleep(0.01)
    assert answers[0].status_code == 200
    assert not running.places.socket.exists()


async def test_a_client_that_does_not_wait_for_the_reply_stops_the_daemon_too(tmp_path):
    with trio.fail_after(20):
        async with trio.open_nursery() as daemons:
            running = await start_daemon(daemons, tmp_path)
            async with await trio.open_unix_socket(str(running.places.socket)) as stream:
                await stream.send_all(b'{"jsonrpc": "2.0", "method": "daemon.stop"}\n')


async def test_the_clients_get_another_connect_timeout():
    before = Settings()
    async with httpx.AsyncClient(trust_env=False) as client:
        after = replace_values(before, {"upstream.connect_timeout": 3.0})
        apply_settings(LogRing(1), [client], before, after)
        assert client.timeout == make_timeout(after.upstream)
        assert client.timeout.connect == 3


def test_sighup_reloads_and_a_broken_file_does_no_harm(tmp_path):
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CODEXD_", "PORT", "HOST"))}
    command = [sys.executable, "-m", "codexd", "--simulate", "--port", "0", "--home", str(tmp_path)]
    file = tmp_path / "settings.toml"
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        try:
            address = re.search(r"listens on (http://\S+)", process.stdout.readline())[1]
            assert hang_up(process, file, "[server]\napi_key = 'k'\n", "settings changed: server.api_key")
            assert httpx.post(f"{address}/v1/messages", json=HELLO, trust_env=False).status_code == 401
            assert hang_up(process, file, "[server]\napi_key = 'k2'\nhots = 1\n", "did you mean server.host?")
            answer = httpx.post(f"{address}/v1/messages", json=HELLO, headers={"x-api-key": "k"}, trust_env=False)
            assert answer.status_code == 200
        finally:
            process.kill()


def hang_up(process, file, text, said):
    """Put ``text`` into the settings file and send SIGHUP; whether the log says ``said``."""
    file.write_text(text)
    process.send_signal(signal.SIGHUP)
    return any(said in line for line in iter(process.stderr.readline, ""))
