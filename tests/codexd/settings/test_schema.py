"""The schema, the layers over it, and the file."""

from __future__ import annotations

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.errors import SettingInvalid
from codexd.settings.edit import make_template, set_in_text, unset_in_text
from codexd.settings.load import convert, load
from codexd.settings.schema import SCHEMA, Settings, is_loopback


def settings_of(toml="", environ=None, **flags):
    return load(toml=toml, environ=environ or {}, flags=flags).settings


def problems_of(toml="", environ=None, **flags):
    with pytest.raises(SettingInvalid) as caught:
        load(toml=toml, environ=environ or {}, flags=flags)
    return str(caught.value)


def test_every_setting_says_what_it_means():
    assert len(SCHEMA) == 28
    for setting in SCHEMA.values():
        assert setting.meaning
        assert setting.environ[0] == "CODEXD_" + setting.name.replace(".", "_").upper()


def test_defaults():
    settings = Settings()
    assert (settings.server.host, settings.server.port, settings.server.api_key) == ("127.0.0.1", 8081, None)
    assert settings.models.opus[0] == settings.models.sonnet[0] == settings.models.default[0] == "gpt-5.5"
    assert (settings.models.haiku[0], settings.models.codex[0]) == ("gpt-5.4-mini", "gpt-5.3-codex")
    assert settings.reasoning == type(settings.reasoning)("high", "medium", "medium", "low")
    assert (settings.upstream.connect_timeout, settings.upstream.idle_timeout) == (15, 300)


def test_precedence_is_flag_environment_file_default():
    toml = "[server]\nport = 1\nhost = 'localhost'\n"
    loaded = load(toml=toml, environ={"CODEXD_PORT": "2", "CODEXD_LOG_HISTORY": "7"}, flags={"server.port": "3"})
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
        ("[server]\nport = '80x'", "server.port = '80x' (settings.toml): must be a whole number"),
        ("[server]\nport = true", "server.port = True (settings.toml): must be a whole number"),
        ("[server]\nport = 70000", "server.port = 70000 (settings.toml): must be from 0 to 65535"),
        ("[server]\nhost = ''", "server.host = '' (settings.toml): must not be empty"),
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
        (f"[server]\nport = {'9' * 5000}", "settings.toml: not TOML that can be read: a number of too many digits"),
        (f"[server]\nport = 0x{'f' * 5000}", "server.port = (too large to show) (settings.toml): must be from 0"),
        (f"[models]\nopus = {'[' * 5000}{']' * 5000}", "settings.toml: not TOML that can be read: nested too deeply"),
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


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.com", "", "127.0.0.1.example.com"])
def test_not_loopback(host):
    assert not is_loopback(host)


FILE = """# my settings
[server]   # where
port = 1   # mine

[models]
opus = ["a", "b"] # best
"""


def test_setting_a_value_keeps_comments_and_order():
    assert set_in_text(FILE, "server.port", "8082") == FILE.replace("port = 1 ", "port = 8082 ")
    added = set_in_text(FILE, "log.level", "debug")
    assert added.startswith(FILE)
    assert settings_of(added).log.level == "debug"


def test_unsetting_a_value_leaves_the_rest():
    assert unset_in_text(FILE, "server.port") == FILE.replace("port = 1   # mine\n", "")
    assert unset_in_text(FILE, "log.level") == FILE


@pytest.mark.parametrize(
    ("text", "name", "value", "after"),
    [
        ("", "server.port", "1", "[server]\nport = 1\n"),
        ("server = {port = 1}\n", "server.host", "localhost", 'server = {port = 1, host = "localhost"}\n'),
        ("server.port = 1 # mine\n", "server.port", 2, "server.port = 2 # mine\n"),
        ("[log]\r\nhistory = 1\r\n", "log.history", 2, "[log]\r\nhistory = 2\r\n"),
        ("[models]\nopus = 'a' # x\n", "models.opus", "b,c", '[models]\nopus = ["b", "c"] # x\n'),
        ("[models]\nopus = 'a' # x\n", "models.opus", ["b"], '[models]\nopus = "b" # x\n'),
        (
            "[models.aliases]\na = 'b' # why\nc = 'd'\n",
            "models.aliases",
            "a=b,e=f",
            "[models.aliases]\na = 'b' # why\ne = \"f\"\n",
        ),
        ("[rotation]\nenabled = true # so\n", "rotation.enabled", "yes", "[rotation]\nenabled = true # so\n"),
    ],
)
def test_every_way_to_write_a_table_can_be_edited(text, name, value, after):
    edited = set_in_text(text, name, value)
    assert tomllib.loads(edited) == tomllib.loads(after)
    assert [line.partition("#")[2] for line in edited.splitlines()] == [
        line.partition("#")[2] for line in after.splitlines()
    ]
    assert edited.count("\r\n") == after.count("\r\n")


def test_what_is_set_already_leaves_the_file_byte_for_byte():
    assert set_in_text("[log]\nhistory=0x10\n", "log.history", "16") == "[log]\nhistory=0x10\n"
    aliases = "[models.aliases]\n  a='b'\nc='d'\n"
    assert set_in_text(aliases, "models.aliases", "a=b,c=e") == aliases.replace("'d'", '"e"')


VALUES = {
    "server.port": st.integers(0, 65535),
    "server.api_key": st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1),
    "models.opus": st.lists(st.text(min_size=1), min_size=1, max_size=3),
    "models.aliases": st.dictionaries(st.text(min_size=1), st.text(min_size=1), min_size=1, max_size=3),
    "rotation.enabled": st.booleans(),
    "upstream.idle_timeout": st.floats(0.1, 1e6),
}


@given(
    st.lists(
        st.sampled_from(sorted(VALUES)).flatmap(lambda name: st.tuples(st.just(name), st.none() | VALUES[name])),
        max_size=6,
    ),
    st.sampled_from(
        ["", FILE, "models.opus = 'x'\n[server]\n", "[models.aliases]\na = 'b'\n[log]\n[models]\nopus='x'\n"]
    ),
)
def test_any_edits_in_a_row_say_what_was_set(edits, text):
    has_comment = "# my settings" in text
    for name, value in edits:
        text = unset_in_text(text, name) if value is None else set_in_text(text, name, value)
        group, key = name.split(".")
        if value is None:
            assert key not in tomllib.loads(text).get(group, {})
        else:
            assert SCHEMA[name].read(settings_of(text)) == convert(SCHEMA[name], value)
    assert ("# my settings" in text) == has_comment


def test_the_template_sets_nothing_and_holds_every_setting():
    template = make_template()
    assert load(toml=template, environ={}, flags={}).sources == {}
    assert max(len(line) for line in template.splitlines()) <= 100
    uncommented = re.sub(r"(?m)^# (\w+ = )", r"\1", template)
    assert set(load(toml=uncommented, environ={}, flags={}).in_file) == set(SCHEMA)
    without = uncommented.replace('api_key = "a-long-random-text"\n', "").replace('{ fast = "gpt-5.5" }', "{}")
    assert settings_of(without) == Settings()


@pytest.mark.parametrize(("name", "value"), [("server.prot", "1"), ("server.port", "x"), ("log.level", "loud")])
def test_a_bad_edit_is_refused(name, value):
    with pytest.raises(SettingInvalid, match=name):
        set_in_text(FILE, name, value)


def test_no_value_is_no_way_to_unset():
    with pytest.raises(SettingInvalid, match="unset"):
        set_in_text(FILE, "server.api_key", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [("[server", "not TOML"), (f"a = {'9' * 5000}", "not TOML"), ("server = 3", "server: no such setting")],
)
def test_a_broken_file_is_not_edited(text, said):
    with pytest.raises(SettingInvalid, match=said):
        set_in_text(text, "server.port", "1")
    with pytest.raises(SettingInvalid, match=said):
        unset_in_text(text, "server.port")


@given(
    st.dictionaries(st.sampled_from(sorted(SCHEMA)), st.text() | st.integers() | st.booleans() | st.lists(st.text()))
)
def test_any_values_load_or_are_refused_by_name(values):
    try:
        load(environ={}, flags=values)
    except SettingInvalid as refused:
        assert any(name in str(refused) for name in values)
