import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from codexctl.render.text import MIN_PROSE_WIDTH, cell_width, cut, cut_distinct, cut_fragments, pad, plain, wrap

WIDER_SINCE_UNICODE_16 = [*range(0x2630, 0x2638), *range(0x268A, 0x2690), *range(0x4DC0, 0x4E00)]
WIDER_SINCE_UNICODE_16 += [*range(0x1D300, 0x1D357), *range(0x1D360, 0x1D379)]
"""prompt_toolkit's table may be newer than the one of this Python."""


def test_every_character_is_as_wide_as_prompt_toolkit_has_it():
    known = (chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co"))
    other = [each for each in known if cell_width(each) != get_cwidth(each)]
    assert set(other) <= set(map(chr, WIDER_SINCE_UNICODE_16))


WIDE = "日本語 한국어 ｶﾅ e\u0301 👍🏽 👩\u200d💻 🇩🇪 ❤\ufe0f عربي … ─█░ naïve"


@given(st.text(st.sampled_from(WIDE) | st.characters(max_codepoint=0x2FF, exclude_categories=["Cc"])))
@example(WIDE)
def test_texts_are_as_wide_as_prompt_toolkit_has_them(text):
    assert cell_width(text) == get_cwidth(text)


@given(st.text(), st.integers(0, 20))
def test_a_padded_text_has_its_width(text, width):
    assert cell_width(pad(text, width)) == width
    assert cut(text, 200) == text or cell_width(text) > 200


def test_wide_characters_take_two_cells():
    assert cell_width("日本e\u0301") == 5
    assert cut("日本語", 4) == "日…"
    assert pad("日本", 6, right=True) == "  日本"


@given(st.text(st.sampled_from(WIDE)), st.integers(0, 40), st.integers(0, 12))
def test_wrapped_text_fits_and_keeps_its_words(text, width, indent):
    lines = wrap(text, width, "", " " * indent)
    assert all(cell_width(line) <= max(width, MIN_PROSE_WIDTH, indent + 2) for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_lines_break_between_words():
    assert wrap("one two  three four five", 20, "> ", "  ") == ["> one two  three", "  four five"]
    assert wrap("x" * 25, 20, "", "  ") == ["x" * 20, "  " + "x" * 5]
    assert wrap("x" * 25, 20, "", "", break_words=False) == ["x" * 25]
    assert wrap("", 20, "", "") == []


def test_fragments_are_cut_together():
    assert cut_fragments([("bold", "日本"), ("", "ab"), ("dim", "c")], 5) == [("bold", "日本"), ("", "…"), ("dim", "")]


@pytest.mark.parametrize(
    ("text", "shown"), [("a\x1b[2J", "a\\x1b[2J"), ("a\nb", "a\\nb"), ("\u202e", "\\u202e"), ("é", "é")]
)
def test_plain_text_has_no_control_characters(text, shown):
    assert plain(text) == shown


def test_texts_are_cut_so_that_they_still_differ():
    texts = ["somebody@example.com/aaaa", "somebody@example.com/bbbb", "home@example.com"]
    assert cut_distinct(texts, 12) == ["…le.com/aaaa", "…le.com/bbbb", "home@exampl…"]
    assert cut_distinct(texts, 40) == texts
    assert cut_distinct(["same", "same"], 10) == ["same", "same"]
