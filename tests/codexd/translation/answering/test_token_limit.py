import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codexd.translation.answering.token_limit import TokenLimit
from codexd.translation.tokens import count_text


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
def test_table(limit, pieces, passed):
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
