"""Errors as clients see them, in both API families."""

import inspect
import time

import pytest

from codexd import errors
from codexd.errors import CodexdError, RequestInvalid, UpstreamError
from codexd.translation.wire_errors import (
    TABLE,
    find_row,
    for_claude_code,
    say_until,
    seconds_until,
    to_anthropic,
    to_codex,
    to_openai,
    without_countdown,
)

NOW = 1_795_000_000.0


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    """Times are local."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def make(kind):
    return kind("x", "y") if kind is RequestInvalid else kind("the words")


KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CodexdError)]

UNMET = (
    errors.SettingInvalid,
    errors.FileUnreadable,
    errors.FileUnwritable,
    errors.ClientFileRefused,
    errors.AlreadyRunning,
    errors.HomeMismatch,
    errors.AddressUnavailable,
    errors.RestartFailed,
    errors.TaskGaveUp,
    errors.RequestNotFound,
    errors.AccountNotFound,
    errors.AccountAmbiguous,
    errors.LoginFileInvalid,
    errors.LoginFlowNotFound,
    errors.LoginFailed,
    errors.InternalError,
)
"""What a request for a model can't meet: start-up, files, the control socket. InternalError is the row of the rest."""

BASES = (errors.CodexdError, errors.RequestRefused, errors.AccountError, errors.UpstreamError)
"""Raised as one of their kinds only."""


def test_every_error_that_a_request_for_a_model_can_meet_has_a_row_of_its_own_or_of_its_kind():
    met = [kind for kind in KINDS if kind not in BASES and not issubclass(kind, UNMET)]
    assert not [kind.__name__ for kind in met if find_row(make(kind)) is TABLE[CodexdError]]


def test_what_is_not_met_has_no_row():
    assert not [kind.__name__ for kind in TABLE if kind in UNMET]


# -- Anthropic ----------------------------------------------------------------------------------------


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
        (errors.CreditsUsedUp, 402, "billing_error", False),
        (errors.PlanRefused, 402, "billing_error", False),
        (errors.WorkspaceRefused, 403, "permission_error", False),
        (errors.RegionRefused, 403, "permission_error", False),
        (errors.RouteMissing, 403, "permission_error", False),
        (errors.CountryRefused, 403, "permission_error", False),
        (errors.ModelRefused, 404, "not_found_error", True),
        (errors.KiloRefused, 403, "permission_error", False),
        (errors.PolicyRefused, 400, "invalid_request_error", True),
        (errors.StaleReasoning, 400, "invalid_request_error", True),
        (errors.UpstreamRejected, 400, "invalid_request_error", True),
        (errors.UpstreamTooLarge, 413, "request_too_large", True),
        (errors.UpstreamBlocked, 403, "permission_error", False),
        (errors.UpstreamFailed, 502, "api_error", True),
        (errors.UpstreamTimeout, 504, "timeout_error", True),
        (errors.BackendSilent, 504, "timeout_error", True),
        (errors.StillSilent, 504, "timeout_error", False),
        (errors.StreamBroken, 502, "api_error", True),
        (errors.UpstreamError, 500, "api_error", True),
        (errors.SettingInvalid, 500, "api_error", True),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_anthropic_status_and_type(kind, status, wire_type, retries):
    wire = to_anthropic(make(kind), now=NOW)
    assert (wire.status, wire.type) == (status, wire_type)
    assert wire.headers.get("x-should-retry") == (None if retries else "false")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_the_shape_of_the_api(kind):
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
    error = errors.ContextOverflow("exceeds")
    error.prompt_tokens, error.window_tokens = prompt, window
    wire = to_anthropic(error, now=NOW)
    assert (wire.status, wire.message) == (400, message)


@pytest.mark.parametrize(
    ("left_s", "retry_after", "words"),
    [
        (3600, "3600", "in 1 h 0 min (2026-11-18 12:06)"),
        (59.2, "60", "in 1 min (2026-11-18 11:07)"),
        (200_000, "200000", "in 2 d 7 h (2026-11-20 18:40)"),
        (-50, "1", "in 1 min (2026-11-18 11:05)"),
    ],
)
def test_a_used_up_plan_says_until_when_to_anthropic(left_s, retry_after, words):
    wire = to_anthropic(errors.UsageLimitReached("The usage limit has been reached", resets_at=NOW + left_s), now=NOW)
    assert wire.headers == {"x-should-retry": "false", "retry-after": retry_after}
    assert wire.message.startswith("The usage limit has been reached.")
    assert words in wire.message


def test_a_used_up_plan_without_a_time():
    wire = to_anthropic(errors.UsageLimitReached("used up"), now=NOW)
    assert wire.headers == {"x-should-retry": "false"}
    assert "codexctl status" in wire.message


def test_the_limit_of_all_accounts_is_said_in_its_own_words():
    words = "No account can serve this request now: ann@example.com is available again in 1 h 0 min (2026-11-18 12:06)."
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
def test_anthropic_messages(error, message):
    assert to_anthropic(error, now=NOW).message == message


FINAL_400 = (
    errors.PolicyRefused,
    errors.RequestCancelled,
    errors.RequestInvalid,
    errors.SchemaRefused,
    errors.UpstreamRejected,
)
"""A 400 that stays one however often Claude Code repeats it."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_claude_code_shows_what_it_should_not_repeat(kind):
    """Under a 401 or 403 it would ask for ``/login``, and it hides the text of other statuses or repeats them."""
    error = make(kind)
    wire = to_anthropic(error, now=NOW)
    shown = for_claude_code(wire, error)
    assert shown.status not in (401, 403)
    if kind in FINAL_400:
        assert shown.status == 451
    elif wire.headers.get("x-should-retry") == "false":
        assert shown.status in (402, 424, 429)
    elif wire.status != 403:
        assert shown.status == wire.status
    assert (shown.type, shown.message, shown.headers) == (wire.type, wire.message, wire.headers)


@pytest.mark.parametrize(
    ("status", "anthropic", "claude_code", "openai", "codex"),
    [
        (400, (400, "invalid_request_error"), 451, 400, 400),
        (404, (404, "not_found_error"), 424, 404, 400),
        (405, (405, "invalid_request_error"), 424, 405, 400),
        (409, (409, "invalid_request_error"), 424, 409, 400),
        (422, (422, "invalid_request_error"), 424, 422, 400),
        (421, (400, "invalid_request_error"), 451, 400, 400),
        (200, (400, "invalid_request_error"), 451, 400, 400),
    ],
)
def test_a_bad_request_keeps_its_status_where_the_client_understands_it(status, anthropic, claude_code, openai, codex):
    error = errors.UpstreamRejected("Not Found", status=status)
    wire = to_anthropic(error, now=NOW)
    assert (wire.status, wire.type) == anthropic
    assert for_claude_code(wire, error).status == claude_code
    assert to_openai(error, now=NOW).status == openai
    assert (to_codex(error, now=NOW).status, to_codex(error, now=NOW).code) == (codex, "invalid_prompt")


@pytest.mark.parametrize("code", [None, "weird_code"])
@pytest.mark.parametrize("kind", [errors.PlanRefused, errors.CreditsUsedUp])
def test_the_codex_cli_does_not_wait_for_a_plan_that_is_refused(kind, code):
    wire = to_codex(kind("no plan", code=code), now=NOW)
    assert (wire.status, wire.code) == (400, "invalid_prompt")


def refuse_image(path):
    error = errors.UpstreamRejected("no valid image", status=400, medium="image")
    error.path = path
    return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            RequestInvalid("messages[2].content[0].source.data", "is not base64", medium="image"),
            "messages.2.content.0.image.source.data: Could not process image (is not base64)",
        ),
        (
            RequestInvalid("messages[2].content[0].content[1].source.url", "must start", medium="image"),
            "messages.2.content.0.tool_result.content.1.image.source.url: Could not process image (must start)",
        ),
        (
            RequestInvalid("messages[0].content[3].source.data", "is cut off", medium="document"),
            "messages.0.content.3.document.source.data: The PDF specified was not valid (is cut off)",
        ),
        (
            RequestInvalid("messages[0].content[3].source.content[1].source.data", "is cut off", medium="image"),
            "messages.0.content.3.document.source.content.1.source.data: Could not process image (is cut off)",
        ),
        (
            refuse_image("messages[1].content[0]"),
            "messages.1.content.0.image: Could not process image (no valid image)",
        ),
        (refuse_image(None), "Could not process image (no valid image)"),
        (
            errors.UpstreamRejected("no file", medium="document"),
            "The PDF specified was not valid (no file)",
        ),
    ],
)
def test_claude_code_takes_a_refused_medium_out_of_the_conversation(error, message):
    wire = for_claude_code(to_anthropic(error, now=NOW), error)
    assert (wire.status, wire.message) == (400, message)


def test_claude_code_acts_on_a_capability_that_is_rejected():
    error = RequestInvalid("thread", "send everything (capability_rejected: beta_header:x)")
    assert for_claude_code(to_anthropic(error, now=NOW), error).status == 400


def test_a_class_without_a_row_takes_its_parents():
    class Special(errors.Overloaded):
        pass

    assert to_anthropic(Special("x"), now=NOW).status == 529
    assert issubclass(Special, UpstreamError)


# -- OpenAI -------------------------------------------------------------------------------------------


def test_openais_words_for_an_image_that_cant_be_read():
    wire = to_openai(RequestInvalid("messages[0].content[1].image_url.url", "is not base64", medium="image"), now=NOW)
    assert wire.message.startswith("The image data you provided does not represent a valid image. messages[0]")
    assert (wire.status, wire.code, wire.param) == (400, "invalid_value", "messages[0].content[1].image_url.url")
    wire = to_openai(RequestInvalid("input[0].content[1].file_data", "is cut off", medium="document"), now=NOW)
    assert (wire.message, wire.code) == ("input[0].content[1].file_data: is cut off", "invalid_value")


def test_an_image_that_the_backend_refuses_has_the_clients_own_path():
    error = refuse_image("messages[1].content[0]")
    assert to_openai(error, now=NOW).param == "messages[1].content[0]"


def word(error):
    wire = to_openai(error, now=NOW)
    return wire.status, wire.type, wire.code


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
        (errors.CreditsUsedUp("spent"), (429, "insufficient_quota", "insufficient_quota")),
        (errors.UpstreamBlocked("blocked"), (403, "permission_error", "upstream_blocked")),
        (errors.CountryRefused("no"), (403, "permission_error", "country_refused")),
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
def test_openai_status_type_and_code(error, said):
    assert word(error) == said


def test_the_body_of_openai():
    wire = to_openai(errors.RequestInvalid("n", "must be 1"), now=NOW)
    said = {"message": "n: must be 1", "type": "invalid_request_error", "param": "n", "code": None}
    assert wire.to_body("req_1") == {"error": said}


def test_a_used_up_plan_says_when_it_opens_and_stops_the_clients_tries():
    wire = to_openai(errors.UsageLimitReached("The usage limit has been reached", resets_at=NOW + 3600.2), now=NOW)
    assert wire.headers == {"x-should-retry": "false", "retry-after": "3601"}
    assert "available again in 1 h 1 min" in wire.message
    error = wire.to_error()
    assert (error["resets_at"], error["resets_in_seconds"]) == (1_795_003_601, 3601)


def test_a_short_limit_says_how_long():
    assert to_openai(errors.RateLimited("slow", retry_after_s=1.2), now=NOW).headers == {"retry-after": "2"}


@pytest.mark.parametrize("prompt", ["messages", "input"])
def test_an_overflow_is_said_in_openais_words(prompt):
    error = errors.ContextOverflow("exceeds the context window")
    error.prompt_tokens, error.window_tokens = 300_000, 272_000
    wire = to_openai(error, now=NOW, prompt=prompt)
    assert (wire.status, wire.code, wire.param) == (400, "context_length_exceeded", prompt)
    assert wire.message == (
        f"This model's maximum context length is 272000 tokens. However, your {prompt} resulted in 300000 tokens. "
        f"Please reduce the length of the {prompt}."
    )


def test_credits_that_are_used_up_promise_no_time():
    error = errors.CreditsUsedUp("Your workspace is out of credits.")
    assert to_anthropic(error, now=NOW).message == "Your workspace is out of credits."
    assert to_openai(error, now=NOW).message == "Your workspace is out of credits."


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_codex_cli_shows_every_final_error(kind):
    """It refreshes its own login after a 401, repeats any other 4xx, and prints the JSON of a 400 without a code."""
    error = make(kind)
    wire, sdk = to_codex(error, now=NOW), to_openai(error, now=NOW, prompt="input")
    assert wire.status != 401
    assert wire.message == sdk.message
    if wire != sdk:
        assert (wire.status, wire.code) == (400, "invalid_prompt")
    elif wire.status == 400:
        assert wire.code in ("context_length_exceeded", "invalid_prompt")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ModelNotFound("no such model"), 404),
        (errors.NoSuchRoute("nothing here"), 404),
        (errors.UpgradeRefused("no"), 426),
        (errors.ModelRefused("gone"), 404),
        (errors.UsageLimitReached("used up"), 429),
        (errors.RateLimited("slow"), 429),
        (errors.Overloaded("busy"), 503),
        (errors.StreamBroken("cut"), 502),
    ],
)
def test_what_the_codex_cli_knows_it_is_told_as_other_clients_are(error, status):
    assert to_codex(error, now=NOW) == to_openai(error, now=NOW, prompt="input")
    assert to_codex(error, now=NOW).status == status


# -- times, as users read them ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left_s", "seconds", "words"),
    [
        (3600, 3600, "in 1 h 0 min (2026-11-18 12:06)"),
        (59.2, 60, "in 1 min (2026-11-18 11:07)"),
        (200_000, 200_000, "in 2 d 7 h (2026-11-20 18:40)"),
        (-50, 1, "in 1 min (2026-11-18 11:05)"),
    ],
)
def test_a_moment_is_said_both_ways(left_s, seconds, words):
    assert say_until(NOW + left_s, NOW) == words
    assert seconds_until(NOW + left_s, NOW) == seconds


def test_times_are_local_and_without_a_countdown_where_they_are_read_later(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    said = f"Your plan is used up. It is available again {say_until(NOW + 3600, NOW)}."
    assert said.endswith("again in 1 h 0 min (2026-11-18 21:06).")
    assert without_countdown(said).endswith("again at 2026-11-18 21:06.")
    assert without_countdown("in 5 min (soon)") == "in 5 min (soon)"
