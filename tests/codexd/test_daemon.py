"""The daemon as a process: starting, stopping, and what it says when it can't."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing
from support.control_server import NOW, auth_json
from support.harness import HELLO, post, read_events, start_daemon, text_of

from codexd import __version__
from codexd.accounts.store.store import AccountStore
from codexd.web.exchange import Timing

ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("CODEXD_", "PORT", "HOST"))}


def codexd(*arguments, **environ):
    command = [sys.executable, "-m", "codexd", *arguments]
    return subprocess.Popen(
        command, env=ENVIRON | environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )


@contextmanager
def running(*arguments, **environ):
    """A daemon process and its address."""
    with codexd("--simulate", "--port", "0", *arguments, **environ) as process:
        try:
            first = process.stdout.readline()
            yield process, re.search(r"listens on (http://\S+)", first)[1]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_stops_in_order(number, tmp_path):
    with running("--home", str(tmp_path)) as (process, address):
        answer = httpx.post(f"{address}/v1/messages", json=HELLO, trust_env=False)
        assert answer.status_code == 200
        assert (tmp_path / "control.sock").exists()
        process.send_signal(number)
        _, log = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "stopped" in log
    assert "Traceback" not in log
    assert not (tmp_path / "control.sock").exists()


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(first, second, tmp_path):
    with running("--home", str(tmp_path)) as (process, address):
        host, _, port = address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
            while not (read_status(tmp_path))["streams_in_flight"]:
                pass
            process.send_signal(first)
            while "stopping" not in (line := process.stderr.readline()):
                assert line
            process.send_signal(second)
            _, log = process.communicate(timeout=10)
    assert process.returncode == -second
    assert "Traceback" not in log


def read_status(home):
    codexctl = [sys.executable, "-m", "codexctl", "--socket", str(home / "control.sock"), "status", "--json"]
    return json.loads(subprocess.run(codexctl, check=False, capture_output=True, text=True).stdout)


def test_it_says_what_to_type_next():
    with running() as (process, address):
        lines = [process.stdout.readline() for _ in range(4)]
        answer = subprocess.run(shlex.split(lines[1]), check=True, capture_output=True, text=True).stdout
    assert json.loads(answer)["type"] == "message"
    assert f"ANTHROPIC_BASE_URL={address}" in lines[2]
    assert "logs -f" in lines[3]


def end_of(*arguments, **environ):
    """The exit status and the only line of a daemon that does not start."""
    process = codexd(*arguments, **environ)
    _, said = process.communicate(timeout=20)
    assert "Traceback" not in said
    assert said.count("\n") == 1, said
    return process.returncode, said


def test_a_second_daemon_of_one_home_refuses_and_names_the_first(tmp_path):
    with running("--home", str(tmp_path)) as (process, address):
        status, said = end_of("--simulate", "--port", "0", "--home", str(tmp_path))
        assert f"It is codexd {__version__} at {address} (simulated, pid {process.pid}, socket {tmp_path}" in said
    assert status == 1


def test_a_daemon_in_the_way_of_the_port_is_named(tmp_path):
    with running("--home", str(tmp_path)) as (process, address):
        status, said = end_of("--simulate", "--port", address.rpartition(":")[2])
        assert f"pid {process.pid}, socket {tmp_path}/control.sock) uses the port" in said
    assert status == 1


@pytest.mark.parametrize("arguments", [(), ("--home", "HOME")])
def test_codexctl_finds_it_wherever_it_is(tmp_path, arguments):
    home = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_RUNTIME_DIR": str(tmp_path / "other")}
    with running(*(word.replace("HOME", str(tmp_path / "home")) for word in arguments), **home) as (process, address):
        environ = ENVIRON | home | {"XDG_RUNTIME_DIR": str(tmp_path)}
        found = subprocess.run(
            [sys.executable, "-m", "codexctl", "status", "--json"], env=environ, check=True, capture_output=True
        )
        assert json.loads(found.stdout)["pid"] == process.pid
        assert address in found.stderr.decode()
        process.terminate()
        process.communicate(timeout=10)
    assert list((tmp_path / "state" / "codexd" / "running").iterdir()) == []


def test_the_greeting_names_the_socket_only_where_codexctl_needs_it(tmp_path):
    def start(home):
        return codexd("--simulate", "--port", "0", "--home", str(tmp_path / home), XDG_STATE_HOME=str(tmp_path))

    with start("a") as first:
        assert "codexctl logs -f\n" in next(line for line in first.stdout if "logs -f" in line)
        with start("b") as second:
            said = next(line for line in second.stdout if "logs -f" in line)
            assert f"codexctl --socket {tmp_path / 'b' / 'control.sock'} logs -f" in said
            second.terminate()
            second.communicate(timeout=10)
        first.terminate()
        first.communicate(timeout=10)


CAN_NOT_START = [
    (["--host", "nonsense.invalid"], {"CODEXD_SERVER_API_KEY": "k"}, 1, "this machine has no such address"),
    (["--host", "http://127.0.0.1"], {}, 2, "server.host"),
    (["--host", "a..b"], {}, 2, "server.host"),
    (["--host", "\udcff"], {}, 2, "server.host"),
    (["--home", ""], {}, 2, "--home"),
    (["--home", f"{os.devnull}/home"], {}, 2, f"{os.devnull}/home"),
    (["--home", os.devnull], {}, 2, os.devnull),
    ([], {"HTTPS_PROXY": "foo:bar:baz"}, 1, "HTTPS_PROXY"),
    ([], {"ALL_PROXY": "socks4://127.0.0.1:9"}, 1, "ALL_PROXY"),
    ([], {"SSL_CERT_FILE": "/nowhere"}, 1, "SSL_CERT_FILE"),
    ([], {"SSL_CERT_DIR": "/nowhere"}, 1, "SSL_CERT_DIR"),
    ([], {"SSLKEYLOGFILE": "/nowhere/keys"}, 1, "SSLKEYLOGFILE"),
    ([], {"CODEXD_SOCKET": "/tmp/" + "x" * 200}, 1, "CODEXD_SOCKET"),
    ([], {"CODEXD_HOME": "~nobody-of-this-name/x"}, 2, "home folder is unknown"),
]


@pytest.mark.parametrize(("arguments", "environ", "status", "word"), CAN_NOT_START)
def test_whatever_prevents_the_start_is_one_line_that_names_it(tmp_path, arguments, environ, status, word):
    home = {} if "CODEXD_HOME" in environ else {"CODEXD_HOME": str(tmp_path)}
    found, said = end_of("--port", "0", *arguments, **home, **environ)
    assert (found, word in said) == (status, True), said


def test_a_home_that_can_not_be_made(tmp_path):
    home = tmp_path / "link"
    home.symlink_to(tmp_path / "nowhere" / "home")
    found, said = end_of("--port", "0", "--home", str(home))
    assert (found, f"{home} can't be used" in said) == (1, True), said


def test_a_folder_that_is_gone(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"cd {gone} && rmdir {gone} && exec {shlex.quote(sys.executable)} -m codexd --home x"
    environ = ENVIRON | {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the current folder is gone" in done.stderr


@pytest.mark.parametrize(
    ("environ", "arguments"),
    [
        ({"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost,[::1]"}, []),
        ({"ALL_PROXY": "socks5://127.0.0.1:9"}, []),
        ({}, ["--host", "[::1]"]),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, []),
        ({"XDG_RUNTIME_DIR": "/nowhere"}, []),
        ({"CODEXD_HOME": "~nobody-of-this-name/x"}, []),
    ],
)
def test_it_starts_all_the_same(tmp_path, environ, arguments):
    with codexd("--port", "0", "--home", str(tmp_path / "\udcff"), *arguments, **environ) as process:
        assert "listens on http://" in process.stdout.readline()
        process.terminate()
        process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.mark.parametrize("output", ["/dev/full", "closed pipe"])
def test_it_runs_even_if_nobody_reads_its_greeting(output, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    if output == "/dev/full":
        os.dup2(os.open(output, os.O_WRONLY), writing)
    command = [sys.executable, "-m", "codexd", "--simulate", "--port", "0", "--home", str(tmp_path)]
    with subprocess.Popen(command, env=ENVIRON, stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        assert "listening on" in process.stderr.readline()
        process.terminate()
        said = process.stderr.read()
    assert process.returncode == 0
    assert "Traceback" not in said
    assert "Exception" not in said


def test_a_taken_port_is_said_with_the_setting_to_change(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = codexd("--simulate", "--port", str(port))
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}" in said
    assert "server.port" in said
    assert "Traceback" not in said


def test_a_socket_that_can_not_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "control.sock"
    process = codexd("--simulate", "--port", "0", CODEXD_SOCKET=str(path))
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"can't create the control socket {path}" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[server]\nprot = 1\n", "did you mean server.port?"),
        ("[server", "not TOML"),
        (b"\xff\xfe", "can't be read"),
    ],
)
def test_bad_settings_are_a_usage_error_and_the_file_stays(tmp_path, content, said):
    file = tmp_path / "settings.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = file.read_bytes()
    process = codexd("--home", str(tmp_path), "--port", "0")
    _, error = process.communicate(timeout=20)
    assert process.returncode == 2
    assert said in error
    assert str(file) in error
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", ['{"version": 1, "accou', "", b"\x00\xff\xfe", '{"version": 99, "accounts": []}'])
def test_an_unreadable_account_file_is_said_and_kept(tmp_path, content):
    file = tmp_path / "accounts.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = file.read_bytes()
    with codexd("--home", str(tmp_path), "--port", "0") as process:
        assert "listens on" in process.stdout.readline()
        codexctl = [sys.executable, "-m", "codexctl", "--socket", str(tmp_path / "control.sock"), "status", "--json"]
        status = json.loads(subprocess.run(codexctl, check=False, capture_output=True, text=True).stdout)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=10)
    assert any(str(file) in problem for problem in status["problems"])
    assert str(file) in log
    assert file.read_bytes() == before


@pytest.mark.parametrize("simulated", [True, False])
def test_a_home_is_real_or_simulated(tmp_path, simulated):
    with AccountStore.open(tmp_path) as store:
        store.add(auth_json(), now=NOW, simulated=not simulated)
    before = (tmp_path / "accounts.json").read_bytes()
    process = codexd("--port", "0", "--home", str(tmp_path), *(["--simulate"] if simulated else []))
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "work@example.com" in said
    assert "another --home" in said
    assert (tmp_path / "accounts.json").read_bytes() == before


def test_the_log_is_json_when_asked():
    with running("--log-format", "json") as (process, address):
        httpx.post(f"{address}/v1/messages", json=HELLO, trust_env=False)
        process.terminate()
        _, log = process.communicate(timeout=10)
    entries = [json.loads(line) for line in log.splitlines()]
    assert any(entry.get("fields", entry).get("model_used") == "gpt-5.5" for entry in entries)


async def stream_until_begun(running, seen):
    async with httpx.AsyncClient(base_url=running.address, trust_env=False, timeout=20) as client:
        async with client.stream("POST", "/v1/messages", json={**HELLO, "stream": True}) as response:
            async for data in response.aiter_raw():
                seen.append(data)


async def begin_held_stream(nursery, running, seen):
    running.load({"output": [{"text": "begun"}, {"text": " and finished"}], "hold": "end", "after_items": 1})
    nursery.start_soon(stream_until_begun, running, seen)
    while b"begun" not in b"".join(seen):
        await trio.sleep(0.01)


async def test_running_streams_may_finish_after_sigterm(tmp_path):
    seen: list[bytes] = []
    async with trio.open_nursery() as nursery:
        running = await start_daemon(nursery, tmp_path, drain_s=20, timing=Timing(ping_after_s=0.05))
        await begin_held_stream(nursery, running, seen)
        os.kill(os.getpid(), signal.SIGTERM)
        while True:  # the daemon takes no new connection, and codexctl is still answered
            try:
                (await trio.open_tcp_stream("127.0.0.1", int(running.address.rpartition(":")[2]))).socket.close()
            except OSError:
                break
            await trio.sleep(0.01)
        assert (await running.call("daemon.status"))["streams_in_flight"] == 1
        running.simulator.release("end")
    events = read_events(b"".join(seen).decode())
    assert text_of(events) == "begun and finished"
    assert events[-1]["type"] == "message_stop"


TASK = {"role": "user", "content": "hi"}
CUT = {
    # What is asked, and what its answer must end with once the drain is over.
    "messages": ("/v1/messages", HELLO, 529, '"type":"overloaded_error"'),
    "chat": ("/v1/chat/completions", {"model": "gpt-5.5", "messages": [TASK]}, 503, '"code":"shutting_down"'),
    "responses": ("/v1/responses", {"model": "gpt-5.5", "input": [TASK]}, 503, '"code":"shutting_down"'),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("api", CUT)
async def test_what_outlasts_the_drain_ends_with_the_error_of_its_api(tmp_path, api, stream):
    path, body, status, said = CUT[api]
    answers = []

    async def ask():
        answers.append(await post(running, {**body, "stream": stream}, path))

    async with trio.open_nursery() as nursery:
        running = await start_daemon(nursery, tmp_path, drain_s=0.1)
        running.load({"output": [{"text": "begun"}, {"text": " and finished"}], "hold": "end", "after_items": 1})
        nursery.start_soon(ask)
        while not running.asked:
            await trio.sleep(0.01)
        await trio.testing.wait_all_tasks_blocked(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
    (answer,) = answers
    assert answer.status_code == (200 if stream else status)
    last = answer.text.strip().rpartition("data: ")[2].replace(" ", "")
    assert said in last
    assert "[DONE]" not in answer.text
