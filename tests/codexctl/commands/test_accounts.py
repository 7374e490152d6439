import json

import pytest

from codexctl.cli import run

REF = {
    "id": "0123456789ab",
    "email": "work@example.com",
    "label": "work@example.com",
    "plan": "plus",
    "simulated": False,
}
NOTHING = {"added": [], "updated": [], "kept": [], "problems": [], "note": None}
SWITCHED = {
    "account": REF,
    "previous": None,
    "switched": True,
    "warning": None,
    "cost": {"sessions": 0, "reasoning_items": 0, "tokens": 0},
}
REMOVED = {"account": REF, "revoked": True, "note": None}
INFO = {**REF, "active": False, "state": "ok", "reason": None}
CHECKED = {"results": [{"account": REF, "ok": True, "message": "Fine."}]}
TOKEN = {"account": REF, "access_token": "the.access.token", "expires_at": 1_800_000_000.0}
QUOTA = {
    "account": REF,
    "windows": [],
    "tightest": None,
    "credits": None,
    "fetched_at": None,
    "stale": True,
    "cooldown_until": None,
    "error": None,
}


MODELS = {"account": REF, "models": [], "source": "backend", "fetched_at": 1_790_000_000.0, "error": None}


def model(id_, listed):
    return {
        "id": id_,
        "name": id_.upper(),
        "description": None,
        "context_window": 1,
        "efforts": [],
        "default_effort": None,
        "listed": listed,
        "offered": True,
        "refused": False,
        "used_by": [],
    }


@pytest.fixture
def ctl(environ, capsys):
    """Runs a command in this process; its exit status and what it wrote."""

    def call(*arguments):
        code = run(arguments, environ)
        return (code, *capsys.readouterr())

    return call


@pytest.mark.parametrize(
    ("words", "method", "params", "result"),
    [
        ("accounts import", "accounts.import", {"source": "codex"}, NOTHING | {"added": [REF]}),
        (
            "accounts import codex-claude-proxy --follow",
            "accounts.import",
            {"source": "codex-claude-proxy", "follow": True},
            NOTHING | {"kept": [REF]},
        ),
        ("accounts switch work", "accounts.switch", {"account": "work"}, SWITCHED),
        ("accounts switch work --dry-run", "accounts.switch", {"account": "work", "dry_run": True}, SWITCHED),
        ("accounts remove work --yes", "accounts.remove", {"account": "work"}, REMOVED),
        ("accounts clear --yes", "accounts.clear", {}, {"removed": 2}),
        ("accounts refresh", "accounts.refresh", {}, CHECKED),
        ("accounts refresh work", "accounts.refresh", {"account": "work"}, CHECKED),
        ("accounts verify --all", "accounts.verify", {"all": True}, CHECKED),
        ("accounts enable work", "accounts.enable", {"account": "work"}, {"account": INFO}),
        ("accounts disable work", "accounts.disable", {"account": "work"}, {"account": INFO}),
        ("accounts token", "accounts.token", {}, TOKEN),
        ("accounts token work", "accounts.token", {"account": "work"}, TOKEN),
        ("quota", "accounts.quota", {}, {"accounts": [QUOTA]}),
        ("quota work --refresh", "accounts.quota", {"account": "work", "refresh": True}, {"accounts": [QUOTA]}),
        ("quota --all", "accounts.quota", {"all": True}, {"accounts": [QUOTA]}),
        ("models work", "accounts.models", {"account": "work"}, MODELS),
        ("models --refresh", "accounts.models", {"refresh": True}, MODELS),
    ],
)
def test_what_each_command_asks(daemon, ctl, words, method, params, result):
    daemon.answers[method] = result
    code, out, err = ctl(*words.split())
    assert (code, err) == (0, "")
    assert daemon.calls == [(method, params)]
    assert out
    _, as_json, _ = ctl(*words.split(), "--json")
    assert json.loads(as_json) == result


def test_a_path_is_one_of_this_folder(daemon, ctl, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    daemon.answers["accounts.import"] = NOTHING | {"added": [REF]}
    ctl("accounts", "import", "home.json")
    assert daemon.calls == [("accounts.import", {"source": str(tmp_path / "home.json")})]


def test_an_import_of_nothing_is_exit_1(daemon, ctl):
    daemon.answers["accounts.import"] = NOTHING | {"problems": ["Its first login has no refresh token."]}
    code, out, err = ctl("accounts", "import")
    assert (code, out, err) == (1, "Problem: Its first login has no refresh token.\n", "")


@pytest.mark.parametrize("command", ["refresh", "verify"])
def test_one_failure_is_exit_1(daemon, ctl, command):
    failed = {"account": REF, "ok": False, "message": "It has ended."}
    daemon.answers[f"accounts.{command}"] = {"results": [*CHECKED["results"], failed]}
    code, out, err = ctl("accounts", command, "--all")
    assert (code, err) == (1, "")
    assert out.splitlines()[-2:] == ["failed  work@example.com", "        It has ended."]


def test_a_token_stands_alone(daemon, ctl):
    daemon.answers["accounts.token"] = TOKEN
    assert ctl("accounts", "token") == (0, "the.access.token\n", "")


def test_hidden_models_only_with_all(daemon, ctl):
    used = model("used", False) | {"used_by": ["models.haiku"]}
    daemon.answers["accounts.models"] = MODELS | {"models": [model("shown", True), model("secret", False), used]}
    assert "secret" not in ctl("models")[1]
    assert "(hidden)" in next(line for line in ctl("models", "--all")[1].splitlines() if line.startswith("secret"))
    assert [each["id"] for each in json.loads(ctl("models", "--json")[1])["models"]] == ["shown", "used"]


def test_a_refusal_is_in_the_daemons_words(daemon, ctl, scripting):
    _, refusal = scripting
    daemon.answers["accounts.disable"] = refusal("No account is called nobody.")
    assert ctl("accounts", "disable", "nobody") == (1, "", "codexctl: No account is called nobody.\n")


@pytest.mark.parametrize(
    "words",
    [
        "accounts add --device --no-browser",
        "accounts refresh work --all",
        "quota work --all",
        "accounts switch",
        "accounts remove",
        "accounts enable",
        "accounts clear work",
    ],
)
def test_wrong_usage_is_exit_2(daemon, ctl, words):
    code, out, err = ctl(*words.split())
    assert (code, out) == (2, "")
    assert "usage: codexctl" in err
    assert daemon.calls == []


@pytest.mark.parametrize("words", ["accounts remove work", "accounts clear"])
def test_without_a_terminal_nothing_ends_by_itself(daemon, piped, words):
    process = piped(*words.split())
    out, err = process.communicate("y\n", timeout=20)
    assert (process.returncode, out) == (2, "")
    assert "Add --yes" in err
    assert daemon.calls == []


def test_removing_asks_for_the_account_that_is_meant(daemon, terminal):
    daemon.answers |= {"accounts.quota": {"accounts": [QUOTA]}, "accounts.remove": REMOVED}
    screen = terminal("accounts", "remove", "wo")
    screen.wait_for("Sign out work@example.com for good? [y/N] ")
    screen.type("y\n")
    assert screen.end() == 0
    assert daemon.calls == [("accounts.quota", {"account": "wo"}), ("accounts.remove", {"account": REF["id"]})]
    assert "Removed work@example.com." in screen.shown


@pytest.mark.parametrize("answer", ["\n", "no\n", "\x04"])
def test_anything_but_yes_leaves_it(daemon, terminal, answer):
    daemon.answers["accounts.list"] = {"accounts": [INFO], "active": None}
    screen = terminal("accounts", "clear")
    screen.wait_for("Sign out of all accounts for good (work@example.com)? [y/N] ")
    screen.type(answer)
    assert screen.end() == 1
    assert screen.shown.endswith("\ncodexctl: nothing was removed.\n")
    assert daemon.calls == [("accounts.list", {})]


def test_no_colour_where_it_is_not_wanted(daemon, terminal):
    daemon.answers["accounts.verify"] = CHECKED
    for changes, expected in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        screen = terminal("accounts", "verify", **changes)
        assert screen.end() == 0
        assert ("\x1b[" in screen.shown) is expected


def test_a_call_that_takes_long_shows_it_on_a_terminal(daemon, terminal, scripting):
    later, _ = scripting
    daemon.answers["accounts.quota"] = later
    shown = terminal("quota", "--refresh")
    shown.wait_for("asking the backend for new figures")
    daemon.reply("accounts.quota", {"accounts": []})
    assert shown.end() == 0
    assert "\r\x1b[KNo account is signed in." in shown.shown


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_in_a_pipe_nothing_is_shown_of_it(daemon, piped, scripting, more):
    later, _ = scripting
    daemon.answers["accounts.quota"] = later
    daemon.answers["daemon.status"] = {}
    process = piped("quota", "--refresh", *more)
    daemon.next_call("accounts.quota")
    daemon.next_call("daemon.status")
    daemon.reply("accounts.quota", {"accounts": []})
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
