"""Edits of the file's text, and the template."""

from __future__ import annotations

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.errors import SettingInvalid
from codexd.settings.edit import make_template, set_value, unset_value
from codexd.settings.load import Document, convert, load
from codexd.settings.schema import SCHEMA, Settings


def settings_of(toml):
    return load(Document.parse(toml), environ={}, flags={}).settings


def set_in_text(text, name, value):
    return set_value(Document.parse(text), name, value).text


def unset_in_text(text, name):
    return unset_value(Document.parse(text), name).text


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


def test_an_edit_gives_the_document_as_it_will_be_read():
    edited = set_value(Document.parse(FILE), "log.level", "debug")
    assert edited == Document.parse(edited.text)
    assert unset_value(edited, "log.level").tables["log"] == {}


def test_what_changes_nothing_gives_the_same_document():
    document = Document.parse(FILE)
    assert set_value(document, "server.port", 1) is document
    assert unset_value(document, "log.level") is document
    assert document == Document.parse(FILE)


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
    assert load(Document.parse(template), environ={}, flags={}).sources == {}
    assert max(len(line) for line in template.splitlines()) <= 100
    uncommented = re.sub(r"(?m)^# (\w+ = )", r"\1", template)
    assert set(load(Document.parse(uncommented), environ={}, flags={}).in_file) == set(SCHEMA)
    without = uncommented.replace('api_key = "a-long-random-text"\n', "").replace('{ fast = "gpt-5.5" }', "{}")
    assert settings_of(without) == Settings()


@pytest.mark.parametrize(("name", "value"), [("server.prot", "1"), ("server.port", "x"), ("log.level", "loud")])
def test_a_bad_edit_is_refused(name, value):
    with pytest.raises(SettingInvalid, match=name):
        set_in_text(FILE, name, value)


def test_null_does_not_unset_a_setting():
    with pytest.raises(SettingInvalid, match="unset"):
        set_in_text(FILE, "server.api_key", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [("[server", "not TOML"), (f"a = {'9' * 5000}", "not readable TOML"), ("server = 3", "server: no such setting")],
)
def test_a_broken_file_is_not_edited(text, said):
    with pytest.raises(SettingInvalid, match=said):
        set_in_text(text, "server.port", "1")
    with pytest.raises(SettingInvalid, match=said):
        unset_in_text(text, "server.port")


ALIASES = """[models]
opus = "a"

[models.aliases]
fast = "gpt-5.5" # quick
"gpt-4*" = "gpt-5.4-mini"
"""


@pytest.mark.parametrize(
    ("text", "name", "value", "aliases"),
    [
        ("", "models.aliases.fast", "x", {"fast": "x"}),
        (ALIASES, "models.aliases.slow", "x", {"fast": "gpt-5.5", "gpt-4*": "gpt-5.4-mini", "slow": "x"}),
        (ALIASES, "models.aliases.fast", "x", {"fast": "x", "gpt-4*": "gpt-5.4-mini"}),
        (ALIASES, "models.aliases.gpt-4.1", " x ", {"fast": "gpt-5.5", "gpt-4*": "gpt-5.4-mini", "gpt-4.1": "x"}),
        ("[models]\naliases = {a = 'b'} # mine\n", "models.aliases.c", "d", {"a": "b", "c": "d"}),
        ("[models]\naliases = 'a=b' # mine\n", "models.aliases.c", "d", {"a": "b", "c": "d"}),
        ("models.aliases.a = 'b' # mine\n", "models.aliases.c", "d", {"a": "b", "c": "d"}),
    ],
)
def test_a_key_of_a_table_is_set_and_the_others_stay(text, name, value, aliases):
    edited = set_in_text(text, name, value)
    assert settings_of(edited).models.aliases == aliases
    assert edited.count("#") == text.count("#")
    assert set_in_text(edited, name, value) == edited


@pytest.mark.parametrize(
    ("text", "name", "aliases"),
    [
        (ALIASES, "models.aliases.fast", {"gpt-4*": "gpt-5.4-mini"}),
        (ALIASES, "models.aliases.other", {"fast": "gpt-5.5", "gpt-4*": "gpt-5.4-mini"}),
        ("[models]\naliases = 'a=b,c=d'\n", "models.aliases.a", {"c": "d"}),
        ("[models]\naliases = 'a=b'\n", "models.aliases.a", {}),
        ("[models]\naliases = {a = 'b'}\n", "models.aliases.a", {}),
        ("", "models.aliases.a", {}),
    ],
)
def test_a_key_of_a_table_is_unset_and_the_others_stay(text, name, aliases):
    edited = unset_in_text(text, name)
    assert settings_of(edited).models.aliases == aliases
    assert unset_in_text(edited, name) == edited


@pytest.mark.parametrize("value", ["", " ", 5, None, ["a"], {"a": "b"}])
def test_the_value_of_a_key_is_a_name(value):
    with pytest.raises(SettingInvalid, match=r"models\.aliases\.fast: must be a name"):
        set_in_text("", "models.aliases.fast", value)


@pytest.mark.parametrize("name", ["models.aliases.", "models.alias.fast", "log.level.x", "models.opus.x"])
def test_only_tables_have_keys(name):
    with pytest.raises(SettingInvalid, match="no such setting"):
        set_in_text("", name, "x")
