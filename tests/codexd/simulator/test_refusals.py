"""The words that the backend's rules share."""

from __future__ import annotations

from typing import Any

import pytest

from codexd.simulator.refusals import check_string, detail, error, html, quote_list


@pytest.mark.parametrize(
    ("values", "text"),
    [(["a"], "'a'"), (["a", "b"], "'a' and 'b'"), (["a", "b", "c"], "'a', 'b', and 'c'")],
)
def test_a_list_is_written_as_the_api_does(values: list[str], text: str) -> None:
    assert quote_list(values) == text


def test_the_three_shapes() -> None:
    assert (detail("no").status, detail("no").body) == (400, {"detail": "no"})
    assert error("no", param="p", code="c").body == {
        "error": {"message": "no", "type": "invalid_request_error", "param": "p", "code": "c"}
    }
    assert html(413, "Too Large").headers == {"server": "cloudflare"}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "missing_required_parameter"),
        (1, "invalid_type"),
        ("", "empty_string"),
        ("abcd", "string_above_max_length"),
    ],
)
def test_a_string_that_is_required(value: Any, code: str) -> None:
    assert next(check_string("name", value, maximum=3)).body["error"]["code"] == code
    assert not list(check_string("name", "abc", maximum=3))
