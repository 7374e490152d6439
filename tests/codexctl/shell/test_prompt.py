import pytest
from support.control_answers import SERVING

from codexctl.client import Answer
from codexctl.commands import load_commands
from codexctl.render.text import Style
from codexctl.shell.prompt import greeting, overview, toolbar
from codexctl.shell.watch import Facts

NOW = 1_800_000_000.0
STATUS = {
    "version": "0.1.0",
    "addresses": ["http://127.0.0.1:8081"],
    "simulated": False,
    "problems": [],
    "streams_in_flight": 2,
    "serving": SERVING,
    "limited_models": [],
    "last_failure": None,
}


def window(name, percent, limit=None, resets_in_s=7800):
    return {
        "name": name,
        "used_percent": percent,
        "window_seconds": None,
        "resets_at": NOW + resets_in_s,
        "limit": limit,
    }


def account(email="work@example.com", **changes):
    usual = {"plan": "plus", "active": True, "state": "ok", "quota": [], "quota_stale": False, "simulated": False}
    return {"id": f"id-of-{email}", "email": email, "label": email} | usual | changes


def text_of(facts, width=200, log_level="warning"):
    return "".join(text for _, text in toolbar(facts, log_level, width, NOW))


def test_the_toolbar_shows_the_tightest_window_of_the_active_account():
    windows = [window("5h", 20), window("weekly", 82), window("5h", 99, limit="gpt-5.5-pro")]
    facts = Facts(STATUS, [account("other@example.com", active=False), account(quota=windows)])
    assert text_of(facts) == (
        " work@example.com · weekly ███████░  82% · resets in 2 h 10 min · 2 streams · logs warning · F1 help"
    )
    assert ("class:tight", "███████░  82%") in toolbar(facts, None, 200, NOW)


@pytest.mark.parametrize(("percent", "style"), [(79, "class:good"), (80, "class:tight"), (100, "class:bad")])
def test_a_tight_window_is_coloured(percent, style):
    facts = Facts(STATUS, [account(quota=[window("5h", percent)])])
    assert style in [name for name, text in toolbar(facts, None, 200, NOW) if "%" in text]


def test_an_account_that_cannot_be_used_and_a_simulated_one_are_named_so():
    assert "work@example.com (simulated) · needs login" in text_of(
        Facts(STATUS, [account(simulated=True, state="needs_login")])
    )
    assert "no active account" in text_of(Facts(STATUS, []))
    assert "stale" in text_of(Facts(STATUS, [account(quota=[window("5h", 20)], quota_stale=True)]))
    assert "resets" not in text_of(Facts(STATUS, [account(quota=[window("5h", 20)], quota_stale=True)]))


@pytest.mark.parametrize("facts", [Facts(), Facts(problem="gone"), Facts(STATUS, [account(quota=[window("5h", 3)])])])
@pytest.mark.parametrize("width", range(1, 120, 7))
def test_the_toolbar_fits(facts, width):
    assert 0 < len(text_of(facts, width)) <= width


def test_what_matters_most_stays_in_a_narrow_terminal():
    facts = Facts(STATUS, [account(quota=[window("5h", 3)])])
    assert text_of(facts, 60) == " work@example.com · 5h ░░░░░░░░   3% · 2 streams · F1 help"
    assert text_of(facts, 30) == " work@example.com"


def test_a_daemon_that_is_away_is_said_with_what_to_do():
    facts = Facts(STATUS, [account()], problem="codexd is not running at /x. Start it with: codexd")
    assert text_of(facts, 60).strip() == "codexd is away · Start it with: codexd"


def test_the_toolbar_of_an_older_daemon_says_so():
    line = "".join(text for _, text in toolbar(Facts(status=Answer(version="0.0.9")), None, 80, 0.0))
    assert "codexd is older than codexctl" in line
    assert "restart codexd" in line


def test_the_overview_fits_80_columns():
    lines = overview(load_commands(), Style(now=NOW, width=80))
    assert max(map(len, lines)) <= 80
    assert any(line.split()[:1] == ["accounts"] for line in lines)
    assert not any("accounts switch" in line for line in lines[:-5])


def test_the_welcome_says_what_is_simulated_and_what_is_wrong():
    lines = greeting(STATUS | {"simulated": True, "problems": ["accounts.json is broken."]}, Style(now=NOW))
    assert "SIMULATED" in "\n".join(lines)
    assert "Ready: requests go to work@example.com (simulated)." in lines
    assert "Problem: accounts.json is broken." in lines
