import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codexd.translation.answering.stop_sequences import StopFinder


def search(sequences, pieces):
    """The text that goes out, and the stop sequence."""
    finder, out = StopFinder(sequences), ""
    for piece in pieces:
        text, found = finder.feed(piece)
        out += text
        if found is not None:
            return out, found
    text, found = finder.flush()
    return out + text, found


@pytest.mark.parametrize(
    ("sequences", "pieces", "text", "found"),
    [
        pytest.param(["END"], ["E", "ND x"], "", "END", id="case-126"),
        pytest.param(["END"], ["a E", "ND x"], "a ", "END", id="case-126-after-text"),
        pytest.param(["END"], ["a E", "N"], "a EN", None, id="case-127"),
        pytest.param(["END"], ["aEEN", "D"], "aE", "END", id="prefix-begun-twice"),
        pytest.param(["\n\n"], ["a\n", "b\n", "\n"], "a\nb", "\n\n", id="blank-line"),
        pytest.param(["ab", "abc"], ["ab", "c"], "", "abc", id="longest-at-a-tie"),
        pytest.param(["ab", "abc"], ["ab", "d"], "", "ab", id="shorter-if-the-longer-fails"),
        pytest.param(["ab", "abc"], ["xab"], "x", "ab", id="shorter-at-the-end"),
        pytest.param(["bc", "abcd"], ["abc", "d"], "", "abcd", id="the-first-to-begin"),
        pytest.param(["bc", "abcd"], ["abc", "x"], "a", "bc", id="the-second-if-the-first-fails"),
        pytest.param(["."], ["a.b"], "a", ".", id="no-pattern"),
        pytest.param([], ["a", ""], "a", None, id="none"),
        pytest.param(["é🙂"], ["né", "🙂"], "n", "é🙂", id="not-ascii"),
    ],
)
def test_table(sequences, pieces, text, found):
    assert search(sequences, pieces) == (text, found)


def test_only_what_may_be_a_stop_sequence_is_held_back():
    finder = StopFinder(["STOP"])
    assert finder.feed("all of this") == ("all of this", None)
    assert finder.feed("so far ST") == ("so far ", None)
    assert finder.feed("ILL") == ("STILL", None)


def test_it_begins_anew_after_a_flush():
    finder = StopFinder(["ab"])
    assert finder.feed("a") == ("", None)
    assert finder.flush() == ("a", None)
    assert finder.feed("b") == ("b", None)


@settings(deadline=None)
@given(st.lists(st.text("abc", min_size=1, max_size=5), max_size=4), st.lists(st.text("abc", max_size=5), max_size=8))
def test_the_cuts_between_pieces_do_not_matter(sequences, pieces):
    text = "".join(pieces)
    hits = [(text.find(sequence), -len(sequence), sequence) for sequence in sequences if sequence in text]
    expected = (text[: min(hits)[0]], min(hits)[2]) if hits else (text, None)
    assert search(sequences, pieces) == expected
