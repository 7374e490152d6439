import pytest
from support.control_answers import CHANGED, KEY, LIST, PORT, item

from codexctl.render import settings as render_settings
from codexctl.render.text import Style

WIDE = Style(now=0.0, width=80)
PIPE = Style(now=0.0)


def test_the_table():
    assert render_settings.settings(LIST, WIDE) == [
        "SETTING                VALUE   FROM",
        "models.opus            a,b     settings.toml",
        "server.port            8082 *  settings.toml",
        "upstream.idle_timeout  300 s   default",
        "server.api_key         set     environment CODEXD_SERVER_API_KEY",
        "* takes effect when codexd restarts",
        "",
        "File: /home/me/settings.toml",
    ]
    broken = render_settings.settings(LIST | {"problem": "one\ntwo\x1b[2J"}, WIDE)
    assert broken[-2:] == ["  one", "  two\\x1b[2J"]


def test_one_setting_is_its_value_in_a_pipe_and_everything_on_a_terminal():
    assert render_settings.setting(item(), PIPE) == ["a,b"]
    assert render_settings.setting(item(value=None), PIPE) == [""]
    assert render_settings.setting(PORT, WIDE) == [
        "server.port = 8082",
        "  Port of the HTTP proxy.",
        "  from       /home/me/settings.toml",
        "  default    8081",
        "  variables  CODEXD_SERVER_PORT, PORT",
        "  a change   takes effect at the next start",
        "  The value takes effect when codexd restarts.",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (15.0, "15"),
        (0.25, "0.25"),
        (8081, "8081"),
        (None, ""),
        (["a", "b"], "a,b"),
        ({"a": "b", "c*": "d"}, "a=b,c*=d"),
        ("x\x1b[2J", "x\\x1b[2J"),
    ],
)
def test_values_are_written_as_they_are_set(value, text):
    assert render_settings.value_text(value) == text


def test_what_a_change_says():
    assert render_settings.was_set(item(), WIDE) == ["models.opus is now a,b."]
    assert render_settings.was_set(KEY, WIDE) == ["server.api_key is now set."]
    assert render_settings.was_set(PORT, WIDE) == [
        "server.port is 8082 in the settings file. The change takes effect when codexd",
        "restarts.",
    ]
    assert render_settings.was_unset(item(), WIDE) == ["models.opus is now at its default (gpt-5.5)."]
    assert render_settings.was_unset(KEY, WIDE) == ["server.api_key is now not set."]
    assert render_settings.changed(CHANGED, WIDE) == ["models.opus: a -> a,b"]
    assert render_settings.changed({"changed": [], "file": "x"}, WIDE) == ["No setting changed."]
    key = {"name": "server.api_key", "before": "set", "after": "set", "restart_needed": True}
    assert render_settings.changed({"changed": [key], "file": "x"}, WIDE) == [
        "server.api_key: set -> another value",
        "  takes effect when codexd restarts",
    ]


def test_what_was_set_has_its_unit():
    timeout = item("upstream.idle_timeout", 5400.0, unit="s", default=300.0)
    assert render_settings.was_set(timeout, PIPE) == ["upstream.idle_timeout is now 5400 s."]
    assert render_settings.was_unset(timeout, PIPE) == ["upstream.idle_timeout is now at its default (300 s)."]
    assert render_settings.setting(timeout, PIPE) == ["5400"]
