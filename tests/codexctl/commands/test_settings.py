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
