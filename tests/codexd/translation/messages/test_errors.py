import inspect

import pytest

from codexd import errors
from codexd.errors import CodexdError, RequestInvalid, UpstreamError
from codexd.translation.messages.errors import for_claude_code, to_anthropic

NOW = 1_795_000_000.0


def make(kind):
    return kind("x", "y") if kind is RequestInvalid else kind("the words")


@pytest.mark.parametrize(
    ("kind", "status", "wire_type", "retries"),
    [
        (errors.RequestInvalid, 400, "invalid_request_error", True),
        (errors.RequestTooLarge, 413, "request_too_large", True),
        (errors.KeyRejected, 401, "authentication_error", False),
        (errors.Forbidden, 403, "permission_error", True),
        (errors.ModelNotFound, 404, "not_found_error", True),
        (errors.KiloDisabled, 403, "permission_error", False),
        (errors.NoSuchRoute, 404, "not_found_error", True),
        (errors.NoAccount, 401, "authentication_error", False),
        (errors.AccountDisabled, 401, "authentication_error", False),
        (errors.AccountNeedsLogin, 401, "authentication_error", False),
        (errors.FollowedLoginStale, 401, "authentication_error", False),
        (errors.ContextOverflow, 400, "invalid_request_error", True),
        (errors.UsageLimitReached, 429, "rate_limit_error", False),
        (errors.AllAccountsLimited, 429, "rate_limit_error", False),
        (errors.RateLimited, 429, "rate_limit_error", True),
        (errors.Overloaded, 529, "overloaded_error", True),
        (errors.TokenRejected, 401, "authentication_error", False),
        (errors.PlanRefused, 402, "billing_error", True),
        (errors.WorkspaceRefused, 403, "permission_error", True),
        (errors.ModelRefused, 404, "not_found_error", True),
        (errors.KiloRefused, 403, "permission_error", False),
        (errors.PolicyRefused, 400, "invalid_request_error", True),
        (errors.StaleReasoning, 400, "invalid_request_error", True),
        (errors.UpstreamRejected, 400, "invalid_request_error", True),
        (errors.UpstreamTooLarge, 413, "request_too_large", True),
        (errors.UpstreamBlocked, 502, "api_error", True),
        (errors.UpstreamFailed, 502, "api_error", True),
        (errors.UpstreamTimeout, 504, "timeout_error", True),
        (errors.StreamBroken, 502, "api_error", True),
        (errors.UpstreamError, 500, "api_error", True),
        (errors.SettingInvalid, 500, "api_error", True),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_status_and_type(kind, status, wire_type, retries):
    wire = to_anthropic(make(kind), now=NOW)
    assert (wire.status, wire.type) == (status, wire_type)
    assert wire.headers.get("x-should-retry") == (None if retries else "false")


KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CodexdError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_the_shape_of_the_api(kind):
    """case-150"""
    wire = to_anthropic(make(kind), now=NOW)
    body = wire.to_body("req_1")
    assert body == {"type": "error", "error": {"type": wire.type, "message": wire.message}, "request_id": "req_1"}
    assert wire.message
    assert 400 <= wire.status < 600
    assert all(isinstance(value, str) for value in wire.headers.values())


@pytest.mark.parametrize(
    ("prompt", "window", "message"),
    [
        (300_000, 272_000, "prompt is too long: 300000 tokens > 272000 maximum"),
        (5, 272_000, "prompt is too long: 272001 tokens > 272000 maximum"),
        (272_000, 272_000, "prompt is too long: 272001 tokens > 272000 maximum"),
    ],
)
def test_an_overflow_says_what_makes_claude_code_compact(prompt, window, message):
    """case-135"""
    error = errors.ContextOverflow("exceeds")
    error.prompt_tokens, error.window_tokens = prompt, window
    wire = to_anthropic(error, now=NOW)
    assert (wire.status, wire.message) == (400, message)


@pytest.mark.parametrize(
    ("left_s", "retry_after", "words"),
    [
        (3600, "3600", "in 1 h 0 min (2026-11-18 12:06 UTC)"),
        (59.2, "60", "in 1 min (2026-11-18 11:07 UTC)"),
        (200_000, "200000", "in 2 d 7 h (2026-11-20 18:40 UTC)"),
        (-50, "1", "in 1 min (2026-11-18 11:05 UTC)"),
    ],
)
def test_a_used_up_plan_says_until_when(left_s, retry_after, words):
    """case-138"""
    wire = to_anthropic(errors.UsageLimitReached("The usage limit has been reached", resets_at=NOW + left_s), now=NOW)
    assert wire.headers == {"x-should-retry": "false", "retry-after": retry_after}
    assert wire.message.startswith("The usage limit has been reached.")
    assert words in wire.message


def test_a_used_up_plan_without_a_time():
    wire = to_anthropic(errors.UsageLimitReached("used up"), now=NOW)
    assert wire.headers == {"x-should-retry": "false"}
    assert "codexctl status" in wire.message


def test_the_limit_of_all_accounts_is_said_in_its_own_words():
    words = "No account can serve this now: ann@example.com opens in 1 h 0 min (2026-11-18 12:06 UTC)."
    wire = to_anthropic(errors.AllAccountsLimited(words, resets_at=NOW + 3600), now=NOW)
    assert wire.message == words
    assert wire.headers == {"x-should-retry": "false", "retry-after": "3600"}


def test_a_client_may_wait_for_the_short_limit_of_all_accounts():
    wire = to_anthropic(errors.AllAccountsLimited("soon", resets_at=NOW + 11), now=NOW)
    assert wire.headers == {"retry-after": "11"}


@pytest.mark.parametrize(
    ("wait_s", "retry_after"), [(11.054, "12"), (0.0, "1"), (0.25, "1"), (60.0, "60"), (None, None)]
)
@pytest.mark.parametrize("kind", [errors.RateLimited, errors.Overloaded])
def test_a_wait_is_whole_seconds(kind, wait_s, retry_after):
    """case-139"""
    wire = to_anthropic(kind("x", retry_after_s=wait_s), now=NOW)
    assert wire.headers.get("retry-after") == retry_after


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.ModelRefused("The 'x' model is not supported"), "model: The 'x' model is not supported"),
        (errors.StaleReasoning("not verified"), "messages: invalid signature in thinking block (not verified)"),
        (errors.PolicyRefused("as it is"), "as it is"),
        (errors.RequestInvalid("messages[3].role", "required"), "messages[3].role: required"),
    ],
)
def test_messages(error, message):
    assert to_anthropic(error, now=NOW).message == message


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_claude_code_shows_a_refusal_under_451(kind):
    """case-147"""
    error = make(kind)
    wire = to_anthropic(error, now=NOW)
    shown = for_claude_code(wire, error)
    assert shown.status == (451 if kind in (errors.PolicyRefused, errors.RequestCancelled) else wire.status)
    assert (shown.type, shown.message, shown.headers) == (wire.type, wire.message, wire.headers)


def test_a_class_without_a_row_takes_its_parents():
    class Special(errors.Overloaded):
        pass

    assert to_anthropic(Special("x"), now=NOW).status == 529
    assert issubclass(Special, UpstreamError)
