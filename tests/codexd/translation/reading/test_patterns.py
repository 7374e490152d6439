"""Which regular expressions go to the backend, against the check that it makes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from codexd.translation.reading.patterns import is_plain

few = settings(deadline=None, max_examples=300)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "^[a-z]+$",
        r"^\d{3}-\d{4}$",
        r"^(?:a|b)*?\.[^\]\[(?=]{2,}$",
        r"\(?=x\)?",
        "^[^@]+@[^@]+$",
        r"^[\w.!#$%&'*+/=?^_`{|}~-]+$",
        r"[\u0000-\u001f\x7f]",
        r"\/\-\.\^",
        "ä",
    ],
)
def test_plain_patterns(pattern):
    assert is_plain(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[\p{L}\p{N}]+$",
        r"\P{Lu}",
        r"^(?!\.)a+$",
        "(?=a)b",
        "(?<=a)b",
        "(?<!a)b",
        "(?<year>a)",
        "(?P<year>a)",
        "(?i)a",
        "(?#c)a",
        "(?>a)b",
        r"(a)\1",
        r"\k<year>",
        r"\u{1F600}",
        r"\cA",
        r"\Aa\Z",
        "a++",
        "a{2}+",
        "a{,3}",
        "a{,}",
        "[",
        "(",
        "*a",
        "[]a]",
        "[^]",
        "[[a]",
        "[a--b]",
        "[a&&b]",
        r"\ ".strip(),
        "a{99999999999}",
        "(" * 60 + ")" * 60,
        "a" * 5000,
    ],
    ids=lambda pattern: pattern[:20],
)
def test_patterns_that_the_backend_may_refuse(pattern):
    assert not is_plain(pattern)


@few
@given(st.text(st.sampled_from("ab[]^-&|~(){}?:*+\\pdw1,.$<=!"), max_size=12))
def test_a_plain_pattern_passes_the_backends_check(pattern):
    if is_plain(pattern):  # a warning of Python's would be an error here
        Draft202012Validator.check_schema({"pattern": pattern})
