"""codexctl and a whole daemon: what each says is what the other takes."""

import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
import trio
from support.harness import start_daemon

from codexd.accounts.sign_in import device_codes
from codexd.simulator.options import Options

BEA = "bea@example.com"


@pytest.fixture
async def running(nursery, tmp_path, monkeypatch):
    monkeypatch.setattr(device_codes, "MIN_INTERVAL_S", 0.05)
    return await start_daemon(nursery, tmp_path, options=Options(device_interval_s=0.05))


def options(running):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CODEXD_")}
    return {"env": kept | {"CODEXD_SOCKET": str(running.places.socket), "PYTHONUTF8": "1"}, "check": False}


async def run(running, words):
    command = [sys.executable, "-m", "codexctl", *words.split()]
    with trio.fail_after(20):
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, **options(running))
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@asynccontextmanager
async def adding(running, *arguments):
    """``codexctl accounts add`` under way: its flow, its input, and a function that gives its result."""
    command = [sys.executable, "-m", "codexctl", "accounts", "add", "--json", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    output = bytearray()

    async def read_line():
        while b"\n" not in output:
            data = await process.stdout.receive_some()
            assert data, "the output ended"
            output.extend(data)
        line, _, output[:] = bytes(output).partition(b"\n")
        return json.loads(line)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            process = await nursery.start(partial(trio.run_process, command, **pipes, **options(running)))
            async with process.stdin, process.stdout:
                yield await read_line(), process.stdin, read_line
                assert await process.wait() == 0


def allowed(running, flow):
    return running.simulator.oauth.allow_url(flow["url"], BEA)


async def test_a_sign_in_in_a_browser(running):
    async with adding(running) as (flow, _input, read_result):
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(allowed(running, flow))
        result = await read_result()
    assert (result["account"]["email"], result["added"]) == (BEA, True)


@pytest.mark.parametrize("arguments", [(), ("--no-browser",)])
async def test_a_sign_in_by_a_paste(running, arguments):
    async with adding(running, *arguments) as (flow, typed, read_result):
        await typed.send_all(b"http://localhost:1455/auth/callback?code=ac_x&state=another\n")
        await typed.send_all(f"{allowed(running, flow)}\n".encode())
        assert (await read_result())["account"]["email"] == BEA


async def test_a_sign_in_by_a_device_code(running):
    async with adding(running, "--device") as (flow, _input, read_result):
        running.simulator.oauth.approve_device(flow["user_code"], BEA)
        assert (await read_result())["account"]["email"] == BEA


async def test_two_accounts_from_the_first_to_the_last_command(running):
    await running.sign_in(BEA)
    for words, expected in (
        ("accounts verify --all", "The login works"),
        ("accounts refresh bea", "ok      bea@example.com"),
        ("quota --all --refresh", "weekly"),
        ("models bea", "gpt-5.5"),
        ("accounts switch bea --dry-run", "no cost: no session from the last hour"),
        ("accounts switch bea", "bea@example.com (simulated) is now the active account"),
        ("accounts disable simulated", "is disabled"),
        ("accounts", "disabled"),
        ("accounts enable simulated", "is enabled."),
        ("accounts token", "ey"),
        ("accounts remove bea --yes", "Removed bea@example.com (simulated)."),
        ("accounts clear --yes", "Removed 1 account."),
        ("accounts", "codexctl accounts add"),
    ):
        code, out, err = await run(running, words)
        assert (code, err) == (0, ""), words
        assert expected in out, words


async def test_what_fails_says_so(running):
    for words, expected in (
        ("accounts token nobody", "nobody"),
        ("accounts import /absent/auth.json", "/absent/auth.json"),
        ("accounts switch x", "x"),
    ):
        code, out, err = await run(running, words)
        assert (code, out) == (1, ""), words
        assert expected in err, words


async def test_a_request_from_its_prompt_to_its_explanation(running):
    for words, expected in (
        ("test hello --model opus", "on simulated@example.com (simulated) answered opus"),
        ("requests", "codexctl/"),
        ("requests --state done", "opus"),
        ("usage", "gpt-"),
        ("usage --by day --since 1h", "total"),
        ("why req_", "stop reason end_turn"),
        ("logs --grep opus", "POST /v1/messages 200"),
        ("__complete -- why req_", "done, opus"),
        ("__complete -- settings set log.level de", "debug"),
        ("__complete -- test hello --model gpt-5.5", "gpt-5.5"),
    ):
        code, out, err = await run(running, words)
        assert (code, err) == (0, ""), words
        assert expected in out, words
    code, _, err = await run(running, "why")
    assert code == 1
    assert "No request has failed" in err
