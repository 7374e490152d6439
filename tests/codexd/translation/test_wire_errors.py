"""Errors in OpenAI's shape."""

import pytest

from codexd import errors
from codexd.translation.wire_errors import to_codex, to_openai

NOW = 1_795_000_000.0


def word(error):
    wire = to_openai(error, now=NOW)
    return wire.status, wire.type, wire.code


def every_error(kind=errors.CodexdError):
    for sub in kind.__subclasses__():
        yield sub
        yield from every_error(sub)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.RequestInvalid("messages[0].role", "must be a string"), (400, "invalid_request_error", None)),
        (errors.RequestTooLarge("too large"), (413, "invalid_request_error", "request_too_large")),
        (errors.KeyRejected("no"), (401, "invalid_request_error", "invalid_api_key")),
        (errors.Forbidden("no"), (403, "permission_error", None)),
        (errors.ModelNotFound("model: x"), (404, "invalid_request_error", "model_not_found")),
        (errors.NoSuchRoute("no"), (404, "invalid_request_error", "unknown_url")),
        (errors.UpgradeRefused("no"), (426, "invalid_request_error", "upgrade_refused")),
        (errors.NoAccount("none"), (401, "invalid_request_error", "no_account")),
        (errors.ContextOverflow("long"), (400, "invalid_request_error", "context_length_exceeded")),
        (errors.UsageLimitReached("used"), (429, "usage_limit_reached", "usage_limit_reached")),
        (errors.AllAccountsLimited("all"), (429, "usage_limit_reached", "usage_limit_reached")),
        (errors.RateLimited("slow"), (429, "rate_limit_error", "rate_limit_exceeded")),
        (errors.PlanRefused("no plan"), (429, "insufficient_quota", "insufficient_quota")),
        (errors.Overloaded("busy"), (503, "server_error", "server_is_overloaded")),
        (errors.Overloaded("busy", code="slow_down"), (503, "server_error", "slow_down")),
        (errors.UpstreamFailed("broken"), (502, "server_error", "server_error")),
        (errors.EmptyAnswer("nothing"), (502, "server_error", "server_error")),
        (errors.StreamBroken("cut"), (502, "server_error", "stream_disconnected")),
        (errors.InternalError("a bug"), (500, "server_error", "internal_error")),
    ],
)
def test_status_type_and_code(error, said):
    assert word(error) == said


def test_every_error_of_the_backend_has_a_row_of_its_own_or_of_its_kind():
    assert not [
        kind
        for kind in every_error(errors.UpstreamError)
        if word(kind("words"))[2] == "internal_error" or word(kind("words"))[0] == 500
    ]


def test_the_body():
    wire = to_openai(errors.RequestInvalid("n", "must be 1"), now=NOW)
    said = {"message": "n: must be 1", "type": "invalid_request_error", "param": "n", "code": None}
    assert wire.to_body("req_1") == {"error": said}


def test_a_used_up_plan_says_when_it_opens_and_stops_the_clients_tries():
    wire = to_openai(errors.UsageLimitReached("The usage limit has been reached", resets_at=NOW + 3600.2), now=NOW)
    assert wire.headers == {"x-should-retry": "false", "retry-after": "3601"}
    assert "open again in 1 h 1 min" in wire.message
    error = wire.to_error()
    assert (error["resets_at"], error["resets_in_seconds"]) == (1_795_003_601, 3601)


def test_a_short_limit_says_how_long():
    assert to_openai(errors.RateLimited("slow", retry_after_s=1.2), now=NOW).headers == {"retry-after": "2"}


@pytest.mark.parametrize(
    "error", [errors.NoAccount("no account"), errors.KeyRejected("no key"), errors.TokenRejected("old")]
)
def test_the_codex_cli_gets_no_401_for_it_would_refresh_its_own_login(error):
    wire = to_codex(error, now=0.0)
    assert (wire.status, wire.code, wire.message) == (400, "invalid_prompt", str(error))


def test_all_else_is_told_to_the_codex_cli_as_to_other_clients():
    error = errors.ModelNotFound("no such model")
    assert to_codex(error, now=0.0) == to_openai(error, now=0.0)
