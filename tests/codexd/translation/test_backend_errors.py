import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codexd import errors
from codexd.errors import UpstreamError
from codexd.jsontext import dumps
from codexd.translation.backend_errors import (
    describe_schema,
    find_largest_image,
    find_part,
    gives_no_reason,
    read_failure,
    read_http_error,
)
from codexd.translation.reading.tool_names import ToolNames, shorten
from codexd.translation.wire_errors import to_anthropic

few = settings(deadline=None, max_examples=200)
NOW = 1_795_000_000.0
OVERFLOW = "Your input exceeds the context window of this model. Please adjust your input and try again."
RATE_LIMIT = "Rate limit reached for gpt-5.5 on tokens per min (TPM): Limit 30000, Used 22999. Please try again in 11.054s. Visit the docs."
CAPACITY = "Selected model is at capacity. Please try a different model."
GONE = "The 'gpt-5' model is not supported when using Codex with a ChatGPT account."
OLD = "The 'gpt-6-sol' model requires a newer version of Codex. Please upgrade to the latest app or CLI and try again."
IMAGE = "The image data you provided does not represent a valid image."


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "context_length_exceeded", "message": OVERFLOW}, errors.ContextOverflow),
        ({"code": None, "message": OVERFLOW}, errors.ContextOverflow),
        ({"code": "insufficient_quota"}, errors.PlanRefused),
        ({"code": "usage_not_included"}, errors.PlanRefused),
        ({"type": "usage_not_included"}, errors.PlanRefused),
        ({"type": "usage_limit_reached"}, errors.UsageLimitReached),
        ({"code": "rate_limit_exceeded", "message": RATE_LIMIT}, errors.RateLimited),
        ({"type": "service_unavailable_error", "code": "server_is_overloaded"}, errors.Overloaded),
        ({"code": "slow_down"}, errors.Overloaded),
        ({"code": "flex_unavailable"}, errors.Overloaded),
        ({"message": CAPACITY}, errors.Overloaded),
        ({"code": "invalid_prompt"}, errors.PolicyRefused),
        ({"code": "cyber_policy"}, errors.PolicyRefused),
        ({"code": "bio_policy"}, errors.PolicyRefused),
        ({"code": "misalignment_policy_violation"}, errors.PolicyRefused),
        ({"code": "invalid_encrypted_content", "message": "could not be verified"}, errors.StaleReasoning),
        ({"type": "invalid_request_error", "code": "invalid_value", "message": IMAGE}, errors.UpstreamRejected),
        ({"type": "invalid_request_error", "message": GONE}, errors.ModelRefused),
        ({"code": "invalid_function_parameters"}, errors.SchemaRefused),
        ({"code": "invalid_json_schema"}, errors.SchemaRefused),
        ({"message": "Invalid schema for function 'f': None is not of type 'array'."}, errors.SchemaRefused),
        ({"message": "Invalid JSON schema: regex lookaround is not supported."}, errors.SchemaRefused),
        ({"code": "server_error"}, errors.UpstreamFailed),
        ({"code": "websocket_connection_limit_reached"}, errors.UpstreamFailed),
        ({}, errors.UpstreamFailed),
    ],
)
def test_failures_in_the_stream(error, kind):
    for event in (
        {"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "error": error}},
        {"type": "error", "error": error},
        {"sequence_number": 2, **error, "type": error.get("type", "error")},
    ):
        failure = read_failure(event, NOW)
        assert type(failure) is kind
        assert failure.status == 200
        assert str(failure)


@pytest.mark.parametrize("kind", ["server_error", "invalid_request_error", "overloaded_error", "rate_limit_error"])
@pytest.mark.parametrize("status", [400, 402, 403, 404, 413, 429, 500, 503])
def test_a_generic_type_is_not_a_code(status, kind):
    error = read_http_error(status, {}, dumps({"error": {"message": "No.", "type": kind}}), NOW)
    assert (error.code, str(error)) == (None, "No.")


def test_a_failure_keeps_code_and_words():
    failure = read_failure({"type": "error", "code": "rate_limit_exceeded", "message": RATE_LIMIT, "param": None}, NOW)
    assert (failure.code, str(failure), failure.retry_after_s) == ("rate_limit_exceeded", RATE_LIMIT, 11.054)


def wrap(message, code=None, kind="invalid_request_error"):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"detail": "Unsupported parameter: metadata"}, errors.UpstreamRejected),
        (400, {"detail": GONE}, errors.ModelRefused),
        (400, {"detail": OLD}, errors.ModelRefused),
        (400, {"detail": CAPACITY}, errors.Overloaded),
        (400, wrap(OVERFLOW, "context_length_exceeded"), errors.ContextOverflow),
        (400, wrap(OVERFLOW), errors.ContextOverflow),
        (400, wrap(IMAGE, "invalid_value"), errors.UpstreamRejected),
        (400, wrap("could not be verified", "invalid_encrypted_content"), errors.StaleReasoning),
        (400, {"detail": "Bad Request"}, errors.UpstreamRejected),
        (400, {"detail": [{"loc": ["body"], "msg": "field required"}]}, errors.UpstreamRejected),
        (400, [], errors.UpstreamRejected),
        (401, wrap("Your authentication token has been invalidated.", "token_invalidated"), errors.TokenRejected),
        (401, wrap("Provided authentication token is expired.", "token_expired"), errors.TokenRejected),
        (401, wrap("x", "token_revoked"), errors.TokenRejected),
        (401, {"detail": "Unauthorized"}, errors.TokenRejected),
        (401, wrap("Missing scopes: api.responses.write"), errors.TokenRejected),
        (402, {"detail": {"code": "deactivated_workspace"}}, errors.PlanRefused),
        (403, {"detail": {"code": "invalid_workspace_selected"}}, errors.WorkspaceRefused),
        (404, wrap("Model not found gpt-5.6-luna"), errors.ModelRefused),
        (404, wrap("Item not found"), errors.UpstreamRejected),
        (413, wrap("too large"), errors.UpstreamTooLarge),
        (
            429,
            {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached"}},
            errors.UsageLimitReached,
        ),
        (429, {"error": {"type": "usage_not_included"}}, errors.PlanRefused),
        (429, {"error": {"code": "rate_limit_exceeded", "message": "Please try again in 2s."}}, errors.RateLimited),
        (429, {"detail": "Too Many Requests"}, errors.RateLimited),
        (500, wrap("The server had an error", "server_error", "server_error"), errors.UpstreamFailed),
        (502, {}, errors.UpstreamFailed),
        (503, wrap("overloaded", "server_is_overloaded", "service_unavailable_error"), errors.Overloaded),
        (503, wrap("slow", "slow_down"), errors.Overloaded),
        (503, {}, errors.Overloaded),
        (504, {}, errors.UpstreamTimeout),
        (529, {}, errors.Overloaded),
        (200, wrap("The server had an error", "server_error"), errors.UpstreamFailed),
        (200, wrap(OVERFLOW, "context_length_exceeded"), errors.ContextOverflow),
    ],
)
def test_http_errors(status, body, kind):
    error = read_http_error(status, {}, dumps(body), NOW)
    assert type(error) is kind
    assert error.status == status
    assert str(error)


HTML = b"<html><title>Just a moment...</title>secret page</html>"


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind"),
    [
        (403, {"cf-mitigated": "challenge"}, HTML, errors.UpstreamBlocked),
        (403, {}, HTML, errors.UpstreamBlocked),
        (403, {"cf-mitigated": "challenge"}, b'{"detail": "blocked"}', errors.UpstreamBlocked),
        (400, {}, HTML, errors.UpstreamRejected),
        (404, {}, HTML, errors.UpstreamRejected),
        (405, {}, HTML, errors.UpstreamRejected),
        (421, {}, HTML, errors.UpstreamRejected),
        (432, {}, HTML, errors.RouteMissing),
        (520, {}, HTML, errors.UpstreamFailed),
        (522, {}, HTML, errors.UpstreamTimeout),
        (524, {}, HTML, errors.UpstreamTimeout),
        (403, {}, b"", errors.UpstreamBlocked),
        (503, {"cf-mitigated": "challenge"}, HTML, errors.UpstreamBlocked),
        (404, {}, b"", errors.UpstreamBlocked),
        (413, {}, HTML, errors.UpstreamTooLarge),
        (401, {}, b"", errors.TokenRejected),
        (429, {}, HTML, errors.RateLimited),
        (500, {}, HTML, errors.UpstreamFailed),
        (502, {}, HTML, errors.UpstreamFailed),
        (503, {}, HTML, errors.Overloaded),
        (504, {}, HTML, errors.UpstreamTimeout),
        (200, {}, b"", errors.UpstreamFailed),
    ],
)
def test_http_errors_without_json_show_no_html(status, headers, body, kind):
    error = read_http_error(status, headers, body, NOW)
    assert type(error) is kind
    assert error.status == status
    assert "<" not in str(error)
    assert str(status) in str(error)


@pytest.mark.parametrize(
    ("headers", "message", "wait_s"),
    [
        ({}, "Please try again in 11.054s.", 11.054),
        ({}, "Please try again in 250ms.", 0.25),
        ({}, "try again in 500 milliseconds", 0.5),
        ({}, "try again in 3 seconds", 3.0),
        ({}, "Try Again In 2 minutes", 120.0),
        ({}, "Please try again in 1m26.4s.", 86.4),
        ({}, "try again in 6m0s", 360.0),
        ({}, "try again in 1 hour and 5 minutes", 3900.0),
        ({}, "try again in 2 days, 3 hours", 183_600.0),
        ({}, "try again in 12 months", None),
        ({}, "try again in 2 more requests", None),
        ({}, "try again in 5s 3 times", 5.0),
        ({}, "try again in a while", None),
        ({}, "try again in ..s", None),
        ({}, "no words", None),
        ({"retry-after": "7"}, "try again in 1s", 7.0),
        ({"retry-after": "1.5"}, "", 1.5),
        ({"retry-after": "-3"}, "", 0.0),
        ({"retry-after": "Wed, 18 Nov 2026 11:13:50 GMT"}, "", 430.0),
        ({"retry-after": "Wed, 18 Nov 2020 09:47:10 GMT"}, "", 0.0),
        ({"retry-after": "soon"}, "try again in 4s", 4.0),
        ({"retry-after": "nan"}, "", None),
    ],
)
def test_how_long_to_wait(headers, message, wait_s):
    error = read_http_error(429, headers, dumps(wrap(message)), NOW)
    assert error.retry_after_s == wait_s


def test_a_wait_is_read_from_an_answer_without_json():
    assert read_http_error(503, {"retry-after": "9"}, HTML, NOW).retry_after_s == 9.0


@pytest.mark.parametrize(
    ("fields", "headers", "resets_at"),
    [
        ({"resets_at": 1_795_010_000, "resets_in_seconds": 5}, {}, 1_795_010_000.0),
        ({"resets_in_seconds": 3600}, {}, NOW + 3600),
        ({"resets_at": None}, {"x-codex-primary-reset-at": "1795020000"}, None),
        ({"resets_at": {}}, {}, None),
        ({}, {}, None),
    ],
)
def test_when_a_limit_resets(fields, headers, resets_at):
    body = {"error": {"type": "usage_limit_reached", "message": "used up", **fields}}
    assert read_http_error(429, headers, dumps(body), NOW).resets_at == resets_at


@pytest.mark.parametrize("code", ["context_length_exceeded", "rate_limit_exceeded", "server_is_overloaded", "else"])
def test_the_windows_in_the_headers_of_another_failure_are_not_when_it_ends(code):
    headers = {"x-codex-primary-used-percent": "12", "x-codex-primary-reset-at": "1795020000"}
    assert read_http_error(400, headers, dumps({"error": {"code": code}}), NOW).resets_at is None


STATUS_KINDS = {
    400: errors.UpstreamRejected,
    401: errors.TokenRejected,
    402: errors.PlanRefused,
    403: errors.WorkspaceRefused,
    404: errors.UpstreamRejected,
    405: errors.UpstreamRejected,
    408: errors.UpstreamTimeout,
    409: errors.UpstreamRejected,
    413: errors.UpstreamTooLarge,
    422: errors.UpstreamRejected,
    429: errors.RateLimited,
    432: errors.RouteMissing,
    500: errors.UpstreamFailed,
    502: errors.UpstreamFailed,
    503: errors.Overloaded,
    504: errors.UpstreamTimeout,
    529: errors.Overloaded,
}
FORMS = {
    "server_error": wrap("No more words.", kind="server_error"),
    "code server_error": wrap("No more words.", "server_error"),
    "invalid_request_error": wrap("No more words."),
    "api_error": wrap("No more words.", kind="api_error"),
    "no type": {"error": {"message": "No more words."}},
    "error is a text": {"error": "No more words."},
    "detail": {"detail": "Not Found"},
    "detail is an object": {"detail": {"message": "No more words."}},
    "empty object": {},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", STATUS_KINDS)
def test_the_status_counts_before_a_type_that_only_names_a_family(status, form):
    error = read_http_error(status, {}, dumps(FORMS[form]), NOW)
    assert (type(error), error.status) == (STATUS_KINDS[status], status)


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("invalid_request_error", errors.UpstreamRejected),
        ("authentication_error", errors.TokenRejected),
        ("rate_limit_error", errors.RateLimited),
        ("overloaded_error", errors.Overloaded),
        ("service_unavailable_error", errors.Overloaded),
        ("server_error", errors.UpstreamFailed),
        ("something_new", errors.UpstreamFailed),
    ],
)
def test_inside_a_stream_the_type_is_all_there_is(type_, kind):
    assert type(read_failure({"type": "error", "error": {"type": type_, "message": "x"}}, NOW)) is kind


REGION = "Workspace is not authorized in this region."


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, wrap(REGION), errors.RegionRefused, "a new one will not help"),
        (401, {"detail": REGION}, errors.RegionRefused, "Your workspace allows Codex only in its own region."),
        (403, wrap("x", "unsupported_country_region_territory"), errors.CountryRefused, "does not serve the country"),
        (403, wrap("Country, region, or territory not supported"), errors.CountryRefused, "The login is fine."),
        (432, {"detail": "no route"}, errors.RouteMissing, "try again later"),
        (432, {}, errors.RouteMissing, "could not route"),
    ],
)
def test_where_openai_serves_nobody_a_new_login_is_not_the_cure(status, body, kind, words):
    error = read_http_error(status, {}, dumps(body), NOW)
    assert type(error) is kind
    assert words in str(error)


USED_UP = {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached"}}


@pytest.mark.parametrize(
    ("body", "reached", "kind", "words"),
    [
        (USED_UP, "rate_limit_reached", errors.UsageLimitReached, "The usage limit has been reached"),
        (USED_UP, "", errors.UsageLimitReached, "The usage limit has been reached"),
        (USED_UP, "workspace_member_credits_depleted", errors.CreditsUsedUp, "out of credits for you (workspace_"),
        (USED_UP, "workspace_owner_usage_limit_reached", errors.CreditsUsedUp, "reached its spending limit"),
        (USED_UP, "some_new_spend_cap", errors.CreditsUsedUp, "(some_new_spend_cap)"),
        ({"detail": "Too Many Requests"}, "workspace_owner_credits_depleted", errors.CreditsUsedUp, "out of credits"),
        (wrap("x", "organization_spend_limit_exceeded"), "", errors.CreditsUsedUp, "Your organization has reached"),
        (wrap("x", "workspace_member_credits_depleted"), "", errors.CreditsUsedUp, "Ask the owner"),
    ],
)
def test_used_up_credits_are_told_from_a_used_up_window(body, reached, kind, words):
    headers = {"x-codex-rate-limit-reached-type": reached} if reached else {}
    error = read_http_error(429, headers, dumps(body), NOW)
    assert type(error) is kind
    assert words in str(error)
    assert error.resets_at is None


def test_html_inside_json_is_not_shown():
    error = read_http_error(403, {}, dumps({"detail": "<html>secret page</html>"}), NOW)
    assert "<" not in str(error)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([10**400, "try again in 1.2.3s", f"try again in {'9' * 400}s", "usage_limit_reached"])
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["error", "detail", "response", "code", "type", "message", "resets_at", "resets_in_seconds"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "x-codex-primary-reset-at"]),
    st.text(max_size=8)
    | st.sampled_from(["9" * 400, "inf", "1e400", "Mon, 01 Jan 0001 00:00:00 -0000", "Fri, 31 Dec 9999 23:59:59 GMT"]),
)


@few
@given(st.sampled_from([200, 400, 403, 404, 429, 500, 599]), HEADERS, JUNK | st.binary(max_size=20))
def test_any_error_body_is_read_and_can_be_told(status, headers, body):
    data = body if isinstance(body, bytes) else dumps(body)
    check_tellable(read_http_error(status, headers, data, NOW))


@few
@given(st.dictionaries(st.sampled_from(["response", "error", "code", "message", "resets_at"]), JUNK))
def test_any_failure_event_is_read_and_can_be_told(fields):
    check_tellable(read_failure({"type": "response.failed", **fields}, NOW))


def check_tellable(error):
    assert isinstance(error, UpstreamError)
    assert str(error)
    for value in (error.retry_after_s, error.resets_at):
        assert value is None or (math.isfinite(value) and value >= 0)
    wire = to_anthropic(error, now=NOW)
    assert 400 <= wire.status < 600
    assert wire.message
    assert wire.headers.get("retry-after", "1").isdecimal()


LONG = "mcp__server__" + "x" * 80
TOOLS = {
    "tools": [{"type": "web_search"}, {"type": "function", "name": shorten(LONG)}],
    "input": [{"type": "additional_tools", "tools": [{"name": "web", "tools": [{"name": "run"}]}]}],
}
LOOK_AROUND = "Invalid JSON schema: regex lookaround is not supported. Found at $.properties.a.pattern."
DISABLE = "Disable the tool, or the MCP server that it comes from, and send the request again."


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            {"message": f"Invalid schema for function '{shorten(LONG)}': '^[\\\\p{{L}}]$' is not a 'regex'."},
            (
                f"The backend refused the JSON schema of the tool \"{LONG}\": its pattern '^[\\\\p{{L}}]$' is not a regular "
                f"expression that it can read. {DISABLE}"
            ),
        ),
        (
            {"message": LOOK_AROUND, "param": "tools[1].parameters"},
            (
                f'The backend refused the JSON schema of the tool "{LONG}": regex lookaround is not supported. Found at '
                f"$.properties.a.pattern. {DISABLE}"
            ),
        ),
        (
            {"message": LOOK_AROUND, "param": "input[0].tools[0].tools[0].parameters"},
            (
                'The backend refused the JSON schema of the tool "run": regex lookaround is not supported. Found at '
                f"$.properties.a.pattern. {DISABLE}"
            ),
        ),
        (
            {"message": "Invalid schema for response_format 'a': 1 is not of type 'object'.", "param": "text.format"},
            (
                "The backend refused the JSON schema of the answer: 1 is not of type 'object'. Change the schema, and send "
                "the request again."
            ),
        ),
        (
            {"code": "invalid_function_parameters", "param": "tools[9].parameters"},
            f"The backend refused the JSON schema of a tool: invalid_function_parameters. {DISABLE}",
        ),
    ],
)
def test_a_refused_schema_names_the_tool_as_the_client_does(found, said):
    error = read_http_error(400, {}, dumps({"error": found}), NOW)
    described = describe_schema(error, TOOLS, ToolNames([LONG]))
    assert str(described) == said
    assert (described.status, described.code) == (error.status, error.code)


IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
BODY = {
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}, IMAGE]},
        {"type": "function_call_output", "call_id": "c", "output": [IMAGE]},
        {"type": "function_call_output", "call_id": "d", "output": "text"},
    ]
}


@pytest.mark.parametrize(
    ("param", "part"),
    [
        ("input[0].content[1].image_url", IMAGE),
        ("input[0].content[1]", IMAGE),
        ("input[1].output[0].image_url", IMAGE),
        ("input[2].output[0]", {}),
        ("input[9].content[0]", {}),
        ("input[0].content[9]", {}),
        ("input", {}),
        ("tools[0].parameters", {}),
        (None, {}),
    ],
)
def test_the_part_that_an_error_names(param, part):
    assert find_part(BODY, param) == part


@pytest.mark.parametrize(
    ("error", "medium"),
    [
        (
            {
                "message": "The image data you provided does not represent a valid image.",
                "param": "input",
                "code": "invalid_value",
            },
            "image",
        ),
        ({"message": "Invalid value", "param": "input[3].content[1].image_url", "code": "invalid_value"}, "image"),
        ({"message": "Could not parse.", "code": "image_parse_error"}, "image"),
        ({"message": "Error while downloading image.", "code": "invalid_image_url"}, "image"),
        ({"message": "Model does not support image inputs", "param": "input[0].content[0]"}, "image"),
        ({"message": "Invalid file data: 'input[0].content[0].file_data'.", "param": "input"}, "document"),
        ({"message": "Invalid value", "param": "input[0].content[0].file_data"}, "document"),
        ({"message": "Invalid schema for function 'image': bad", "param": "tools[0].parameters"}, None),
        ({"message": "Unknown parameter: 'generate_image'.", "param": "generate_image"}, None),
    ],
)
def test_the_medium_that_the_backend_refuses(error, medium):
    assert read_http_error(400, {}, dumps({"error": error}), 0.0).medium == medium


def test_the_largest_embedded_image():
    large = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 6_000_000}
    linked = {"type": "input_image", "image_url": "https://example.com/" + "a" * 7_000_000}
    body = {"input": [*BODY["input"], {"type": "message", "role": "user", "content": [linked, IMAGE, large]}]}
    assert find_largest_image(body) == (large, 4_500_000)
    assert find_largest_image({"input": []}) == ({}, 0)


@pytest.mark.parametrize(
    ("answer", "bare"),
    [(b'{"detail": "Bad Request"}', True), (b"{}", True), (b'{"detail": "Unsupported parameter: x"}', False)],
)
def test_a_refusal_without_a_reason(answer, bare):
    assert gives_no_reason(read_http_error(400, {}, answer, 0.0)) is bare
