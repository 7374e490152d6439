"""One key and one table, put into TOML texts as people write them and taken out again."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.clients import toml_text

KEY, TABLE = ("model_provider",), ("model_providers", "codexd")
OURS = '{ name = "codexd", base_url = "http://127.0.0.1:8081/v1", supports_websockets = false }'

SHAPES = {
    "empty": "",
    "one key": 'model = "gpt-5.5"\n',
    "comments and empty lines": '# mine\n\nmodel = "gpt-5.5"  # the best\n\n\n# end\n',
    "a table first": "[tui]\nnotifications = true\n",
    "CRLF": 'model = "gpt-5.5"\r\n\r\n[tui]\r\nnotifications = true\r\n',
    "tabs and spaces": '\tmodel\t=\t"gpt-5.5"\n  [ tui ]\n\tnotifications = true\n',
    "quoted keys": '"model" = "gpt-5.5"\n\'my key\' = 1\n[projects."/home/me/a.b [x]"]\ntrust_level = "trusted"\n',
    "dotted keys": 'tui.notifications = true\nmodel_providers.other.name = "other"\n',
    "dotted keys in a table": '[model_providers]\nother.name = "other"\nother.base_url = "https://x.example.com/v1"\n',
    "inline tables": 'shell_environment_policy = { inherit = "core", set = { A = "1" } }\n',
    "an inline holder": 'model_providers = { other = { name = "other" } }\n[tui]\na = 1\n',
    "an empty inline holder": "model_providers = {}\n",
    "an empty holder": "[model_providers]\n",
    "arrays of tables": '[[skills.config]]\npath = "/a"\n\n[[skills.config]]\npath = "/b"\nenabled = false\n',
    "arrays over lines": 'notify = [\n  "sh", # ]\n  "-c",\n  "echo [tui]",\n]\n[tui]\na = 1\n',
    "texts over lines": 'instructions = """\n[model_providers.codexd]\nmodel_provider = "x"\n\\""""\n[tui]\na = 1\n',
    "literal texts over lines": "a = '''\n[b]\n#'''' # c\nd = 'C:\\x'\n",
    "numbers, dates": "a = 1_000\nb = 1e3\nc = 1979-05-27T07:32:00Z\nd = 07:32:00\ne = inf\nf = 0xff\n",
    "another provider": 'model_provider = "other" # by me\n[model_providers.other]\nname = "other"\n',
    "single quotes": "model_provider = 'other'\n",
    "a table after the own place": '[model_providers.other]\nname = "o"\n[model_providers.other.http_headers]\nA = "1"\n',
    "other letters": 'model = "größer 🎉"\n# ü\n["Ü"]\n"ß" = 1\n',
    "comments at the end": "[tui]\na = 1\n# last\n\n\n",
}


def put_both(text):
    return toml_text.put(toml_text.put(text, KEY, '"codexd"'), TABLE, OURS)


def drop_both(text, before):
    text = toml_text.drop(text, TABLE)
    return toml_text.drop(text, KEY) if before is None else toml_text.put(text, KEY, before)


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_what_was_put_is_there_and_the_rest_comes_back(text):
    before = toml_text.read(text, KEY)
    edited = put_both(text)
    said = tomllib.loads(edited)
    assert said["model_provider"] == "codexd"
    assert said["model_providers"]["codexd"]["base_url"] == "http://127.0.0.1:8081/v1"
    assert drop_both(edited, before) == text


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_no_byte_of_the_rest_is_touched(text):
    """The user's other lines are all there, in their order."""
    theirs = [line for line in text.splitlines(keepends=True) if "model_provider" not in line]
    edited = iter(put_both(text).splitlines(keepends=True))
    assert all(line in edited for line in theirs)


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_a_line_of_another_program_between_does_not_matter(text):
    """The Codex CLI itself adds tables to its file."""
    added = '\n[projects."/home/me/work"]\ntrust_level = "trusted"\n'
    before = toml_text.read(text, KEY)
    assert drop_both(put_both(text) + added, before) == text + added


def test_without_an_end_of_the_last_line_one_is_added():
    edited = put_both("[tui]\na = 1")
    assert tomllib.loads(edited)["tui"] == {"a": 1}
    assert drop_both(edited, None) == "[tui]\na = 1\n"


def test_tables_within_go_with_the_table():
    text = (
        '[model_providers.codexd]\nname = "codexd"\n\n[tui]\na = 1\n\n[model_providers.codexd.http_headers]\nA = "1"\n'
    )
    assert toml_text.drop(text, TABLE) == "\n[tui]\na = 1\n"


def test_a_comment_among_the_own_keys_goes_with_them_and_one_after_them_stays():
    text = '[model_providers.codexd]\n# a\nname = "codexd"\n# b\n[tui]\n'
    assert toml_text.drop(text, TABLE) == "# b\n[tui]\n"


@pytest.mark.parametrize(
    "text",
    [
        'model_providers = "x"\n',
        "[[model_providers]]\nname = 'x'\n",
        'model_providers.codexd.name = "mine"\n',
        'model_providers.codexd = "mine"\n',
    ],
)
def test_what_is_not_understood_is_refused(text):
    with pytest.raises(ValueError, match="model_providers"):
        toml_text.put(text, TABLE, OURS)


@pytest.mark.parametrize("text", ["a = ", "a = 1\na = 2\n", "[a\n", '﻿a = "1"', "a = 1\rb = 2", "{}"])
def test_what_is_no_toml_is_refused(text):
    with pytest.raises(ValueError):
        toml_text.check(text)


def test_nesting_without_end_is_refused_and_not_followed():
    with pytest.raises(ValueError):
        toml_text.check("a = " + "[" * 100_000)


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        ('a"b\\c\n\x7fé', None),
        (True, "true"),
        ({"a b": {"c": 1}}, '{ "a b" = { c = 1 } }'),
        ({}, "{}"),
    ],
)
def test_values_are_said_in_one_line(value, raw):
    said = toml_text.dump(value)
    assert toml_text.parse(said) == value
    assert raw is None or said == raw


BARE = st.text("abcABC-_019", min_size=1, max_size=5)
SCALARS = st.one_of(st.integers(-9, 9), st.booleans(), st.text(max_size=8))
LINES = st.lists(
    st.one_of(
        st.tuples(BARE, SCALARS).map(lambda pair: f"x-{pair[0]} = {toml_text.dump(pair[1])}"),
        st.tuples(BARE, SCALARS).map(lambda pair: f'y-{pair[0]} = [ {toml_text.dump(pair[1])}, # "]\n ]'),
        st.sampled_from(["", "  ", "# [x]", "#"]),
    ),
    max_size=4,
)
FILES = st.tuples(
    LINES,
    st.lists(st.tuples(BARE, LINES), max_size=3),
    st.sampled_from(["\n", "\r\n"]),
).map(lambda file: file[2].join([*file[0], *(line for name, lines in file[1] for line in (f"[t-{name}]", *lines)), ""]))


def is_toml(text):
    try:
        tomllib.loads(text)
    except ValueError:
        return False
    return True


@given(FILES.filter(is_toml))
def test_any_file_comes_back(text):
    edited = put_both(text)
    assert tomllib.loads(edited)["model_provider"] == "codexd"
    assert drop_both(edited, None) == text
