import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from codexctl import client
from codexctl.client import PROBE, ControlClient, NoDaemon, OlderDaemon, Refused
from codexd import bounds, rpc


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control.sock"


@pytest.fixture
def answer(path):
    """Starts a daemon of one connection: for each received message, the bytes that the given function makes."""
    threads = []

    def start(reply):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()

        def serve():
            with listener, listener.accept()[0] as connection:
                reader = rpc.Connection()
                while data := connection.recv(65536):
                    for message in reader.receive_data(data):
                        out = reply(message)
                        if out is None:
                            return
                        connection.sendall(out)

        threads.append(threading.Thread(target=serve))
        threads[0].start()

    yield start
    for thread in threads:
        thread.join(10)


def test_no_socket(path):
    with pytest.raises(NoDaemon) as caught:
        ControlClient(path)
    assert str(caught.value) == f"codexd is not running at {path}. Start it with: codexd  (or: codexd --simulate)"


def test_a_leftover_socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    with pytest.raises(NoDaemon, match="an earlier one left the socket behind"):
        ControlClient(path)


def test_a_path_that_is_too_long(tmp_path):
    with pytest.raises(NoDaemon, match=r"can't be a socket .AF_UNIX path too long.. Use a shorter"):
        ControlClient(tmp_path / ("x" * 200))


def test_a_result_however_it_is_cut_and_whatever_comes_before(answer, path):
    def reply(request):
        noise = rpc.encode(rpc.Notification("other.event")) + rpc.encode(rpc.Result(99, "another call's"))
        return noise + rpc.encode(rpc.Result(request.id, request.params))

    answer(reply)
    with ControlClient(path) as client:
        assert client.call("m", {"n": 1}) == {"n": 1}
        assert client.call("m", {"n": 2}) == {"n": 2}


def test_a_reply_longer_than_a_request_may_be(answer, path):
    text = "x" * (3 * bounds.CONTROL_LINE_BYTES)
    answer(lambda request: rpc.encode(rpc.Result(request.id, text)))
    with ControlClient(path) as client:
        assert client.call("m") == text


def test_a_refusal_has_its_kind(answer, path):
    answer(lambda request: rpc.encode(rpc.Failure(request.id, -32000, "no", {"kind": "account_not_found"})))
    with ControlClient(path) as client, pytest.raises(Refused, match="no") as caught:
        client.call("m")
    assert (caught.value.code, caught.value.kind) == (-32000, "account_not_found")


@pytest.mark.parametrize(
    ("code", "text"), [(-32601, "There is no method m"), (-32602, "working_dir: unknown parameter")]
)
def test_a_daemon_that_does_not_know_a_method_or_a_parameter_is_older(answer, path, code, text):
    answer(lambda request: rpc.encode(rpc.Failure(request.id, code, text, {"kind": "request_invalid"})))
    with ControlClient(path) as client, pytest.raises(OlderDaemon, match=text) as caught:
        client.call("m")
    assert caught.value.kind == "older_daemon"


def test_what_an_answer_lacks_is_asked_of_an_older_daemon(answer, path):
    answer(lambda request: rpc.encode(rpc.Result(request.id, {"accounts": [{"id": "1"}]})))
    with ControlClient(path) as client:
        [account] = client.call("m")["accounts"]
    assert account == {"id": "1"}
    assert account.get("label") is None
    with pytest.raises(OlderDaemon, match=r"its answer lacks label"):
        account["label"]


def test_a_daemon_that_goes_away_in_the_middle(answer, path):
    answer(lambda _request: None)
    with ControlClient(path) as client, pytest.raises(NoDaemon, match="closed the connection"):
        client.call("m")


def test_a_daemon_that_never_answers(answer, path):
    answer(lambda _request: b"")
    with ControlClient(path, reply_timeout_s=0.01) as client, pytest.raises(NoDaemon, match="did not answer"):
        client.call("m")


@pytest.fixture
def impatient(monkeypatch):
    """A daemon that says nothing is given up soon."""
    monkeypatch.setattr("codexctl.client.ASK_AFTER_S", 0.02)
    monkeypatch.setattr("codexctl.client.ANSWER_WITHIN_S", 0.2)


@pytest.mark.usefixtures("impatient")
def test_a_daemon_that_says_nothing_is_given_up_long_before_the_call_has_to_end(answer, path):
    asked = []
    answer(lambda request: asked.append(request.method) or b"")
    with ControlClient(path) as client, pytest.raises(NoDaemon, match="did not answer within 0 s"):
        client.call("m")
    assert asked == ["m", PROBE]


@pytest.mark.usefixtures("impatient")
def test_a_follow_of_a_daemon_that_says_nothing_ends(answer, path):
    answer(lambda request: b"" if request.method == PROBE else rpc.encode(rpc.Result(request.id, {"subscription": 1})))
    with ControlClient(path) as client, pytest.raises(NoDaemon, match="did not answer"):
        next(client.follow("a"))


@pytest.mark.usefixtures("impatient")
def test_a_call_may_take_long_as_long_as_the_daemon_lives(answer, path):
    calls = []

    def reply(request):
        calls.append(request)
        if request.method != PROBE:
            return b""
        alive = rpc.encode(rpc.Result(request.id, "alive"))
        return alive + (rpc.encode(rpc.Result(calls[0].id, "done")) if len(calls) == 5 else b"")

    answer(reply)
    with ControlClient(path) as client:
        assert client.call("m") == "done"
        assert [each.method for each in calls] == ["m", *[PROBE] * 4]


@pytest.mark.usefixtures("impatient")
def test_the_answer_to_the_question_is_nobody_elses(answer, path):
    held = []

    def reply(request):
        held.append(request)
        if request.method == PROBE:
            return rpc.encode(rpc.Result(held[0].id, "done")) + rpc.encode(rpc.Result(request.id, "alive"))
        return rpc.encode(rpc.Result(request.id, "next")) if len(held) > 2 else b""

    answer(reply)
    with ControlClient(path) as client:
        assert client.call("m") == "done"
        following, replies = client.begin("n"), []
        while not replies:
            replies = client.read_replies()
        assert replies == [rpc.Result(following, "next")]


def test_a_call_shows_that_it_takes_long_and_clears_that(answer, path):
    turns, released = [], threading.Event()

    class Shown:
        def turn(self, waited_s):
            turns.append(waited_s)
            released.set()

        def clear(self):
            turns.append("clear")

    def reply(request):
        released.wait(10)
        return rpc.encode(rpc.Result(request.id, "done"))

    answer(reply)
    with ControlClient(path, progress=Shown()) as client:
        assert client.call("m") == "done"
    assert turns[-1] == "clear"
    assert all(waited_s >= 0 for waited_s in turns[:-1])


IDLE = "import os, signal; signal.pause()"

on_linux = pytest.mark.skipif(
    not Path("/proc/self/cmdline").exists(), reason="only Linux with /proc tells what a process runs"
)


@pytest.fixture
def silent(path, tmp_path, monkeypatch):
    """Runs a process, with the given arguments, as the daemon of a socket that somebody else opened."""
    running = tmp_path / "running"
    running.mkdir()
    monkeypatch.setattr(client, "find_running_folder", lambda: running)
    processes = []

    def start(*arguments):
        process = subprocess.Popen([sys.executable, "-c", IDLE, *arguments])
        processes.append(process)
        note = {"pid": process.pid, "socket": str(path), "address": "", "home": "", "simulated": True, "version": "1"}
        (running / "1.json").write_text(json.dumps(note))
        return process

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield start
        for process in processes:
            process.kill()
            process.wait()


@on_linux
@pytest.mark.usefixtures("impatient")
def test_a_suspended_daemon_is_told_from_a_slow_one(path, silent):
    process = silent("codexd")
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    with ControlClient(path) as control, pytest.raises(NoDaemon) as caught:
        control.call("m")
    assert str(caught.value) == (
        f"codexd (pid {process.pid}) is suspended and answers nothing. Let it go on with: kill -CONT {process.pid}"
    )


@on_linux
@pytest.mark.usefixtures("impatient")
def test_only_the_daemon_is_to_be_killed_and_not_who_opened_its_socket(path, silent):
    process = silent("codexd")
    with ControlClient(path) as control, pytest.raises(NoDaemon, match=f"end it with `kill {process.pid}`"):
        control.call("m")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("arguments", [None, ["another program with the pid of a dead daemon"]])
def test_nothing_is_to_be_killed_if_the_daemon_is_unknown(path, silent, arguments):
    if arguments:
        silent(*arguments)
    with ControlClient(path) as control, pytest.raises(NoDaemon) as caught:
        control.call("m")
    assert "end it with" not in str(caught.value)
    assert "`codexctl service logs`" in str(caught.value)


def test_only_the_events_of_the_own_follow(answer, path):
    def reply(request):
        events = [("a.event", 1, "x"), ("b.event", 2, "x"), ("b.event", 1, "yes")]
        sent = [rpc.Notification(name, {"subscription": number, "v": v}) for name, number, v in events]
        return b"".join(map(rpc.encode, [rpc.Result(request.id, {"subscription": 1}), *sent]))

    answer(reply)
    with ControlClient(path) as client:
        assert next(client.follow("b")) == {"subscription": 1, "v": "yes"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_a_socket_of_another_user_gets_nothing(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    before = os.geteuid()
    os.seteuid(65534)  # the kernel notes who listens
    try:
        listener.listen()
    finally:
        os.seteuid(before)
    with listener, pytest.raises(NoDaemon, match="served by another user"):
        ControlClient(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_a_socket_that_one_may_not_open(tmp_path, path):
    tmp_path.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o600)
        os.seteuid(65534)
        try:
            with pytest.raises(NoDaemon, match="belongs to another user"):
                ControlClient(path)
        finally:
            os.seteuid(0)
