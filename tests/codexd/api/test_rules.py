"""The rules of params: what they let pass, and what they say of what they refuse."""

import pytest
from attrs import field, frozen

from codexd.api.rules import between, filled, one_of
from codexd.errors import RequestInvalid


@frozen
class Params:
    word: str | None = field(default=None, validator=filled)
    level: str | None = field(default=None, validator=one_of(("low", "high")))
    count: int | None = field(default=None, validator=between(0, 9))


@pytest.mark.parametrize(
    "params", [{}, {"word": None}, {"word": " "}, {"level": "low"}, {"level": "high"}, {"count": 0}, {"count": 9}]
)
def test_what_passes(params):
    assert Params(**params)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"word": ""}, "word: must not be empty"),
        ({"level": "loud"}, "level: must be one of low, high"),
        ({"level": ""}, "level: must be one of low, high"),
        ({"count": -1}, "count: must be from 0 to 9"),
        ({"count": 10}, "count: must be from 0 to 9"),
    ],
)
def test_what_is_refused(params, message):
    with pytest.raises(RequestInvalid) as refused:
        Params(**params)
    assert str(refused.value) == message
    assert refused.value.path == next(iter(params))
