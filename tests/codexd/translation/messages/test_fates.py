"""The table of fates against the SDK's own types: whatever the SDK can send has a row."""

import json

import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_count_tokens_params as beta_count_params
from anthropic.types.beta import message_create_params as beta_create_params
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from support.bodies import CLOSED, HI, PDF, PNG, TAG, TURNS, check_accepted, claude_code_body, client_of, make, thinking
from support.sdk_types import WORDS, Requests, Walk

from codexd.errors import RequestInvalid
from codexd.jsontext import dumps
from codexd.translation.client_api import Target
from codexd.translation.messages.fates import TABLES
from codexd.translation.messages.request import parse, parse_count
from codexd.translation.models.catalogue import BUILT_IN
from codexd.translation.reading.fates import Fate
from codexd.translation.reading.losses import LossKind
from codexd.translation.tokens import count_body

REQUESTS = [
    beta_create_params.MessageCreateParamsNonStreaming,
    beta_create_params.MessageCreateParamsStreaming,
    beta_count_params.MessageCountTokensParams,
    message_create_params.MessageCreateParamsNonStreaming,
    message_create_params.MessageCreateParamsStreaming,
    message_count_tokens_params.MessageCountTokensParams,
]


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda found: f"{found.__module__}.{found.__name__}")
def test_every_field_of_the_sdk_has_a_row(request_type):
    walk = Walk(
        TABLES, whole={"user_location", "input_schema"}, flat=("block",), unsent=(("tool", "tool_search_tool_"),)
    )
    assert list(walk.find_gaps(request_type)) == []


def test_every_lossy_row_has_a_reason():
    for table in TABLES.values():
        for shape in table.shapes.values():
            for rule in (shape.rule, *shape.fields.values()):
                assert rule.reason or rule.fate is Fate.CARRIED
                assert not rule.inside or rule.inside in TABLES


# -- the ledger -------------------------------------------------------------------------------------


def ledger(body, headers=None):
    request = parse(dumps(body), headers or {}, client_of(headers or {}))
    request.to_backend(Target(BUILT_IN.describe("gpt-5.5"), TAG))
    return {loss.path: (loss.kind, loss.note) for loss in request.losses}


def kinds(body):
    return {path: kind for path, (kind, _) in ledger(body).items()}


MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("fields", "losses"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param(
            {"temperature": 1, "container": None, "mcp_servers": [], "stop_sequences": ["x"]}, {}, id="defaults"
        ),
        pytest.param(
            {"service_tier": "batch", "speed": "slow"},
            {"service_tier": LossKind.DROPPED, "speed": LossKind.DROPPED},
            id="a-tier-and-a-speed-that-nobody-has",
        ),
        pytest.param(
            {"messages": [{**HI[0], "output_config": {"effort": "low", "format": {"type": "json_schema"}}}]},
            {"messages[0].output_config": LossKind.DROPPED},
            id="the-effort-of-a-user-message",
        ),
        pytest.param(
            {"messages": [*HI, {"role": "system", "output_config": {"effort": "low", "format": {"type": "x"}}}]},
            {"messages[1].output_config.format": LossKind.DROPPED},
            id="the-format-of-a-system-message",
        ),
        pytest.param({"service_tier": "standard_only", "speed": "standard"}, {}, id="the-usual-tier-and-speed"),
        pytest.param(
            {"temperature": 0.2, "top_k": 5, "foo": 1, **MARK},
            {
                "temperature": LossKind.DROPPED,
                "top_k": LossKind.DROPPED,
                "foo": LossKind.DROPPED,
                "cache_control": LossKind.COSMETIC,
            },
            id="sampling-settings-and-unknown-field",
        ),
        pytest.param(
            {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
            {},
            id="context-management",
        ),
        pytest.param(
            {"context_management": {"edits": [{"type": "compact_20260112"}, {"type": "new_20300101"}]}},
            {"context_management.edits[0]": LossKind.DROPPED, "context_management.edits[1]": LossKind.DROPPED},
            id="edits",
        ),
        pytest.param(
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "document",
                                "source": {"type": "content", "content": [{"type": "text", "text": "x", "new": 1}]},
                            }
                        ],
                    }
                ]
            },
            {"messages[0].content[0].source.content[0].new": LossKind.DROPPED},
            id="in-a-document",
        ),
        pytest.param({"tools": [{"name": "a.b"}]}, {"tools[0].name": LossKind.RENAMED}, id="dots-in-a-tool-name"),
        pytest.param({"tools": [{"name": "a"}, {"name": "a"}]}, {"tools[1]": LossKind.DROPPED}, id="two-of-one-name"),
        pytest.param(
            {"tools": [{"type": "advisor_20260301", "name": "advisor", "model": "x"}]},
            {"tools[0]": LossKind.DROPPED},
            id="advisor",
        ),
        pytest.param(
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            {"thinking.budget_tokens": LossKind.APPROXIMATED},
            id="budget",
        ),
        pytest.param(
            {"output_config": {"effort": "max"}},
            {"output_config.effort": LossKind.APPROXIMATED},
            id="effort-is-clamped",
        ),
        pytest.param({"thinking": {"type": "disabled"}}, {"thinking": LossKind.APPROXIMATED}, id="thinking-disabled"),
        pytest.param(
            {"messages": [*HI, {"role": "assistant", "content": [{"type": "thinking", "signature": "E"}]}, *HI]},
            {"messages[1].content[0]": LossKind.APPROXIMATED},
            id="foreign-signature",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x"}]}]},
            {"messages[0].content[0]": LossKind.APPROXIMATED},
            id="result-without-call",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "thinking", "thinking": "x", "signature": "x"}]}, *HI]},
            {"messages[0].content[0]": LossKind.DROPPED},
            id="thinking-of-a-user",
        ),
        pytest.param({"tool_choice": {"type": "any"}}, {"tool_choice": LossKind.DROPPED}, id="choice-without-tools"),
    ],
)
def test_losses(fields, losses):
    assert kinds(make(**fields)) == losses


def test_nothing_of_claude_codes_own_requests_is_lost():
    request = parse(dumps(claude_code_body(len(TURNS))), {})
    request.to_backend(Target(BUILT_IN.describe("gpt-5.5"), TAG))
    assert {loss.kind for loss in request.losses} == {LossKind.RENAMED, LossKind.COSMETIC}
    assert request.losses.reported == 0


def test_a_second_translation_writes_nothing_twice():
    request = parse(dumps(make(top_k=1, tools=[{"name": "a.b"}])), {})
    for _ in range(2):
        request.to_backend(Target(BUILT_IN.describe("gpt-5.5"), TAG))
    assert [loss.path for loss in request.losses] == ["top_k", "tools[0].name"]
    assert request.losses.reported == 1
    assert request.losses.first_dropped.path == "top_k"


def test_reasoning_that_nothing_follows_is_counted():
    said = {"role": "assistant", "content": [{"type": "text", "text": "b"}, thinking("rs_1"), thinking("rs_2")]}
    messages = [{"role": "user", "content": "a"}, said, {"role": "user", "content": "c"}]
    lost = kinds(make(messages=messages))
    assert lost == {f"messages[1].content[{index}]": LossKind.APPROXIMATED for index in (1, 2)}


CLAUDE_CODE = {"user-agent": "claude-cli/2.1.330 (external, sdk-cli)"}
REFUSED = [
    ({"tools": [{"type": "code_execution_20250825", "name": "x"}]}, "tools[0].type"),
    ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}, "tools[0].type"),
    ({"tools": [{"type": "computer_toolset_20260801"}]}, "tools[0].type"),
    ({"tools": [{"type": "web_fetch_20250910", "name": "x"}]}, "tools[0].type"),
    ({"tools": [{"type": "new_20300101", "name": "x"}]}, "tools[0].type"),
    ({"tools": [{"type": "function", "function": {"name": "x"}}]}, "tools[0].type"),
    ({"mcp_servers": [{"type": "url", "url": "https://example.com", "name": "x"}]}, "mcp_servers"),
    ({"container": "c"}, "container"),
]

ESSENTIAL = [
    pytest.param({"thread": {"type": "continue", "previous_message_id": "x"}}, "thread.type", id="thread"),
    pytest.param({"thread": {"type": "fork", "message_id": "x"}}, "thread.type", id="a-thread-of-another-kind"),
    pytest.param({"thread": {"previous_message_id": "x"}}, "thread.type", id="a-thread-without-a-type"),
    pytest.param({"thread": "continue"}, "thread", id="a-thread-as-text"),
    pytest.param({"thread": [{"type": "continue"}]}, "thread", id="a-list-of-threads"),
    pytest.param({"thread": False}, "thread", id="a-thread-as-a-flag"),
    pytest.param(
        {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]},
        "messages[0].content[0].type",
        id="a-file-of-the-container",
    ),
]


@pytest.mark.parametrize("headers", [{}, CLAUDE_CODE], ids=["sdk", "claude-code"])
@pytest.mark.parametrize(("fields", "path"), ESSENTIAL)
def test_what_would_change_the_question_is_refused_for_everyone(fields, path, headers):
    with pytest.raises(RequestInvalid) as error:
        ledger(make(**fields), headers)
    assert error.value.path == path
    with pytest.raises(RequestInvalid):
        parse_count(dumps(make(**fields)))


def test_a_thread_is_refused_in_the_words_that_make_claude_code_send_everything():
    with pytest.raises(RequestInvalid, match=r"capability_rejected: beta_header:message-threads-2026-08-12(?![\w.:-])"):
        ledger(make(thread={"type": "continue", "previous_message_id": "x"}), CLAUDE_CODE)


@pytest.mark.parametrize(("fields", "path"), REFUSED, ids=[path for _, path in REFUSED])
def test_what_is_refused_is_dropped_for_claude_code(fields, path):
    body = make(**fields)
    with pytest.raises(RequestInvalid) as error:
        ledger(body)
    assert error.value.path == path
    found = ledger(body, CLAUDE_CODE)
    assert [kind for kind, _ in found.values()] == [LossKind.DROPPED]
    assert parse_count(dumps(body)).tools == []


@pytest.mark.parametrize("headers", [{}, CLAUDE_CODE], ids=["sdk", "claude-code"])
@pytest.mark.parametrize(
    ("role", "block"),
    [
        ("user", {"type": "container_upload", "file_id": "f"}),
        ("user", {"type": "new_thing", "text": "the real question"}),
        ("user", {"type": "tool_use", "id": "x", "name": "x"}),
        ("user", {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}),
        ("assistant", {"type": "new_thing"}),
        ("user", {"type": "tool_result", "tool_use_id": "x", "content": [{"type": "video", "url": "x"}]}),
    ],
)
def test_words_that_cant_be_sent_are_refused_for_every_client(role, block, headers):
    """Without them the model would answer another question."""
    with pytest.raises(RequestInvalid) as error:
        ledger(make(messages=[{"role": role, "content": [block]}, {"role": "user", "content": "x"}]), headers)
    assert error.value.path.startswith("messages[0].content[0]")
    assert error.value.path.endswith(".type")


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("image", {"type": "file", "file_id": "f"}),
        ("document", {"type": "file", "file_id": "f"}),
        ("document", {"type": "url", "url": "https://example.com"}),
    ],
)
def test_sources_that_are_not_in_the_request(kind, source):
    with pytest.raises(RequestInvalid, match=r"^messages\[0\]\.content\[0\]\.source\.type: "):
        ledger(make([{"role": "user", "content": [{"type": kind, "source": source}]}]))


# -- any request of the SDK's types -----------------------------------------------------------------

NAMES = st.sampled_from(["Bash", "web_search", "a.b", "x" * 70])
BY_NAME = {
    "url": st.just("https://example.com/a"),
    "name": NAMES,
    "tool_name": NAMES,
    "id": st.sampled_from(["c1", "c2", "srvtoolu_ws_1"]),
    "tool_use_id": st.sampled_from(["c1", "c2", "srvtoolu_ws_1"]),
    "model": st.just("claude-opus-5"),
    "max_tokens": st.integers(0, 5),
    "input_schema": st.sampled_from([{"type": "object"}, CLOSED, {"type": "object", "properties": None}]),
    "schema": st.sampled_from([CLOSED, {"type": "array"}, {}]),
    "input": st.dictionaries(WORDS, st.integers() | WORDS, max_size=2),
    "stop_sequences": st.lists(st.sampled_from(["x", " "]), max_size=2),
    "effort": st.sampled_from(["low", "max"]),
    "container": st.none() | st.just("c"),
    "mcp_servers": st.just([]),
}
BY_TYPE = {
    "BetaBase64ImageSourceParam": {"data": st.just(PNG)},
    "Base64ImageSourceParam": {"data": st.just(PNG)},
    "BetaBase64PDFSourceParam": {"data": st.just(PDF)},
    "Base64PDFSourceParam": {"data": st.just(PDF)},
}
SENT = Requests(BY_NAME, BY_TYPE)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.one_of([SENT.of(found) for found in REQUESTS[:2]]),
    st.sampled_from(["gpt-5.5", "gpt-6.1-sol"]),
    st.sampled_from(["claude-cli/2.1.330", "python"]),
)
def test_any_request_of_the_sdk_is_accepted_upstream_or_refused_by_name(body, model, agent):
    body = json.loads(dumps(body))
    try:
        body["messages"] = [*body["messages"], *HI]
        request = parse(dumps(body), {}, client_of({"user-agent": agent}))
        first, second = (request.to_backend(Target(BUILT_IN.describe(model), TAG)) for _ in range(2))
    except RequestInvalid as error:
        event(str(error)[:60])
        assert error.path
        return
    event("accepted")
    assert count_body(first) > 0
    check_accepted(first)
    assert dumps(first) == dumps(second)
