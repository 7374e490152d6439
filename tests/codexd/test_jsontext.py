import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codexd import bounds
from codexd.jsontext import dumps, dumps_text, find_too_deep, loads, loads_exact

few = settings(deadline=None, max_examples=100)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@few
@given(JSON)
def test_round_trip(value):
    assert loads(dumps(value)) == value
    assert loads(dumps_text(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\ud800"', "\ufffd"),
        (r'"a\ud83d"', "a\ufffd"),
        (r'"\udc00b"', "\ufffdb"),
        (r'"\ud83d\ude00"', "\U0001f600"),
        (r'"\ud83d\ude00 \ud83d"', "\U0001f600 \ufffd"),
        (r'{"\ud800": ["\udfff", 1, null, true, 1.5]}', {"\ufffd": ["\ufffd", 1, None, True, 1.5]}),
        ('"\u2028é"', "\u2028é"),
        ("18446744073709551615", 2**64 - 1),
        ("1.0", 1.0),
    ],
)
def test_texts_that_are_read(text, value):
    assert loads(text) == value
    assert loads(text.encode()) == value
    assert json.loads(dumps(loads(text))) == value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"nul",
        b"NaN",
        b"[1,Infinity]",
        b"-Infinity",
        b"{'a':1}",
        b"[1,]",
        b'"\x01"',
        b'"\xff"',
        b'{"a":"\xe9"}',
        rb'["\ud800", NaN]',
        rb'["\ud800"',
        b"1" * 5000,
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    ],
    ids=lambda text: text[:12].decode("latin-1"),
)
def test_texts_that_are_refused(text):
    with pytest.raises(ValueError):
        loads(text)


def test_a_deep_text_that_only_the_standard_library_reads_is_refused_or_too_deep():
    """How deep it reads depends on the version of Python."""
    try:
        value = loads(rb'["\ud800",' + b"[" * 900 + b"]" * 900 + b"]")
    except ValueError:
        return
    assert find_too_deep(value) is not None


def test_what_is_written():
    assert dumps({"b": [1.0, "é\u2028"], "a": None}) == '{"b":[1.0,"é\u2028"],"a":null}'.encode()
    assert dumps(2**70) == str(2**70).encode()
    assert dumps({"ü": 2**70}) == f'{{"ü":{2**70}}}'.encode()
    assert dumps("a\ud800") == b'"a?"'


def nest(depth, kind):
    value = None
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


@pytest.mark.parametrize("kind", [list, dict])
def test_too_deep(kind):
    assert find_too_deep(nest(bounds.JSON_DEPTH, kind)) is None
    path = "[0]" * bounds.JSON_DEPTH if kind is list else ".".join("a" * bounds.JSON_DEPTH)
    assert find_too_deep(nest(bounds.JSON_DEPTH + 1, kind)) == path
    assert find_too_deep(nest(50_000, kind)) == path
    assert loads(dumps(nest(bounds.JSON_DEPTH + 20, kind))) == nest(bounds.JSON_DEPTH + 20, kind)


def test_the_path_of_what_is_too_deep():
    assert find_too_deep({"x": 1, "b": [0, nest(bounds.JSON_DEPTH, list)]}).startswith("b[1][0][0]")


@pytest.mark.parametrize(
    "text",
    [
        "18446744073709551616",
        "-9223372036854775809",
        '{"a":[1.5,123456789012345678901234567890]}',
        '{"words":"card 1234567890123456789012","n":1}',
        '{"small":[0,-1,9007199254740993]}',
    ],
)
def test_exact_integers_of_any_size(text):
    assert loads_exact(text.encode()) == json.loads(text)
    assert dumps_text(loads_exact(text.encode())) == text


@pytest.mark.parametrize("text", ["NaN 12345678901234567890", "[12345678901234567890,]", "9" * 5000])
def test_exact_integers_keep_the_errors(text):
    try:
        wanted = loads(text.encode())
    except ValueError:
        with pytest.raises(ValueError, match="line 1"):
            loads_exact(text.encode())
    else:
        assert loads_exact(text.encode()) == wanted
