"""A new process takes over, and no turn is lost; if it can't, the old one goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
from contextlib import suppress

import httpx
import pytest
import trio
from support.daemon_process import LAST_EVENTS, TURNS, open_daemon

from codexd.api.daemon import Service
from codexd.service.handover import Predecessor
from codexd.simulator.options import Options

APIS = list(TURNS)


async def wait_for(condition):
    with trio.fail_after(20):
        while not condition():
            await trio.sleep(0.01)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_turns_go_on_in_the_old_process_while_the_new_one_serves(tmp_path, nursery):
    answers = []

    async def take_turn(path):
        answers.append((path, await daemon.turn(path)))

    async with open_daemon(tmp_path) as daemon:
        held = {"output": [{"text": "to the end"}], "hold": "end", "after_events": 4}
        daemon.simulator.load({"replies": [held] * 20, "then": "agent"})
        for number in range(20):
            nursery.start_soon(take_turn, APIS[number % 3])
        await wait_for(lambda: (len(daemon.simulator.requests) >= 20 and "20" in daemon.log) or count(daemon) >= 20)
        old = await daemon.read_pid()
        status, said, _ = await daemon.codexctl("restart")
        new = await daemon.read_pid()
        assert status == 0
        assert f"(pid {old}) -> " in said
        assert f"(pid {new})\n20 running requests have up to 30 s to finish in the old process.\n" in said
        for path in APIS:
            assert LAST_EVENTS[path] in await daemon.turn(path)
        assert answers == []
        daemon.simulator.release("end")
        await wait_for(lambda: len(answers) == 20)
        for path, text in answers:
            assert "to the end" in text.replace('"}', "")
            assert LAST_EVENTS[path] in text
        assert await daemon.end() == 0
        await wait_for(lambda: not is_alive(new))
        assert not daemon.socket.exists()
        assert "Traceback" not in daemon.log


def count(daemon):
    return sum(1 for request in daemon.simulator.requests if request.path.endswith("/codex/responses"))


async def test_restarts_under_load_fail_no_request_and_leave_nothing(tmp_path):
    done, is_over = [], False

    async def keep_asking(path):
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            while not is_over:
                assert LAST_EVENTS[path] in await daemon.turn(path, client)
                done.append(path)

    async with open_daemon(tmp_path) as daemon:
        pids = [await daemon.read_pid()]
        async with trio.open_nursery() as clients:
            for path in APIS * 2:
                clients.start_soon(keep_asking, path)
            for _ in range(3):
                assert (await daemon.codexctl("restart"))[0] == 0
                pids.append(await daemon.read_pid())
            is_over = True
        assert len(set(pids)) == 4
        assert pids[0] == daemon.process.pid
        await wait_for(lambda: not any(map(is_alive, pids[1:-1])))
        assert await daemon.end() == 0
        await wait_for(lambda: not is_alive(pids[-1]))
        assert [path for path in daemon.home.iterdir() if path.name.startswith((".", "control"))] == []
        assert "Traceback" not in daemon.log


async def test_no_login_is_lost(tmp_path):
    """Each request refreshes; the sign-in server revokes a login whose refresh token comes twice."""

    async def keep_asking():
        while not is_over:
            await daemon.turn("/v1/messages")

    async with open_daemon(tmp_path, options=Options(access_token_lifetime_s=60)) as daemon:
        is_over = False
        await daemon.sign_in(access_expires_in_s=60)
        async with trio.open_nursery() as clients:
            for _ in range(4):
                clients.start_soon(keep_asking)
            for _ in range(2):
                assert (await daemon.codexctl("restart"))[0] == 0
            is_over = True
        refreshes = sum(1 for request in daemon.simulator.requests if request.path == "/oauth/token")
        assert refreshes > 4
        [account] = (await daemon.call("accounts.list"))["result"]["accounts"]
        assert account["state"] in ("ok", "expiring")
        auth_json = json.loads((daemon.home / "accounts" / account["id"] / "auth.json").read_bytes())
        assert daemon.simulator.oauth.is_live(auth_json["tokens"]["refresh_token"])


async def test_with_broken_settings_the_old_one_goes_on_and_says_why(tmp_path):
    async with open_daemon(tmp_path) as daemon:
        good = (daemon.home / "settings.toml").read_text()
        (daemon.home / "settings.toml").write_text(good + "prot = 1\n")
        status, said, error = await daemon.codexctl("restart")
        assert (status, said) == (1, "")
        assert "The new codexd did not start, so the old one goes on: " in error
        assert "server.prot" in error
        assert await daemon.read_pid() == daemon.process.pid
        await daemon.sign_in("bob@example.com")
        assert LAST_EVENTS["/v1/messages"] in await daemon.turn("/v1/messages")
        (daemon.home / "settings.toml").write_text(good)
        assert (await daemon.codexctl("restart"))[0] == 0
        assert await daemon.end() == 0


async def test_a_setting_that_needs_a_restart_takes_effect(tmp_path):
    async with open_daemon(tmp_path) as daemon:
        assert (await daemon.call("settings.set", name="log.history", value="77"))["result"]
        assert (await daemon.codexctl("restart"))[0] == 0
        assert (await daemon.call("settings.get", name="log.history"))["result"]["value"] == 77


def find_free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


async def test_another_port_is_opened_if_it_is_free(tmp_path):
    first, second = find_free_port(), find_free_port()
    async with open_daemon(tmp_path, port=first) as daemon:
        await daemon.call("settings.set", name="server.port", value=str(second))
        with socket.create_server(("127.0.0.1", second)):
            status, _, error = await daemon.codexctl("restart")
            assert (status, f"127.0.0.1:{second}" in error) == (1, True)
        assert LAST_EVENTS["/v1/messages"] in await daemon.turn("/v1/messages")
        assert (await daemon.codexctl("restart"))[0] == 0
        daemon.address = daemon.address.replace(str(first), str(second))
        assert LAST_EVENTS["/v1/messages"] in await daemon.turn("/v1/messages")
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream("127.0.0.1", first)
        assert await daemon.end() == 0


async def test_systemd_is_told_which_process_is_the_service(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        async with open_daemon(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="60000000") as daemon:
            assert (await daemon.codexctl("restart"))[0] == 0
            new = await daemon.read_pid()
            with trio.fail_after(20):
                assert await daemon.process.wait() == 0
            received = []
            with suppress(BlockingIOError):
                while True:
                    received.append(manager.recv(1000).decode())
            assert f"MAINPID={new}" in received
            assert not any(each.startswith("STOPPING") for each in received)
            assert (await daemon.call("daemon.status"))["result"]["service"]["manager"] == "systemd"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_to_the_first_process_ends_all_at_once(tmp_path, nursery, number):
    async def take_turn():
        with pytest.raises(httpx.HTTPError):
            await daemon.turn("/v1/messages")

    async with open_daemon(tmp_path) as daemon:
        held = {"output": [{"text": "..."}], "hold": "never", "after_events": 4}
        daemon.simulator.load({"replies": [held] * 2, "then": "agent"})
        nursery.start_soon(take_turn)
        await wait_for(lambda: count(daemon) == 1)
        assert (await daemon.codexctl("restart"))[0] == 0
        new = await daemon.read_pid()
        nursery.start_soon(take_turn)
        await wait_for(lambda: count(daemon) == 2)
        daemon.process.send_signal(number)
        await wait_for(lambda: daemon.log.count(f"{number.name}: stopping") == 1)
        assert daemon.process.poll() is None
        assert await daemon.end(number) == -number
        await wait_for(lambda: not is_alive(new))


async def test_who_kills_the_first_process_ends_the_line(tmp_path):
    async with open_daemon(tmp_path) as daemon:
        assert (await daemon.codexctl("restart"))[0] == 0
        new = await daemon.read_pid()
        assert await daemon.end(signal.SIGKILL) == -signal.SIGKILL
        await wait_for(lambda: not is_alive(new))
        assert "the process that was started first is gone: stopping" in daemon.log
        assert not daemon.socket.exists()


def test_what_a_later_version_adds_is_passed_over():
    own, given = socket.socketpair()
    with own, given, socket.create_server(("127.0.0.1", 0)) as http:
        numbers = {"channel": given.fileno(), "lock": http.fileno(), "stderr": 2, "http": [], "control": http.fileno()}
        names = {"origin": "predecessor", "host": "127.0.0.1", "port": 8081, "manager": "systemd", "unit": "x.service"}
        estate = {**numbers, **names, "line": None, "is_main": True, "temporary_home": None, "later": 1}
        environ = {"CODEXD_HANDOVER": json.dumps(estate), "WATCHDOG_PID": "7", "SYSTEMD_EXEC_PID": "7"}
        predecessor = Predecessor.find(environ, 8)
        assert environ == {"WATCHDOG_PID": "8", "SYSTEMD_EXEC_PID": "8"}
        assert predecessor.service == Service("systemd", "x.service", activated=False)
        predecessor._channel.detach()
        assert Predecessor.find(environ, 8) is None
