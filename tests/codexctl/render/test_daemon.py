import pytest
from support.control_answers import LIMITED, SERVING

from codexctl.render import daemon as render
from codexctl.render.format import clock_time
from codexctl.render.text import Style
from codexd import __version__

NOW = 1_800_000_000.0
PIPE = Style(now=NOW)
TERMINAL = Style(now=NOW, width=80, colour=True)


def daemon(**changes):
    return {
        "version": __version__,
        "pid": 7,
        "started_at": NOW - 3700,
        "addresses": ["http://127.0.0.1:8081"],
        "simulated": False,
        "tasks": [{"name": "refresh", "state": "running", "restarts": 0, "last_error": None}],
        "active_account": "work@example.com",
        "streams_in_flight": 2,
        "settings_path": "/home/me/.config/codexd/settings.toml",
        "problems": [],
        "serving": SERVING,
        "limited_models": [],
        "last_failure": None,
        "service": {"manager": "systemd", "unit": "codexd.service", "activated": True},
        "bounds": [
            {"name": "requests kept", "used": 12, "limit": 1000, "unit": ""},
            {"name": "answers remembered", "used": 3 * 1024 * 1024, "limit": 64 * 1024 * 1024, "unit": "bytes"},
        ],
    } | changes


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_is_wider_than_the_terminal(width):
    style = Style(now=NOW, width=width)
    error = "OSError: " + "x" * 300
    status = daemon(
        simulated=True,
        problems=["word " * 60],
        tasks=[{"name": "refresh", "state": "backing_off", "restarts": 3, "last_error": error}],
    )
    facts = [line for line in render.status(status, style) if not line.startswith("  ")]  # a path is never cut
    assert max(len(line) for line in facts if "running (pid" not in line) <= width


def test_colour_only_where_asked():
    assert "\x1b[32mrunning\x1b[0m" in "\n".join(render.full_status(daemon(), TERMINAL))
    assert render.status(daemon(), TERMINAL)[0].startswith("\x1b[32mReady")
    assert render.status(daemon(serving=LIMITED), TERMINAL)[0].startswith("\x1b[31mNo request")
    assert "\x1b" not in "\n".join(render.status(daemon(), PIPE))


def test_status():
    lines = [
        "Ready: requests go to work@example.com.",
        "",
        f"codexd {__version__} is running (pid 7, started 1 h ago)",
        "  listening on  http://127.0.0.1:8081",
        "  account       work@example.com",
        "  streams       2 in flight",
        "  settings      /home/me/.config/codexd/settings.toml",
    ]
    assert render.status(daemon(), PIPE) == lines
    assert render.full_status(daemon(), PIPE) == [
        *lines,
        "  started by    systemd codexd.service; connections wait while it restarts",
        "",
        "TASK     STATE    RESTARTS  LAST ERROR",
        "refresh  running  0",
        "",
        "IN USE              NOW     AT MOST",
        "requests kept       12      1,000",
        "answers remembered  3.0 MB  64.0 MB",
    ]
    from_an_older_daemon = daemon()
    del from_an_older_daemon["bounds"]
    assert render.full_status(from_an_older_daemon, PIPE)[-1] == "refresh  running  0"


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ({"manager": None, "unit": None, "activated": False}, "hand"),
        ({"manager": None, "unit": None, "activated": True}, "hand; connections wait while it restarts"),
        ({"manager": "launchd", "unit": "io.github.codexd", "activated": False}, "launchd io.github.codexd"),
        ({"manager": "systemd", "unit": None, "activated": False}, "systemd"),
    ],
)
def test_what_started_it(service, said):
    assert f"  started by    {said}" in render.full_status(daemon(service=service), PIPE)


def test_a_task_that_does_not_run_is_shown():
    tasks = [
        {"name": "refresh", "state": "running", "restarts": 0, "last_error": None},
        {"name": "limits", "state": "backing_off", "restarts": 3, "last_error": "OSError"},
    ]
    assert render.status(daemon(tasks=tasks), PIPE)[-2:] == [
        "TASK    STATE        RESTARTS  LAST ERROR",
        "limits  backing_off  3         OSError",
    ]


RESET = f"{clock_time(NOW + 7800, NOW)} (in 2 h 10 min)"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"state": "expiring"}, "Ready: requests go to work@example.com."),
        (
            {"state": "expired"},
            "Ready: requests go to work@example.com; its access token has expired, and the next request refreshes it.",
        ),
        (
            {"account": "home@example.com", "reason": LIMITED["reason"], "until": NOW + 7800},
            f"Ready: requests go to home@example.com, because {LIMITED['reason']} until {RESET}.",
        ),
        (LIMITED, f"No request can be served until {RESET}: work@example.com is limited (usage limit reached)."),
        (
            {"possible": False, "state": "no_account", "reason": "no account is signed in"},
            "No request can be served: no account is signed in.",
        ),
        (
            {"state": "kilo_only", "reason": "no account is signed in"},
            "Only requests for the model kilo can be served: no account is signed in.",
        ),
    ],
)
def test_the_first_line_says_whether_a_request_can_be_served(changes, line):
    assert render.serving(daemon(serving=SERVING | changes), NOW) == line


def test_what_to_do_follows_the_first_line():
    failure = {"request": "req_1", "at": NOW - 200, "error": "the usage limit is reached."}
    models = [{"model": "gpt-5.5", "until": NOW + 7800}]
    status = daemon(serving=LIMITED, limited_models=models, last_failure=failure, problems=["A."])
    assert (
        "Switch to another account: `codexctl accounts switch home@example.com`. "
        f"The model gpt-5.5 is limited until {RESET}. "
        "A request failed 3 min ago: `codexctl why` explains it.  "
        f"Problem: A.  codexd {__version__}"
    ) in " ".join(render.status(status, PIPE))


def test_a_problem_is_not_told_twice():
    dead = SERVING | {
        "possible": False,
        "state": "needs_login",
        "reason": "x",
        "advice": "The file is broken. Do this.",
    }
    lines = render.status(daemon(serving=dead, problems=["work@example.com: The file is broken. Do this."]), PIPE)
    assert "\n".join(lines).count("The file is broken") == 1


def test_an_old_failure_is_not_shown():
    failure = {"request": "req_1", "at": NOW - 3700, "error": "the usage limit is reached"}
    assert "why" not in "\n".join(render.status(daemon(last_failure=failure), PIPE))


def test_status_of_a_simulated_daemon_says_so_beside_the_account():
    lines = render.status(daemon(simulated=True), PIPE)
    assert lines[0] == "Ready: requests go to work@example.com (simulated)."
    assert lines[3].startswith("SIMULATED")
    assert "  account       work@example.com (simulated)" in lines


def test_status_says_that_the_daemon_is_of_another_version():
    text = " ".join(render.status(daemon(version="0.0.9"), PIPE))
    assert "codexd 0.0.9 is running" in text
    assert f"This codexctl is {__version__}. Restart codexd" in text
    assert "This codexctl" not in " ".join(render.status(daemon(), PIPE))


def test_status_without_account_and_with_a_problem():
    text = "\n".join(render.status(daemon(active_account=None, problems=["b.json can't be read"]), PIPE))
    assert "none is active" in text
    assert "Problem: b.json can't be read" in text


def test_no_control_sequence_reaches_the_terminal():
    nasty = "a\x1b[2J\n\x9b\x07\u202e\u2066"
    tasks = [{"name": "x", "state": "failed", "restarts": 1, "last_error": nasty}]
    lines = render.status(daemon(active_account=nasty, problems=[nasty], tasks=tasks), PIPE)
    assert not any(mark in line for line in lines for mark in "\x1b\n\x9b\x07\u202e\u2066")


def test_what_a_stop_says():
    said = [render.stopping({"streams_in_flight": n, "drain_seconds": 30.0}, PIPE) for n in (0, 1)]
    assert said == [["codexd is stopping."], ["codexd is stopping. 1 running request has up to 30 s to finish."]]


def entry(message="hello", **changes):
    return {
        "id": 1,
        "at": NOW,
        "level": "info",
        "logger": "codexd.web",
        "message": message,
        "request": None,
        "fields": {},
    } | changes


def test_a_finished_request_reads_as_a_sentence():
    fields = {
        "client": "claude-code",
        "account": "work@example.com",
        "model": "claude-opus-5-5",
        "model_used": "gpt-5.5",
        "status": 200,
        "ttft_ms": 812,
        "duration_ms": 2345,
        "input_tokens": 1234,
        "cached_tokens": 1100,
        "output_tokens": 56,
    }
    (line,) = render.log_entry(entry("POST /v1/messages", request="req_ab12", fields=fields), PIPE)
    assert line[8:] == (
        " INFO    req_ab12 POST /v1/messages 200 claude-opus-5-5 -> gpt-5.5 work@example.com ttft 812 ms "
        "1,234 in (1,100 cached) 56 out 2.3 s client=claude-code"
    )


def test_a_request_that_came_to_nothing():
    fields = {"status": 499, "duration_ms": 10, "error": "the client left"}
    (line,) = render.log_entry(entry("POST /v1/messages", level="warning", fields=fields), PIPE)
    assert line[8:] == ' WARNING POST /v1/messages 499 10 ms error="the client left"'


def test_other_entries_are_key_value_with_their_traceback_below():
    fields = {"account": "a@b.c", "note": "two words", "n": 1, "none": None, "traceback": "Traceback:\n  boom\n"}
    lines = render.log_entry(entry(fields=fields), PIPE)
    assert lines[0][8:] == ' INFO    hello account=a@b.c note="two words" n=1'
    assert lines[1:] == ["    Traceback:", "      boom"]


def test_an_entry_of_another_day_has_its_date():
    assert render.log_entry(entry(), Style(now=NOW + 3 * 86400))[0].startswith("2027-01-1")


def test_no_control_sequence_of_a_log_entry_reaches_the_terminal():
    nasty = "a\x1b[2J\n\x9b\x07\u202e\u2066"
    fields = {"model": nasty, nasty: nasty, "traceback": nasty}
    request = {"status": 200, "duration_ms": 1, "model": nasty, "account": nasty, "path": nasty}
    lines = [
        *render.log_entry(entry(nasty, fields=fields), PIPE),
        *render.log_entry(entry(nasty, fields=request), PIPE),
    ]
    assert not any(mark in line for line in lines for mark in "\x1b\n\x9b\x07\u202e\u2066")


def test_a_long_log_entry_breaks_between_its_words():
    lines = render.log_entry(entry("word " * 40), Style(NOW, 80))
    assert len(lines) > 1
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("        word")
    assert "".join(lines).count("word") == 40
    assert len(render.log_entry(entry("word " * 40), PIPE)) == 1


def test_a_moment_is_told_by_the_clock():
    (line,) = render.log_entry(entry(fields={"resets_at": NOW + 60.0, "n_at": "x"}), PIPE)
    assert line.endswith(f"hello resets_at={clock_time(NOW + 60, NOW)} n_at=x")


def test_a_long_line_of_a_traceback_stays_below_it():
    fields = {"traceback": f'Traceback:\n  File "{"x" * 60}", line 28, in a_function\n'}
    lines = render.log_entry(entry(fields=fields), Style(NOW, 80))
    assert lines[1:] == ["    Traceback:", f'      File "{"x" * 60}", line', "        28, in a_function"]


@pytest.mark.parametrize(
    ("service", "said"),
    [
        (None, ""),
        ({"manager": None, "unit": None, "activated": False}, ""),
        ({"manager": "systemd", "unit": "codexd.service", "activated": False}, ""),
        ({"manager": None, "unit": None, "activated": True}, "Whoever listens for it starts it again"),
        ({"manager": "systemd", "unit": None, "activated": True}, "systemd starts it again with the next request."),
        ({"manager": "systemd", "unit": "codexd.service", "activated": True}, "systemctl --user stop codexd.socket"),
        (
            {"manager": "launchd", "unit": "io.github.codexd", "activated": True},
            "bootout gui/$(id -u)/io.github.codexd",
        ),
    ],
)
def test_a_service_may_start_again(service, said):
    result = {"streams_in_flight": 0, "drain_seconds": 30.0} | ({"service": service} if service else {})
    line = " ".join(render.stopped(result, PIPE))
    assert line.startswith("codexd has stopped.")
    assert said in line
    assert ("again" in line) == bool(said)
