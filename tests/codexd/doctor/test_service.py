import attrs
import pytest

from codexd.doctor.finding import Level
from codexd.doctor.service import Service, check_service

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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("neither runs here.\nRun it so.", "Neither runs here."),
        ("systemd has no user manager.", "systemd has no user manager."),
        ("codexd.socket is out of date.", "codexd.socket is out of date."),
        ("systemd's user manager can't be reached.", "systemd's user manager can't be reached."),
        ("/u/codexd.socket is missing.", "/u/codexd.socket is missing."),
    ],
)
def test_a_text_begins_with_a_large_letter_unless_with_a_name(text, shown):
    [found] = check_service(Service(None, text), None)
    assert found.text == shown
