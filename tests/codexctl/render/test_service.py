import pytest
from support.control_answers import SERVING

from codexctl.render import service as render
from codexctl.render.text import Style

NOW = 1_800_000_000.0
PIPE = Style(now=NOW)
TERMINAL = Style(now=NOW, width=80, colour=True)


def status(**changes):
    return {
        "manager": "systemd",
        "installed": True,
        "files": [{"path": "/home/me/.config/systemd/user/codexd.service", "state": "ours"}],
        "executable": "/home/me/.local/share/pipx/venvs/codexd/bin/codexd",
        "listens_on": ["127.0.0.1:8081"],
        "state": "active (running)",
        "enabled": True,
        "active": True,
        "listening": True,
        "pid": 7,
        "since": None,
        "restarts": 0,
        "lingering": False,
        "daemon": {"serving": SERVING, "simulated": False},
        "problems": [],
        "notes": [],
    } | changes


def plan(**changes):
    step = {"action": "create", "words": "create /x", "path": "/x", "diff": ["+a"]}
    changed = {"action": "update", "words": "update /y", "path": "/y", "diff": ["@@ -1 +1 @@", "-a", "+b"]}
    run = {"action": "run", "words": "systemctl --user daemon-reload", "command": []}
    base = {"steps": [step, changed, run], "notes": ["N."], "obstacles": [], "dry_run": False, "message": "Nothing."}
    return base | changes


def test_status():
    assert render.status(status(), PIPE) == [
        "The service is active (running).",
        "  manager       systemd",
        "  runs          /home/me/.local/share/pipx/venvs/codexd/bin/codexd",
        "  starts        when you log in",
        "  process       7",
        "  listens on    127.0.0.1:8081",
        "  files         /home/me/.config/systemd/user/codexd.service",
        "",
        "Ready: requests go to work@example.com.",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"state": "failed (exit-code)", "pid": None}, "The service has failed (exit-code)."),
        ({"lingering": True}, "  starts        when the machine boots"),
        ({"lingering": None}, "  starts        when you log in"),
        ({"enabled": False}, "  starts        not by itself"),
        ({"restarts": 1}, "  process       7, restarted once after a failure"),
        ({"restarts": 3}, "  process       7, restarted 3 times after failures"),
        ({"active": False, "pid": None}, "The service waits for a request, which starts codexd."),
        (
            {"active": False, "pid": None, "since": None, "state": "activating (auto-restart)"},
            "The service is activating (auto-restart).",
        ),
        ({"problems": ["It is broken. Mend it."]}, "Problem: It is broken. Mend it."),
        ({"notes": ["It is so."]}, "Note: It is so."),
    ],
)
def test_one_line_of_the_status(changes, line):
    assert line in render.status(status(**changes), PIPE)


def test_a_service_that_is_not_installed():
    lines = render.status({"installed": False, "manager": "launchd", "notes": []}, PIPE)
    assert lines[0] == "codexd is not installed as a service of launchd."


def test_a_plan_shows_changes_always_and_new_files_in_a_dry_run():
    assert render.plan(plan(), PIPE) == [
        "This is what it does:",
        "  create /x",
        "  update /y",
        "    @@ -1 +1 @@",
        "    -a",
        "    +b",
        "  systemctl --user daemon-reload",
        "",
        "Note: N.",
    ]
    dry = render.plan(plan(dry_run=True), PIPE)
    assert dry[:3] == ["This is what it would do:", "  create /x", "    +a"]


def test_what_stands_in_the_way_and_nothing_to_do():
    lines = render.plan(plan(steps=[], notes=[], obstacles=["A file. Remove it."]), PIPE)
    assert lines == ["In the way: A file. Remove it.", "", "Nothing was changed."]
    lines = render.plan(plan(notes=["N."], obstacles=["A file. Remove it."]), PIPE)
    assert lines == ["Note: N.", "", "In the way: A file. Remove it.", "", "Nothing was changed."]
    lines = render.plan(plan(obstacles=["A file. Remove it."], dry_run=True), PIPE)
    assert (lines[0], lines[-1]) == ("This is what it would do:", "In the way: A file. Remove it.")
    assert render.plan(plan(steps=[], notes=[]), PIPE) == ["Nothing."]


def test_colours_are_for_terminals():
    lines = render.plan(plan(), TERMINAL)
    assert "\x1b[31m    -a\x1b[0m" in lines
    assert "\x1b[32m    +b\x1b[0m" in lines
    assert render.status(status(problems=["x"]), TERMINAL)[0].startswith("\x1b[31m")
    assert "\x1b" not in "".join(render.status(status(problems=["x"]), PIPE))


def test_what_is_done():
    daemon = {"version": "1", "addresses": ["http://127.0.0.1:8081"], "serving": SERVING, "simulated": False}
    assert render.done({"message": "Done.", "daemon": daemon}, PIPE) == [
        "Done.",
        "codexd 1 listens on http://127.0.0.1:8081.",
        "Ready: requests go to work@example.com.",
    ]
    assert render.message({"message": "Done."}, PIPE) == ["Done."]
