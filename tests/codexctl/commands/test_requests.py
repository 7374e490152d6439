"""``codexctl requests``, ``why`` and ``usage``, and what ``requests -f`` makes of its events."""

import json
import signal

import pytest

from codexd import rpc

PATIENCE_S = 20

RUNNING = {
    "id": "req_1",
    "client": "claude-cli",
    "model": "opus",
    "model_used": "gpt-5.5",
    "account": "work@example.com",
    "state": "running",
    "started_at": 1_000_000_000.0,
    "ttft_ms": None,
    "duration_ms": None,
    "tokens": None,
    "status": None,
    "error": None,
    "losses": [],
    "retries": 0,
    "purpose": "turn",
    "silent_since": None,
}
RECEIVING = RUNNING | {"model": None, "model_used": None}
DONE = RUNNING | {"state": "done", "status": 200, "duration_ms": 1200}
FAILED = RUNNING | {"id": "req_2", "state": "failed", "status": 502, "duration_ms": 90, "error": "The backend is down."}


class Follows:
    """The follows of a scripted daemon: one connection after the other, each with its events."""

    def __init__(self, daemon):
        self._daemon = daemon

    def accept(self):
        """The params of the next follow, which gets its reply."""
        params = self._daemon.next_call("requests.follow")
        self._connection, id_ = self._daemon._held["requests.follow"].get(timeout=PATIENCE_S)
        self._send(rpc.Result(id_, {"subscription": 1}))
        return params

    def tell(self, **params):
        self._send(rpc.Notification("requests.follow.event", {"subscription": 1} | params))

    def hang_up(self):
        import socket

        self._connection.shutdown(socket.SHUT_RDWR)

    def _send(self, message):
        self._connection.sendall(rpc.encode(message))


@pytest.fixture
def follows(daemon, scripting):
    later, _ = scripting
    daemon.answers["requests.follow"] = later
    return Follows(daemon)


def test_what_is_asked(daemon, piped):
    daemon.answers = {
        "requests.list": {"requests": [DONE]},
        "requests.cancel": RUNNING,
        "requests.explain": {"request": DONE, "timeline": [], "summary": "It was answered.", "advice": []},
        "usage.summary": {"by": "day", "since": None, "rows": [], "total": None, "problem": None},
    }
    for words, method, params in (
        ("requests", "requests.list", {"limit": 100}),
        ("requests -n 5 --state failed", "requests.list", {"limit": 5, "state": "failed"}),
        ("requests --state cancelled", "requests.list", {"limit": 100, "state": "cancelled"}),
        ("requests cancel req_1", "requests.cancel", {"id": "req_1"}),
        ("why", "requests.explain", {}),
        ("why req_1", "requests.explain", {"id": "req_1"}),
        ("usage --by day", "usage.summary", {"by": "day"}),
    ):
        process = piped(*words.split())
        _, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, err) == (0, ""), words
        assert daemon.calls[-1] == (method, params)


def test_usage_since_some_time_ago(daemon, piped):
    daemon.answers["usage.summary"] = {"by": "model", "since": None, "rows": [], "total": None, "problem": None}
    piped("usage", "--since", "1w").communicate(timeout=PATIENCE_S)
    piped("usage", "--since", "7d").communicate(timeout=PATIENCE_S)
    first, second = (params["since"] for _, params in daemon.calls)
    assert 0 <= second - first < PATIENCE_S


def test_following_tells_of_starts_and_ends_once(follows, piped):
    process = piped("requests", "-f", "-n", "3")
    assert follows.accept() == {"limit": 3}
    for request in (RECEIVING, RUNNING, RUNNING | {"ttft_ms": 5}, DONE, FAILED):
        follows.tell(request=request)
    lines = [process.stdout.readline().split(maxsplit=2)[-1].strip() for _ in range(4)]
    assert lines[0].startswith("started      req_1  opus -> gpt-5.5  from claude-cli")
    assert lines[1].startswith("done 200     req_1")
    assert lines[2].startswith("failed 502   req_2")
    assert lines[3].endswith("is down.")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, err) == (130, "", "")


def test_following_goes_on_with_a_daemon_that_came_back(follows, piped):
    process = piped("requests", "-f")
    assert follows.accept() == {"limit": 10}
    follows.tell(request=FAILED)
    assert "req_2" in process.stdout.readline()
    process.stdout.readline()
    follows.tell(request=RUNNING)
    assert "started" in process.stdout.readline()
    follows.hang_up()
    assert "lost         req_1  opus -> gpt-5.5  codexd went away after" in process.stdout.readline()
    assert follows.accept() == {"limit": 1000}
    follows.tell(request=FAILED)
    follows.tell(request=DONE)
    follows.tell(missed=7)
    assert "req_1" in process.stdout.readline()
    told = [process.stderr.readline() for _ in range(4)]
    assert "start it with: codexd" in told[0]
    assert told[1:3] == ["Waiting for it to come back.\n", "codexctl: codexd is back.\n"]
    assert "news of 7 requests" in told[3]


def test_followed_as_json_each_event_is_a_line(follows, piped):
    process = piped("requests", "-f", "--json")
    follows.accept()
    follows.tell(request=RUNNING)
    follows.tell(request=RUNNING | {"ttft_ms": 5})
    assert json.loads(process.stdout.readline()) == {"request": RUNNING}
    assert json.loads(process.stdout.readline())["request"]["ttft_ms"] == 5


def test_only_those_in_a_state(follows, piped):
    process = piped("requests", "-f", "--state", "failed")
    follows.accept()
    for request in (RUNNING, DONE, FAILED):
        follows.tell(request=request)
    assert "req_2" in process.stdout.readline()


def test_at_a_terminal_what_runs_stands_below(follows, terminal):
    shown = terminal("requests", "-f")
    follows.accept()
    follows.tell(request=RUNNING)
    shown.wait_for("started")
    shown.wait_for("running: opus -> gpt-5.5")
    follows.tell(request=DONE)
    shown.wait_for("done 200")
    follows.hang_up()
    shown.wait_for("Waiting for it to come back")
