"""The parts of the shell that need neither a terminal nor a daemon."""

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from codexctl.commands import load_commands
from codexctl.render.base import Style
from codexctl.shell.complete import ShellCompleter, find_files, raw_length, read_words
from codexctl.shell.facts import Facts, toolbar
from codexctl.shell.help import overview, welcome
from codexctl.shell.history import KEPT_LINES, PrivateHistory, may_keep

NOW = 1_800_000_000.0
STATUS = {
    "version": "0.1.0",
    "addresses": ["http://127.0.0.1:8081"],
    "simulated": False,
    "problems": [],
    "streams_in_flight": 2,
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
    return {"id": f"id-of-{email}", "email": email} | usual | changes


def setting(name, value, default=None, **changes):
    usual = {"type": "string", "choices": None, "secret": False, "meaning": f"meaning of {name}"}
    return {"name": name, "value": value, "default": default} | usual | changes


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
    facts = Facts(STATUS, [account()], problem="codexd is not running")
    assert text_of(facts, 60).strip() == "codexd is away · start it with: codexd"


FACTS = Facts(
    accounts=[account()],
    settings=[setting("log.level", "info", "info", choices=["debug", "info"])],
)


def test_files(tmp_path):
    (tmp_path / "auth.json").touch()
    (tmp_path / ".hidden").touch()
    (tmp_path / "folder").mkdir()
    assert dict(find_files(f"{tmp_path}/a")) == {f"{tmp_path}/auth.json": "", f"{tmp_path}/folder/": ""}
    assert f"{tmp_path}/.hidden" in dict(find_files(f"{tmp_path}/."))
    assert list(find_files(f"{tmp_path}/nowhere/a")) == []


def completions(text):
    completer = ShellCompleter(load_commands(), lambda: FACTS)
    return {
        text[: len(text) + each.start_position] + each.text
        for each in completer.get_completions(Document(text), CompleteEvent())
    }


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("accounts sw", {"accounts switch"}),
        ("codexctl accounts sw", {"codexctl accounts switch"}),
        ("accounts switch w", {"accounts switch work@example.com"}),
        ("accounts switch 'w", set()),
        ("settings set log.level d", {"settings set log.level debug"}),
        ("help accounts sw", {"help accounts switch"}),
        ("logs --level warn", {"logs --level warning"}),
    ],
)
def test_completion(typed, expected):
    assert completions(typed) == expected


def test_words_as_they_are_typed():
    assert read_words("") == [""]
    assert read_words("codexctl") == ["codexctl"]
    assert read_words("a 'b c' ") == ["a", "b c", ""]
    assert [raw_length(text) for text in ("", "a ", "ab cd")] == [0, 0, 2]


JWT = "eyJ" + "hbGciOiJub25lIn0.e30.c2ln"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "  status",
        "settings set server.api_key hunter2",
        "settings set server.api_key=hunter2",
        "codexctl settings set server.api_key 'hunter2'",
        f"test {JWT}",
        "test sk-" + "a" * 20,
        "rt_" + "0123456789",
        "http://localhost:1455/auth/callback?code=ac_1&state=s",
        "test 'Authorization: Bearer abc'",
    ],
)
def test_secrets_are_not_kept(line):
    assert not may_keep(line)


@pytest.mark.parametrize(
    "line",
    [
        "status",
        "accounts token work@example.com",
        "settings get server.api_key",
        "settings set models.opus gpt-5.5",
        "settings unset server.api_key",
        "logs --grep tokens",
    ],
)
def test_other_lines_are_kept(line):
    assert may_keep(line)


def test_the_history_is_private_and_comes_back(tmp_path):
    path = tmp_path / "state" / "shell-history"
    history = PrivateHistory(path)
    for line in ("status", "settings set server.api_key hunter2", "accounts\nlogs", "naïve"):
        history.store_string(line)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(PrivateHistory(path).load_history_strings()) == ["naïve", "logs", "accounts", "status"]


def test_a_long_history_is_shortened(tmp_path):
    path = tmp_path / "shell-history"
    path.write_text("".join(f"status {number}\n" for number in range(2 * KEPT_LINES + 1)))
    assert next(iter(PrivateHistory(path).load_history_strings())) == f"status {2 * KEPT_LINES}"
    assert len(path.read_text().splitlines()) == KEPT_LINES
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_history_that_cannot_be_read_or_written_is_done_without(tmp_path):
    (tmp_path / "shell-history").mkdir()
    history = PrivateHistory(tmp_path / "shell-history")
    history.store_string("status")
    assert list(history.load_history_strings()) == []


def test_the_overview_fits_80_columns():
    lines = overview(load_commands(), Style(now=NOW, width=80))
    assert max(map(len, lines)) <= 80
    assert any(line.split()[:1] == ["accounts"] for line in lines)
    assert not any("accounts switch" in line for line in lines[:-5])


def test_the_welcome_says_what_is_simulated_and_what_is_wrong():
    lines = welcome(STATUS | {"simulated": True, "problems": ["accounts.json is broken."]}, Style(now=NOW))
    assert "SIMULATED" in "\n".join(lines)
    assert "Problem: accounts.json is broken." in lines
