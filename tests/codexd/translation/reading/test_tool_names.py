import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codexd.translation.reading.tool_names import ToolNames, shorten

few = settings(deadline=None, max_examples=200)
LONG = "mcp__a_server_with_a_very_long_name_" + "x" * 40 + "__find_issue"


@pytest.mark.parametrize(
    "name", ["Bash", "a", "A-b_9", "x" * 64, "mcp__github__find_issue", "get_2024010", "a_cafecafe_b"]
)
def test_a_legal_name_stays(name):
    assert shorten(name) == name


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("a.b/c", r"a_b_c_[0-9a-f]{8}"),
        ("größe", r"gr__e_[0-9a-f]{8}"),
        ("", r"_[0-9a-f]{8}"),
        ("Bash\n", r"Bash__[0-9a-f]{8}"),
        ("x" * 65, r"x{55}_[0-9a-f]{8}"),
        (LONG, r"mcp__find_issue_[0-9a-f]{8}"),
        ("mcp__s__" + "y" * 80, r"mcp__y{50}_[0-9a-f]{8}"),
        ("\ud800", r"__[0-9a-f]{8}"),
        pytest.param("a_cafecafe", r"a_cafecafe_[0-9a-f]{8}", id="one-that-looks-short"),
    ],
)
def test_another_name_becomes_legal(name, pattern):
    assert re.fullmatch(pattern, shorten(name))
    assert ToolNames(["Bash", name]).restore(shorten(name)) == name


def test_names_that_shorten_alike_stay_apart():
    names = [f"mcp__{server * 30}__find" for server in "ab"] + ["a.b", "a/b", "a_b"]
    assert len({shorten(name) for name in names}) == len(names)


def test_a_tool_with_the_short_name_of_another_stays_apart():
    names = [LONG, shorten(LONG), shorten(shorten(LONG)), "a_0123abcd"]
    assert len({shorten(name) for name in names}) == len(names)
    assert [ToolNames(names).restore(shorten(name)) for name in names] == names


def test_a_name_of_no_tool_stays():
    assert ToolNames(["a.b"]).restore("made_up") == "made_up"


@few
@given(st.lists(st.text(max_size=80), unique=True, max_size=6))
def test_any_names_come_back(names):
    names = [*names, *map(shorten, names)]
    tool_names = ToolNames(names)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", shorten(name))
        assert tool_names.restore(shorten(name)) == name
