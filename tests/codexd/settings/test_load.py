"""The layers over the defaults: the file, the environment, the command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.errors import SettingInvalid
from codexd.settings.load import Document, convert, load
from codexd.settings.schema import SCHEMA


def settings_of(toml="", environ=None, **flags):
    return load(Document.parse(toml), environ=environ or {}, flags=flags).settings


def problems_of(toml="", environ=None, **flags):
    with pytest.raises(SettingInvalid) as caught:
        load(Document.parse(toml), environ=environ or {}, flags=flags)
    return str(caught.value)


def test_precedence_is_flag_environment_file_default():
    toml = "[server]\nport = 1\nhost = 'localhost'\n"
    loaded = load(
        Document.parse(toml), environ={"CODEXD_PORT": "2", "CODEXD_LOG_HISTORY": "7"}, flags={"server.port": "3"}
    )
    assert loaded.settings.server.port == 3
    assert loaded.settings.log.history == 7
    assert loaded.sources == {
        "server.port": "--port",
        "server.host": "settings.toml",
        "log.history": "environment CODEXD_LOG_HISTORY",
    }


@pytest.mark.parametrize(
    ("environ", "port"),
    [
        ({"PORT": "1"}, 1),
        ({"CODEXD_PORT": "2", "PORT": "1"}, 2),
        ({"CODEXD_SERVER_PORT": "3", "CODEXD_PORT": "2", "PORT": "1"}, 3),
        ({"PORT": ""}, 8081),
    ],
)
def test_other_names_of_the_environment(environ, port):
    assert settings_of(environ=environ).server.port == port


def test_the_predecessors_switches():
    environ = {"CODEX_CLAUDE_PROXY_ENABLE_MULTI_ACCOUNT_ROTATION": "1", "CODEX_CLAUDE_PROXY_ENABLE_KILO": "yes"}
    settings = settings_of(environ=environ)
    assert settings.rotation.enabled
    assert settings.kilo.enabled


def test_a_model_setting_is_a_name_or_a_list():
    assert settings_of("[models]\nopus = 'a'\nhaiku = ['b', 'c']\n").models.opus == ("a",)
    assert settings_of("[models]\nhaiku = ['b', 'c']\n").models.haiku == ("b", "c")
    assert settings_of(environ={"CODEXD_MODELS_OPUS": "a, b"}).models.opus == ("a", "b")


def test_aliases_are_a_table():
    assert settings_of("[models.aliases]\n'claude-*' = 'gpt-5.5'\n").models.aliases == {"claude-*": "gpt-5.5"}
    assert settings_of(environ={"CODEXD_MODELS_ALIASES": "x=y,z=w"}).models.aliases == {"x": "y", "z": "w"}


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[server]\nprot = 1", "server.prot (settings.toml): no such setting; did you mean server.port?"),
        ("port = 1", "port (settings.toml): no such setting"),
        ("[server]\nport = '80x'", "server.port = '80x' (settings.toml): must be an integer"),
        ("[server]\nport = '--5'", "server.port = '--5' (settings.toml): must be an integer"),
        ("[server]\nport = true", "server.port = True (settings.toml): must be an integer"),
        ("[server]\nport = 70000", "server.port = 70000 (settings.toml): must be from 0 to 65535"),
        ("[server]\nhost = ''", "server.host = '' (settings.toml): must not be empty"),
        (
            "[server]\nhost = '127.0.0.1:8081'",
            "must be a host name or an IP address, without http:// and without a port",
        ),
        ("[server]\nhost = 'http://localhost'", "must be a host name or an IP address"),
        ("[server]\nhost = 'a..b'", "must be a host name or an IP address"),
        ("[server]\nhost = '[12]'", "must be a host name or an IP address"),
        ("[server]\nallowed_hosts = ['*.docker']", "'*.docker' is not a bare host name"),
        ("[server]\nallowed_origins = ['obsidian.md']", "'obsidian.md' is not an origin"),
        ("[server]\nhost = 7", "server.host = 7 (settings.toml): must be a string"),
        (
            "[server]\nhost = '0.0.0.0'",
            "server.host = '0.0.0.0' (settings.toml): other machines could use your account",
        ),
        ("[upstream]\nidle_timeout = 0", "must be more than 0"),
        ("[upstream]\nidle_timeout = nan", "must be a number"),
        ("[upstream]\nbackend_url = 'chatgpt.com'", "must be an http:// or https:// URL"),
        (
            "[upstream]\nbackend_url = 'http://a:99999'",
            "must be an http:// or https:// URL (Port out of range 0-65535)",
        ),
        ("[upstream]\nauth_url = 'http://[::1'", "must be an http:// or https:// URL (Invalid IPv6 URL)"),
        ("[upstream]\nbackend_url = 'http://a b'", "must be an http:// or https:// URL"),
        ("[upstream]\nbackend_url = 'http://:80'", "must be an http:// or https:// URL"),
        ('[upstream]\nclient_version = "1\\n2"', "must be printable ASCII without spaces"),
        ("[upstream]\nclient_version = 'é'", "must be printable ASCII without spaces"),
        ("[upstream]\nclient_version = ''", "must not be empty"),
        ("[server]\napi_key = ' key'", "server.api_key = (not shown) (settings.toml): must be printable ASCII"),
        (f"[log]\nhistory = {10**30}", "must be more than 0 and at most 1000000"),
        (f"[usage]\nretention_days = {10**400}", "must be more than 0 and at most 36500"),
        ("[models]\nopus = []", "models.opus = [] (settings.toml): must not be empty"),
        ("[models]\nopus = [1]", "must be a name or a list of names"),
        ("[models]\naliases = 'x'", "must be a table of names"),
        ("[reasoning]\nopus = 'huge'", "must be one of none, minimal, low, medium, high, xhigh, max"),
        ("[rotation]\nenabled = 'maybe'", "must be true or false"),
        ("[server", "settings.toml: not TOML"),
        (f"[server]\nport = {'9' * 5000}", "settings.toml: not readable TOML: a number has too many digits"),
        (f"[server]\nport = 0x{'f' * 5000}", "server.port = (too large to show) (settings.toml): must be from 0"),
        (f"[models]\nopus = {'[' * 5000}{']' * 5000}", "settings.toml: not readable TOML: nested too deeply"),
    ],
)
def test_what_is_wrong_is_said_by_name(toml, said):
    assert said in problems_of(toml)


def test_all_problems_are_said_at_once():
    said = problems_of("[server]\nport = -1\n[log]\nlevel = 'loud'\n", {"CODEXD_SERVER_HOTS": "x"})
    assert len(said.splitlines()) == 3
    assert "did you mean CODEXD_SERVER_HOST?" in said


def test_a_key_is_never_shown():
    assert "s3cret" not in problems_of("[server]\napi_key = ['s3cret']\n")


def test_a_host_off_loopback_needs_a_key():
    assert settings_of("[server]\nhost = '0.0.0.0'\napi_key = 'k'\n").server.host == "0.0.0.0"


@given(
    st.dictionaries(st.sampled_from(sorted(SCHEMA)), st.text() | st.integers() | st.booleans() | st.lists(st.text()))
)
def test_any_values_load_or_are_refused_by_name(values):
    try:
        load(environ={}, flags=values)
    except SettingInvalid as refused:
        assert any(name in str(refused) for name in values)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("upstream.idle_timeout", "5m", 300.0),
        ("upstream.idle_timeout", "90s", 90.0),
        ("upstream.idle_timeout", "1h30m", 5400.0),
        ("upstream.idle_timeout", "1H 30 min", 5400.0),
        ("upstream.idle_timeout", "1.5m", 90.0),
        ("upstream.idle_timeout", "500ms", 0.5),
        ("upstream.idle_timeout", "300", 300.0),
        ("upstream.idle_timeout", "3e2", 300.0),
        ("usage.retention_days", "12w", 84),
        ("usage.retention_days", "48h", 2),
        ("usage.retention_days", "90", 90),
    ],
)
def test_durations_are_taken_where_a_setting_has_a_unit_of_time(name, text, value):
    converted = convert(SCHEMA[name], text)
    assert (converted, type(converted)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("upstream.idle_timeout", "5 parsecs", "must be a number, or a duration such as 90s, 5m or 1h30m"),
        ("upstream.idle_timeout", "-5m", "must be a number, or a duration"),
        ("upstream.idle_timeout", "0s", "must be more than 0"),
        ("usage.retention_days", "12h", "or a duration such as 90d or 12w"),
        ("log.history", "5m", "must be"),
    ],
)
def test_what_is_no_duration_is_refused(name, text, said):
    with pytest.raises(ValueError, match=said):
        convert(SCHEMA[name], text)


@given(st.floats(0.001, 1e5), st.sampled_from(["ms", "s", "m", "min", "h", "d", "w"]))
def test_any_length_is_a_positive_number_of_seconds(number, unit):
    assert convert(SCHEMA["upstream.idle_timeout"], f"{number:.3f}{unit}") > 0.0


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("localhost", "localhost"),
        ("127.0.0.2", "127.0.0.2"),
    ],
)
def test_an_ipv6_address_may_have_brackets(written, host):
    assert load(environ={"HOST": written}, flags={}).settings.server.host == host
    assert load(environ={}, flags={"server.host": written}).settings.server.host == host
