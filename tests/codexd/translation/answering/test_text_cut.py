import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codexd.translation.answering.text_cut import CutReason, StopFinder, TokenLimit, make_cut
from codexd.translation.models.catalogue import MAX_OUTPUT_TOKENS
from codexd.translation.tokens import count_text


@pytest.mark.parametrize(
    ("sequences", "max_tokens", "pieces", "passed", "reason"),
    [
        pytest.param(["END"], None, ["one E", "ND two"], "one ", CutReason.STOP_SEQUENCE, id="stop-sequence"),
        pytest.param(["END"], 1, ["one two END"], "one", CutReason.MAX_TOKENS, id="the-limit-comes-first"),
        pytest.param(["END"], 9, ["one two END"], "one two ", CutReason.STOP_SEQUENCE, id="the-sequence-comes-first"),
        pytest.param(["END"], None, ["one E"], "one E", None, id="held-back-until-the-end"),
        pytest.param([], 5, ["one ", "two"], "one two", None, id="within-the-limit"),
    ],
)
def test_a_text_is_cut_at_whatever_comes_first(sequences, max_tokens, pieces, passed, reason):
    cut, out = make_cut(sequences, max_tokens), ""
    for piece in pieces:
        out += cut.take(piece)
        if cut.reason is not None:
            break
    else:
        out += cut.end_text()
    assert (out, cut.reason, cut.utf8_bytes) == (passed, reason, len(passed))
    assert cut.stop_sequence == ("END" if reason is CutReason.STOP_SEQUENCE else None)


@pytest.mark.parametrize("max_tokens", [None, MAX_OUTPUT_TOKENS, MAX_OUTPUT_TOKENS + 1])
def test_no_model_writes_so_much_that_it_would_be_cut(max_tokens):
    assert make_cut([], max_tokens) is None


# -- stop sequences -----------------------------------------------------------------------------------


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
        pytest.param(["END"], ["E", "ND x"], "", "END", id="stop-sequence"),
        pytest.param(["END"], ["a E", "ND x"], "a ", "END", id="stop-sequence-after-text"),
        pytest.param(["END"], ["a E", "N"], "a EN", None, id="prefix-at-the-end"),
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
def test_where_a_text_meets_a_stop_sequence(sequences, pieces, text, found):
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


# -- token limits -------------------------------------------------------------------------------------


def take_all(limit, pieces):
    taker, out = TokenLimit(limit), ""
    for piece in pieces:
        text, passed = taker.take(piece)
        out += text
        if passed:
            return out, True
    return out, False


WORDS = "the quick brown fox jumps over the lazy dog again and again. "


@pytest.mark.parametrize(
    ("limit", "pieces", "passed"),
    [
        pytest.param(3, ["Hello world"], False, id="within"),
        pytest.param(2, ["Hello world"], False, id="just-within"),
        pytest.param(1, ["Hello world"], True, id="beyond"),
        pytest.param(0, ["a"], True, id="nothing"),
        pytest.param(100, [WORDS] * 20, True, id="pieces"),
        pytest.param(100, [WORDS * 20], True, id="one-piece"),
        pytest.param(50, list(WORDS * 20), True, id="characters"),
        pytest.param(20, ["天地玄黄宇宙洪荒" * 10], True, id="no-spaces"),
    ],
)
def test_where_a_text_passes_a_token_limit(limit, pieces, passed):
    text, found = take_all(limit, pieces)
    whole = "".join(pieces)
    assert found is passed
    assert whole.startswith(text)
    assert count_text(text) <= limit
    if passed:
        assert count_text(text) >= limit - 2  # a character further may be several tokens more
    else:
        assert text == whole


@settings(deadline=None)
@given(st.integers(0, 30), st.lists(st.text("ab .\n'é天1", max_size=12) | st.just(" word"), max_size=20))
def test_nothing_is_lost_within_the_limit_and_nothing_more_let_through(limit, pieces):
    text, passed = take_all(limit, pieces)
    whole = "".join(pieces)
    assert whole.startswith(text)
    assert passed or text == whole
    assert count_text(text) <= limit
    if count_text(whole) > limit and text == whole:
        raise AssertionError("not cut")


def test_counting_costs_about_one_pass():
    counted = []
    taker = TokenLimit(10_000, lambda text: counted.append(len(text)) or count_text(text))
    pieces = [" word"] * 20_000
    assert any(taker.take(piece)[1] for piece in pieces)
    assert sum(counted) < 4 * len("".join(pieces))
