import pytest

from codexctl.render import daemon as render
from codexctl.render.base import Style

NOW = 1_800_000_000.0
PIPE = Style(now=NOW)
TERMINAL = Style(now=NOW, width=80, colour=True)


def daemon(**changes):
    return {
        "version": "0.1.0",
        "pid": 7,
        "started_at": NOW - 3700,
        "addresses": ["http://127.0.0.1:8081"],
        "simulated": False,
        "tasks": [{"name": "refresh", "state": "running", "restarts": 0, "last_error": None}],
        "active_account": "work@example.com",
        "streams_in_flight": 2,
        "settings_path": "/home/me/.config/codexd/settings.toml",
        "problems": [],
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
    assert "\x1b[32mrunning\x1b[0m" in "\n".join(render.status(daemon(), TERMINAL))
    assert "\x1b" not in "\n".join(render.status(daemon(), PIPE))


def test_status():
    assert render.status(daemon(), PIPE) == [
        "codexd 0.1.0 is running (pid 7, started 1 h ago)",
        "  listening on  http://127.0.0.1:8081",
        "  account       work@example.com",
        "  streams       2 in flight",
        "  settings      /home/me/.config/codexd/settings.toml",
        "",
        "TASK     STATE    RESTARTS  LAST ERROR",
        "refresh  running  0",
    ]


def test_status_of_a_simulated_daemon_says_so_beside_the_account():
    lines = render.status(daemon(simulated=True), PIPE)
    assert lines[1].startswith("SIMULATED")
    assert "  account       work@example.com (simulated)" in lines


def test_status_without_account_and_with_a_problem():
    text = "\n".join(render.status(daemon(active_account=None, problems=["b.json can't be read"]), PIPE))
    assert "codexctl accounts add" in text
    assert "Problem: b.json can't be read" in text


def test_no_control_sequence_reaches_the_terminal():
    nasty = "a\x1b[2J\n\x9b\x07\u202e\u2066"
    tasks = [{"name": "x", "state": "failed", "restarts": 1, "last_error": nasty}]
    lines = render.status(daemon(active_account=nasty, problems=[nasty], tasks=tasks), PIPE)
    assert not any(mark in line for line in lines for mark in "\x1b\n\x9b\x07\u202e\u2066")


def test_what_a_stop_says():
    said = [render.stopping({"streams_in_flight": n, "drain_seconds": 30.0}, PIPE) for n in (0, 1)]
    assert said == [["codexd is stopping."], ["codexd is stopping; 1 request has up to 30 s to end."]]
