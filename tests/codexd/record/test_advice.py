"""What happens next, and what to do, for every error."""

from functools import partial

import pytest

from codexd.record.advice import find_advice
from codexd.translation.client_api import Client
from codexd.translation.wire_errors import TABLE

KINDS = [*(error.kind for error in TABLE), "client_left", "unheard_of"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("third_party", [None, "kilo.ai"])
def test_every_error_that_a_client_may_get_has_advice(kind, third_party):
    advice = find_advice(kind, request_id="req_1", third_party=third_party)
    for text in (advice.by_itself, advice.to_do):
        assert text.endswith(".")
        assert ".." not in text
        assert "None" not in text


def test_an_error_without_advice_has_that_of_its_parent():
    find = partial(find_advice, request_id="req_1")
    assert find("model_not_found") == find("request_refused")
    assert find("all_accounts_limited") != find("usage_limit_reached")
    assert find("request_cancelled") != find("internal")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("third_party", [None, "kilo.ai"])
@pytest.mark.parametrize("caller", Client)
def test_nobody_is_told_what_another_client_does(kind, third_party, caller):
    advice = find_advice(kind, request_id="req_1", third_party=third_party, caller=caller)
    text = f"{advice.by_itself} {advice.to_do}"
    assert "{" not in text
    if caller is not Client.CLAUDE_CODE:
        assert "Claude Code" not in text
    if caller is not Client.CODEX:
        assert "Codex CLI" not in text
