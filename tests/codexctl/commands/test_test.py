"""``codexctl test`` against a scripted HTTP server."""

import http.server
import itertools
import json
import re
import threading

import pytest

from codexctl.cli import run

TIMEOUT_S = 20
RECORD = {
    "id": "req_1",
    "client": "codexctl",
    "model": "sonnet",
    "model_used": "gpt-5.5",
    "account": "work@example.com",
    "state": "done",
    "ttft_ms": 812,
    "duration_ms": 2345,
    "tokens": {"input": 1234, "cached": 1100, "output": 56, "reasoning": 0, "estimated": False},
    "error": None,
    "losses": [],
}
REPORT = (
    r"gpt-5.5 on work@example.com answered sonnet; first token after 812 ms; done after \d+ ms; "
    r"1,234 tokens in \(1,100 cached\), 56 out\."
)


def text(words):
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": words}}


ERROR = {"type": "error", "error": {"type": "rate_limit_error", "message": "The 5 h limit is reached."}}
STOP = {"type": "message_stop"}


class FakeServer(http.server.ThreadingHTTPServer):
    """Answers with ``events``, or with ``status`` and ``body``."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events, self.status, self.body = [], 200, b""
        self.requests = []
        self.released = threading.Event()
        self.released.set()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers["content-length"])
        self.server.requests.append((self.path, self.headers, json.loads(self.rfile.read(length))))
        self.server.released.wait(TIMEOUT_S)
        self.send_response(self.server.status)
        self.send_header("request-id", "req_1")
        self.end_headers()
        self.wfile.write(self.server.body)
        for event in self.server.events:
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())

    def log_message(self, *args):
        """Nowhere."""


@pytest.fixture
def server(daemon):
    server = FakeServer()
    host, port = server.server_address
    daemon.answers = {
        "daemon.status": {"addresses": [f"http://{host}:{port}"]},
        "settings.get": {"value": None},
        "requests.list": {"requests": [RECORD]},
    }
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def ask(piped):
    def run(*arguments):
        process = piped("test", *arguments)
        out, err = process.communicate(timeout=TIMEOUT_S)
        return process.returncode, out, err

    return run


def test_the_answer_and_who_gave_it(server, ask):
    server.events = [{"type": "message_start"}, text("Hello,\n"), {"type": "ping"}, text("you.\x1b[2J"), STOP]
    code, out, err = ask("Say hello")
    assert (code, err) == (0, "")
    answer, _, report = out.partition("\n\n")
    assert answer == "Hello,\nyou.\\x1b[2J"
    assert re.fullmatch(REPORT, " ".join(report.split()))
    ((path, headers, body),) = server.requests
    assert path == "/v1/messages"
    assert "x-api-key" not in headers
    assert headers["user-agent"].startswith("codexctl/")
    assert (body["model"], body["stream"]) == ("sonnet", True)
    assert body["messages"] == [{"role": "user", "content": "Say hello"}]


def test_the_model_and_the_key_of_the_settings_are_used(server, daemon, ask):
    daemon.answers["settings.get"] = {"value": "sesame"}
    server.events = [text("x"), STOP]
    assert ask("x", "--model", "opus")[0] == 0
    ((_, headers, body),) = server.requests
    assert (headers["x-api-key"], body["model"]) == ("sesame", "opus")
    assert daemon.calls[1] == ("settings.get", {"name": "server.api_key"})


def test_as_json_it_is_one_document(server, ask):
    server.events = [text("He"), text("llo"), STOP]
    code, out, _ = ask("x", "--json")
    document = json.loads(out)
    assert code == 0
    assert document.pop("took_ms") >= 0
    assert document == {"text": "Hello", "request": RECORD}


def test_a_dash_is_standard_input(server, piped):
    server.events = [text("x"), STOP]
    process = piped("test", "-")
    process.communicate("Say hello\nand more", timeout=TIMEOUT_S)
    assert process.returncode == 0
    assert server.requests[0][2]["messages"][0]["content"] == "Say hello\nand more"


@pytest.mark.parametrize(("arguments", "typed"), [((" ",), ""), (("-",), "\n")])
def test_an_empty_prompt_is_wrong_usage(server, piped, arguments, typed):
    process = piped("test", *arguments)
    _, err = process.communicate(typed, timeout=TIMEOUT_S)
    assert (process.returncode, "the prompt is empty" in err, server.requests) == (2, True, [])


def test_the_record_is_that_of_the_ended_request(server, daemon, piped):
    server.events = [text("x"), STOP]
    daemon.answers["requests.list"] = {"requests": [RECORD | {"state": "running"}]}
    process = piped("test", "x", "--json")
    while all(method != "requests.list" for method, _ in daemon.calls):
        assert process.poll() is None
    daemon.answers["requests.list"] = {"requests": [RECORD]}
    out, _ = process.communicate(timeout=TIMEOUT_S)
    assert json.loads(out)["request"] == RECORD


def test_a_refusal_is_exit_1_with_the_reason(server, ask):
    server.status, server.body = 429, json.dumps(ERROR).encode()
    code, out, err = ask("x")
    assert (code, out) == (1, "")
    assert err == ("codexctl: The 5 h limit is reached. (rate_limit_error)\nTo see what happened: codexctl why req_1\n")


def test_an_error_inside_the_answer_leaves_what_came_before(server, ask):
    server.events = [text("Half"), ERROR]
    code, out, err = ask("x")
    assert (code, out) == (1, "Half\n")
    assert "The 5 h limit is reached." in err


def test_an_answer_that_breaks_off(server, ask):
    server.events = [text("Half")]
    code, out, err = ask("x")
    assert (code, out) == (1, "Half\n")
    assert "ended early" in err


def test_a_daemon_that_goes_away_in_the_middle_is_exit_3(server, daemon, piped, scripting):
    later, _ = scripting
    server.events = [text("Half")]
    first = daemon.answers["daemon.status"]
    answers = iter([first, later])
    daemon.answers["daemon.status"] = lambda _: next(answers)
    process = piped("test", "x")
    daemon.hang_up("daemon.status")
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, out) == (3, "Half\n")
    assert "closed the connection. If it has stopped, start it with: codexd" in err
    assert "codexctl why" not in err


def test_who_answers_there_is_not_codexd(server, ask):
    server.status, server.body = 404, b"<html>no</html>"
    code, _, err = ask("x")
    assert code == 1
    assert "answered HTTP 404, but not with an error of the Messages API" in err


def test_nobody_answers_there(server, daemon, ask):
    daemon.answers["daemon.status"] = {"addresses": ["http://127.0.0.1:9"]}
    code, _, err = ask("x")
    assert code == 1
    assert "http://127.0.0.1:9 failed" in err


def test_a_daemon_without_an_address(server, daemon, ask):
    daemon.answers["daemon.status"] = {"addresses": []}
    code, _, err = ask("x")
    assert code == 1
    assert "does not listen on any address" in err


def test_a_record_that_is_gone_is_no_failure(server, daemon, ask):
    daemon.answers["requests.list"] = {"requests": []}
    server.events = [text("x"), STOP]
    code, out, _ = ask("x")
    assert code == 0
    assert "no longer has a record of it" in out


def test_at_a_terminal_the_sign_of_waiting_gives_way_to_the_answer(server, terminal):
    server.events = [text("Hel"), text("lo"), STOP]
    shown = terminal("test", "x")
    assert shown.end() == 0
    waiting, _, answer = shown.shown.rpartition("\x1b[K")
    assert "waiting for the answer" in waiting
    assert answer.startswith("Hello\n")


def test_a_daemon_that_stops_answering_in_the_middle_is_reported(
    daemon, server, environ, monkeypatch, capsys, scripting
):
    monkeypatch.setattr("codexctl.commands.test.WATCH_INTERVAL_S", 0.01)
    monkeypatch.setattr("codexctl.client.ASK_AFTER_S", 0.05)
    monkeypatch.setattr("codexctl.client.ANSWER_WITHIN_S", 0.1)
    later, _ = scripting
    first, calls = daemon.answers["daemon.status"], itertools.count()
    daemon.answers["daemon.status"] = lambda _: later if next(calls) else first
    server.released.clear()
    assert run(["test", "hello"], environ) == 3
    server.released.set()
    assert "did not answer within" in capsys.readouterr().err
