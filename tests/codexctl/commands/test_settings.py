import json

import pytest
from support.control_answers import CHANGED, LIST, item

from codexctl.cli import run
from codexctl.render.text import Style

PIPE = Style(now=0.0)


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
        ("settings", "settings.list", {}, LIST),
        ("settings list", "settings.list", {}, LIST),
        ("settings get models.opus", "settings.get", {"name": "models.opus"}, item()),
        ("settings set models.opus a,b", "settings.set", {"name": "models.opus", "value": "a,b"}, item()),
        ("settings set models.opus ['a','b']", "settings.set", {"name": "models.opus", "value": ["a", "b"]}, item()),
        (
            "settings set models.aliases {a='b'}",
            "settings.set",
            {"name": "models.aliases", "value": {"a": "b"}},
            item(),
        ),
        ("settings set log.history 7", "settings.set", {"name": "log.history", "value": "7"}, item()),
        ("settings set server.port -1", "settings.set", {"name": "server.port", "value": "-1"}, item()),
        ("settings unset models.opus", "settings.unset", {"name": "models.opus"}, item()),
        ("reload", "daemon.reload", {}, CHANGED),
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


def test_a_broken_list_is_wrong_usage(daemon, ctl):
    code, out, err = ctl("settings", "set", "models.opus", "[a, b")
    assert (code, out, daemon.calls) == (2, "", [])
    assert "Lists can be written as a,b,c." in err


def test_a_refusal_is_in_the_daemons_words(daemon, ctl, scripting):
    _, refusal = scripting
    daemon.answers["daemon.reload"] = refusal("log.level = 'loud': must be one of\nserver.hots: no such setting")
    code, out, err = ctl("reload")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "codexctl: log.level = 'loud': must be one of",
        "server.hots: no such setting",
    ]


def test_a_value_is_read_from_standard_input(daemon, piped):
    daemon.answers["settings.set"] = item("server.api_key", "set", secret=True)
    out, err = piped("settings", "set", "server.api_key", "-").communicate("  a s3cret \n", timeout=20)
    assert (out, err) == ("server.api_key is now set.\n", "")
    assert daemon.calls == [("settings.set", {"name": "server.api_key", "value": "  a s3cret "})]


def test_without_a_value_and_a_terminal_it_is_wrong_usage(daemon, piped):
    process = piped("settings", "set", "server.api_key")
    out, err = process.communicate("s3cret", timeout=20)
    assert (process.returncode, out, daemon.calls) == (2, "", [])
    assert "Write - to read it from standard input." in err


def test_an_empty_standard_input_changes_nothing(daemon, piped):
    _, err = piped("settings", "set", "server.api_key", "-").communicate("\n", timeout=20)
    assert err == "codexctl: no value was given, so nothing was changed. An empty value is written as ''.\n"
    assert daemon.calls == []


@pytest.mark.parametrize("dash", [(), ("-",)])
def test_a_secret_is_asked_for_and_not_shown(daemon, terminal, dash):
    daemon.answers["settings.get"] = item("server.api_key", None, secret=True)
    daemon.answers["settings.set"] = item("server.api_key", "set", secret=True)
    shown = terminal("settings", "set", "server.api_key", *dash)
    shown.wait_for("server.api_key: ")
    shown.type("s3cret\n")
    assert shown.end() == 0
    assert daemon.next_call("settings.set") == {"name": "server.api_key", "value": "s3cret"}
    assert "s3cret" not in shown.shown
    assert "server.api_key is now set." in shown.shown


def test_another_value_is_asked_for_and_shown(daemon, terminal):
    daemon.answers["settings.get"] = item()
    daemon.answers["settings.set"] = item()
    shown = terminal("settings", "set", "models.opus")
    shown.wait_for("models.opus: ")
    shown.type("gpt-5.5\n")
    assert shown.end() == 0
    assert daemon.next_call("settings.set") == {"name": "models.opus", "value": "gpt-5.5"}


def test_a_warning_follows_what_was_done(daemon, ctl):
    daemon.answers["settings.set"] = item(value=("gpt-5.55",), warnings=["gpt-5.55 is not a known model."])
    _, out, _ = ctl("settings", "set", "models.opus", "gpt-5.55")
    assert out.splitlines() == ["models.opus is now gpt-5.55.", "Warning: gpt-5.55 is not a known model."]
