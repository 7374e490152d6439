from pathlib import Path

import attrs
import pytest

from codexd import __version__
from codexd.doctor import daemons
from codexd.doctor.daemons import Answers, Service, check_service
from codexd.doctor.finding import Level
from codexd.paths import RunningDaemon

SOCKET = Path("/run/codexd/control.sock")
SERVING = {
    "possible": True,
    "state": "ok",
    "account": "me",
    "reason": None,
    "until": None,
    "advice": None,
    "others": [],
}


def make_status(**changes):
    return {
        "version": __version__,
        "pid": 7,
        "addresses": ["http://127.0.0.1:8081"],
        "simulated": False,
        "serving": SERVING,
        "problems": [],
        "tasks": [{"name": "t", "state": "running", "restarts": 0, "last_error": None}],
        "last_failure": None,
    } | changes


def answers(**status):
    return Answers(SOCKET, True, {"daemon.status": make_status(**status)})


def noted(pid, version=__version__):
    return RunningDaemon(pid, Path(f"/run/{pid}.sock"), "http://127.0.0.1:1", Path("/h"), False, version)


def found_in(findings):
    return [(each.kind, each.level, each.remedy) for each in findings if each.level is not Level.OK]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (answers(), []),
        (Answers(SOCKET, False), [("not_running", Level.WARNING, "codexd")]),
        (Answers(SOCKET, True), [("not_running", Level.WARNING, "codexd")]),
        (Answers(SOCKET, True, silence="End it with `kill 7`."), [("silent", Level.PROBLEM, "kill 7")]),
        (answers(version="0.0.9"), [("older_daemon", Level.WARNING, "codexctl restart")]),
        (answers(version="99.0"), [("newer_daemon", Level.WARNING, "type -a codexctl")]),
        (
            Answers(SOCKET, False, running=(noted(9),)),
            [
                ("not_running", Level.WARNING, "codexd"),
                ("other_daemon", Level.NOTE, "codexctl --socket /run/9.sock doctor"),
            ],
        ),
        (Answers(SOCKET, True, {"daemon.status": make_status()}, running=(noted(7),)), []),
        (
            Answers(SOCKET, True, {"daemon.status": make_status()}, dead=(noted(3),)),
            [("stale_notes", Level.NOTE, None)],
        ),
    ],
)
def test_which_daemons_run(given, found):
    assert found_in(daemons.check_daemons(given)) == found


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        (
            {"serving": SERVING | {"possible": False, "reason": "x", "advice": "Run `codexctl accounts add`."}},
            [("not_serving", Level.PROBLEM, "codexctl accounts add")],
        ),
        ({"problems": ["Broken. Run `codexctl reload`."]}, [("daemon_problem", Level.PROBLEM, "codexctl reload")]),
        (
            {"tasks": [{"name": "t", "state": "failed", "restarts": 3, "last_error": "boom"}]},
            [("task_not_running", Level.PROBLEM, "codexctl restart")],
        ),
        (
            {"tasks": [{"name": "t", "state": "running", "restarts": 1, "last_error": "boom"}]},
            [("task_restarted", Level.WARNING, "codexctl logs --level error")],
        ),
        (
            {"last_failure": {"request": "req_1", "at": 1.0, "error": "too long"}},
            [("request_failed", Level.NOTE, "codexctl why req_1")],
        ),
    ],
)
def test_what_the_daemon_says_of_itself(changes, found):
    assert found_in(daemons.check_state(answers(**changes))) == found


def test_a_problem_that_the_advice_on_serving_tells_is_not_told_twice():
    serving = SERVING | {"possible": False, "reason": "x", "advice": "auth.json is missing. Sign in."}
    given = answers(serving=serving, problems=["me: auth.json is missing. Sign in."])
    assert [each.kind for each in daemons.check_state(given)] == ["not_serving"]


def test_without_a_daemon_there_is_nothing_to_say():
    assert list(daemons.check_state(Answers(SOCKET, False))) == []


def test_an_older_daemon_says_less():
    old = {"version": "0.0.1", "pid": 7, "addresses": ["http://127.0.0.1:8081"], "simulated": False}
    given = Answers(SOCKET, True, {"daemon.status": old})
    assert [kind for kind, *_ in found_in(daemons.check_daemons(given))] == ["older_daemon"]
    assert list(daemons.check_state(given)) == []


def test_faults_that_are_wanted():
    assert [kind for kind, *_ in found_in(daemons.check_daemons(answers(faults="reset=0.1")))] == ["faults_wanted"]


def test_only_kilo():
    serving = SERVING | {"possible": True, "state": "kilo_only", "reason": "there is no account"}
    assert [kind for kind, *_ in found_in(daemons.check_state(answers(serving=serving)))] == ["serving_kilo_only"]


# -- the service

FINE = Service("systemd", installed=True, state="active", runs="/v/bin/codexd")
BY_SYSTEMD = {"service": {"manager": "systemd", "unit": "codexd.service", "activated": True}}
BY_HAND = {"service": {"manager": None, "unit": None, "activated": False}}


@pytest.mark.parametrize(
    ("found", "status", "findings"),
    [
        (None, None, []),
        (FINE, None, [("service", Level.OK, None)]),
        (FINE, BY_SYSTEMD, [("runs_as_service", Level.OK, None), ("service", Level.OK, None)]),
        (FINE, {}, [("service", Level.OK, None)]),  # an older daemon does not say how it was started
        (Service("systemd"), BY_HAND, [("service_not_installed", Level.NOTE, "codexctl service install")]),
        (Service("systemd"), BY_SYSTEMD, [("runs_as_service", Level.OK, None)]),
        (
            Service(None, "neither runs here.\nRun it so."),
            None,
            [("no_service_manager", Level.NOTE, "codexctl service status")],
        ),
        (
            attrs.evolve(FINE, problems=("it is out of date. Run `codexctl service install`.",), notes=("It stops.",)),
            None,
            [("service_problem", Level.PROBLEM, "codexctl service install"), ("service_note", Level.NOTE, None)],
        ),
    ],
)
def test_the_service(found, status, findings):
    assert [(each.kind, each.level, each.remedy) for each in check_service(found, status)] == findings


def test_a_text_begins_with_a_large_letter():
    [found] = check_service(Service(None, "neither runs here.\nRun it so."), None)
    assert found.text == "Neither runs here."


def test_what_is_said_of_a_daemon_that_is_well():
    [found] = daemons.check_daemons(answers(simulated=True))
    assert found.text == f"codexd {__version__} runs at http://127.0.0.1:8081 (pid 7, simulated)."
    [found] = daemons.check_daemons(answers())
    assert found.text.endswith("(pid 7).")


@pytest.mark.parametrize(("restarts", "said"), [(1, "was restarted once."), (3, "was restarted 3 times.")])
def test_how_often_a_task_was_restarted(restarts, said):
    task = {"name": "t", "state": "running", "restarts": restarts, "last_error": None}
    found = [each.text for each in daemons.check_state(answers(tasks=[task])) if each.kind == "task_restarted"]
    assert found == [f'The task "t" has failed and {said}']
