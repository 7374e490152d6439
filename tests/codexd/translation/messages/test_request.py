import pytest
from support.bodies import BLOCK, CLOSED, HI, HI_ITEM, make, result, text, translate

from codexd.errors import RequestInvalid
from codexd.jsontext import dumps
from codexd.translation.client_api import Target
from codexd.translation.messages.blocks import Thinking
from codexd.translation.messages.request import parse, parse_count
from codexd.translation.models.catalogue import BUILT_IN

# -- fields -----------------------------------------------------------------------------------------


def test_the_smallest_request():
    body = translate(make())
    assert body.pop("prompt_cache_key")
    assert body == {
        "model": "gpt-5.5",
        "instructions": "",
        "input": [HI_ITEM],
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "text": {"verbosity": "low"},
    }


def test_stream_is_false_unless_asked_for():
    assert parse(dumps(make()), {}).stream is False
    assert parse(dumps(make(stream=True)), {}).stream is True
    assert translate(make(stream=False))["stream"] is True


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"max_tokens": 5}, id="max-tokens-is-not-sent"),
        pytest.param({"temperature": 1, "top_p": 0.9, "top_k": 5}, id="sampling-settings"),
        pytest.param({"metadata": {"user_id": "bob"}}, id="user-id"),
        pytest.param(
            {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
            id="context-management",
        ),
        pytest.param({"foo": 1, "cache_control": {"type": "ephemeral"}, "fallbacks": "default"}, id="unknown-field"),
        pytest.param(
            {"system": None, "tools": None, "thinking": None, "metadata": None, "container": None}, id="nulls"
        ),
        pytest.param({"tool_choice": {"type": "any"}}, id="choice-without-tools"),
        pytest.param({"tools": [], "tool_choice": "auto"}, id="choice-without-tools-empty"),
    ],
)
def test_fields_that_leave_no_trace(fields):
    assert dumps(translate(make(**fields))) == dumps(translate(make()))


@pytest.mark.parametrize(
    ("system", "instructions"),
    [
        pytest.param("x", "x", id="system-string"),
        pytest.param([BLOCK], "x", id="system-block"),
        pytest.param([text("x-anthropic-billing-header: cc_version=1; cch=a;"), text("x")], "x", id="billing-block"),
        pytest.param(
            [text("x-anthropic-billing-header: cc_version=2; cch=b;"), text("x")], "x", id="billing-block-other"
        ),
        pytest.param("a\n  X-Anthropic-Billing-Header: cch=1\nb", "a\nb", id="billing-line-in-a-text"),
        pytest.param([text("x-anthropic-billing-header: cch=1")], "", id="only-the-billing-block"),
        pytest.param([text("a"), text(""), text(" \n"), text("b")], "a\n\nb", id="blank-system-blocks"),
        pytest.param("", "", id="empty"),
        pytest.param([], "", id="no-blocks"),
    ],
)
def test_system(system, instructions):
    assert translate(make(system=system)) == {**translate(make(system=instructions)), "instructions": instructions}


@pytest.mark.parametrize(
    ("fields", "tier"),
    [
        pytest.param({"service_tier": "priority"}, "priority", id="priority"),
        pytest.param({"service_tier": "fast"}, "priority", id="fast"),
        pytest.param({"service_tier": "default"}, None, id="default"),
        pytest.param({"service_tier": "auto"}, None, id="auto"),
        pytest.param({"service_tier": "standard_only"}, None, id="standard-only"),
        pytest.param({"service_tier": True}, None, id="true"),
        pytest.param({"service_tier": "auto", "speed": "fast"}, "priority", id="speed"),
        pytest.param({"speed": "standard"}, None, id="speed-standard"),
        pytest.param({"speed": {"fast": 1}}, None, id="speed-object"),
    ],
)
def test_service_tier(fields, tier):
    assert translate(make(**fields)).get("service_tier") == tier


def test_a_model_without_priority():
    request = parse(dumps(make(speed="fast")), {})
    body = request.to_backend(Target(BUILT_IN.describe("gpt-daybreak-red-latest"), ""))
    assert "service_tier" not in body
    assert [loss.path for loss in request.losses] == ["speed"]


def test_max_tokens_and_stop_sequences_are_for_codexd():
    request = parse(dumps(make(max_tokens=0, stop_sequences=["</x>", "\nHuman:"])), {})
    assert request.max_tokens == 0
    assert request.stop_sequences == ("</x>", "\nHuman:")


CLEARED = {"role": "system", "content": "now", "clear_at": "next_user_message"}


@pytest.mark.parametrize(
    ("messages", "left"),
    [
        pytest.param([*HI, CLEARED], 2, id="cleared-system-message-the-turn-it-is-for"),
        pytest.param([*HI, CLEARED, {"role": "assistant", "content": "a"}, *HI], 3, id="cleared-system-message"),
        pytest.param([*HI, {**CLEARED, "clear_at": "never"}, *HI], 3, id="cleared-system-message-never"),
    ],
)
def test_a_system_message_for_one_turn(messages, left):
    assert len(translate(make(messages))["input"]) == left


SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def test_blocked_domains():
    body = make(system="x", tools=[{**SEARCH, "blocked_domains": ["a.example", "b.example"]}])
    request = parse(dumps(body), {})
    assert request.blocked_domains == ("a.example", "b.example")
    assert request.web_search_only
    assert (
        translate(body)["instructions"] == "x\n\nNever use web search results from these domains: a.example, b.example."
    )
    assert not parse(dumps(make(tools=[SEARCH, {"name": "Bash"}])), {}).web_search_only


# -- errors -----------------------------------------------------------------------------------------

WRONG = [
    ({"stop_sequences": ["x", " \n"]}, "stop_sequences: each stop sequence must contain more than whitespace"),
    ({"stop_sequences": "x"}, "stop_sequences: must be a list of strings"),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "array"}}}},
        "output_config.format.schema: must be an object at its root, because the backend writes no other JSON",
    ),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": {"anyOf": [{"type": "array"}]}}}},
        "output_config.format.schema: must be an object at its root, because the backend writes no other JSON",
    ),
    ({"model": None}, "model: required"),
    ({"model": 5}, "model: must be a string"),
    ({"max_tokens": None}, "max_tokens: required"),
    ({"max_tokens": -1}, "max_tokens: must not be negative"),
    ({"max_tokens": "5"}, "max_tokens: must be a whole number"),
    ({"messages": None}, "messages: at least one message is required"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": {}}, "messages: must be a list"),
    ({"messages": ["hi"]}, "messages[0]: must be an object"),
    ({"messages": [{"content": "x"}]}, "messages[0].role: required"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role: must be user, assistant or system"),
    ({"messages": [{"role": "user", "content": ""}]}, "messages: at least one message with content is required"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content: must be a list"),
    ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]: must be an object"),
    ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type: required"),
    ({"messages": [*HI * 3, {"role": "user", "content": [{"type": "text"}]}]}, "messages[3].content[0].text: required"),
    (
        {"messages": [{"role": "user", "content": [text("a"), {"type": "image"}]}]},
        "messages[0].content[1].source: required",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
        "messages[0].content[0].tool_use_id: required",
    ),
    (
        {"messages": [*HI, {"role": "assistant", "content": [{"type": "tool_use", "id": "x"}]}, *HI]},
        "messages[1].content[0].name: required",
    ),
    (
        {"messages": [{"role": "user", "content": [result(content=[{"type": "image", "source": {"type": "url"}}])]}]},
        "messages[0].content[0].content[0].source.url: required",
    ),
    ({"system": 5}, "system: must be a list"),
    ({"system": [{"type": "text"}]}, "system[0].text: required"),
    ({"stream": "yes"}, "stream: must be true or false"),
    ({"thinking": {}}, "thinking.type: required"),
    ({"thinking": {"type": "often"}}, "thinking.type: must be enabled, adaptive or disabled"),
    ({"thinking": {"type": "enabled", "budget_tokens": "x"}}, "thinking.budget_tokens: must be a whole number"),
    (
        {"output_config": {"effort": "huge"}},
        "output_config.effort: must be one of none, minimal, low, medium, high, xhigh, max, ultra",
    ),
    ({"output_config": {"format": {"type": "text"}}}, "output_config.format.type: must be json_schema"),
    ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema: required"),
    ({"metadata": {"user_id": 5}}, "metadata.user_id: must be a string"),
    ({"tools": [{}]}, "tools[0].name: required"),
    ({"tools": [{"name": ""}]}, "tools[0].name: must not be empty"),
    (
        {"tools": [{"name": "a"}], "tool_choice": {"type": "tool", "name": "b"}},
        "tool_choice.name: 'b' is not a tool of this request",
    ),
    (
        {"mcp_servers": [{"url": "https://example.com"}]},
        "mcp_servers: not available through codexd; let the client call your MCP servers",
    ),
    ({"container": "c"}, "container: runs on Anthropic's servers and is not available through codexd"),
    (
        {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
        "tools[0].type: 'code_execution_20250825' runs on Anthropic's servers and is not available through codexd",
    ),
    (
        {"messages": [*HI, {"role": "assistant", "content": "The"}]},
        "messages[1]: This model does not support assistant message prefill. The conversation must end with a user message.",
    ),
]


@pytest.mark.parametrize(("fields", "message"), WRONG, ids=[message[:60] for _, message in WRONG])
def test_errors_name_the_field(fields, message):
    with pytest.raises(RequestInvalid) as error:
        translate(make(**fields))
    assert str(error.value) == message


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b"5", b"null"])
def test_bodies_that_are_no_object(data):
    with pytest.raises(RequestInvalid, match="body"):
        parse(data, {})


@pytest.mark.parametrize("depth", [205, 900, 20_000])
def test_a_body_that_is_too_deep(depth):
    with pytest.raises(RequestInvalid):
        parse(b'{"messages":' + b"[" * depth + b"]" * depth + b"}", {})


def test_too_many_messages():
    with pytest.raises(RequestInvalid, match=r"^messages: must not have more than 100000 entries$"):
        parse(dumps(make(HI * 100_001)), {})


def test_count_tokens_needs_no_max_tokens():
    request = parse_count(dumps({"model": "x", "messages": HI}))
    assert request.model == "x"


CALL = {"type": "tool_use", "id": "c", "name": "Bash", "input": {}}
ASSISTANTS = [
    pytest.param("Sure, I", id="text"),
    pytest.param([CALL], id="call"),
    pytest.param([{"type": "thinking", "thinking": "hm", "signature": ""}], id="thinking"),
    pytest.param([], id="nothing"),
]


@pytest.mark.parametrize("content", ASSISTANTS)
def test_a_conversation_that_ends_with_the_assistant_is_counted_but_not_answered(content):
    body = {"model": "x", "max_tokens": 9, "messages": [*HI, {"role": "assistant", "content": content}]}
    parse_count(dumps(body)).to_backend(Target(BUILT_IN.describe("gpt-5.5")))
    with pytest.raises(RequestInvalid, match="prefill"):
        parse(dumps(body), {})


@pytest.mark.parametrize("messages", [[{"role": "user", "content": ""}], [{"role": "system", "content": []}]])
def test_messages_without_content_are_counted(messages):
    counted = parse_count(dumps({"model": "x", "messages": messages, "system": "Be brief."}))
    sent = counted.to_backend(Target(BUILT_IN.describe("gpt-5.5")))
    assert (sent["instructions"], sent["input"]) == ("Be brief.", [])


# -- effort, thinking, format -----------------------------------------------------------------------


def spoken(effort):
    return {"role": "system", "output_config": {"effort": effort}}


@pytest.mark.parametrize(
    ("fields", "reasoning_field"),
    [
        pytest.param({}, None, id="none"),
        *(
            pytest.param(
                {"thinking": {"type": "enabled", "budget_tokens": budget}},
                {"effort": effort, "summary": "auto"},
                id=f"budget-{budget}",
            )
            for budget, effort in (
                (1, "low"),
                (1024, "low"),
                (1025, "medium"),
                (8192, "medium"),
                (24576, "high"),
                (31999, "xhigh"),
            )
        ),
        pytest.param({"thinking": {"type": "adaptive"}}, {"summary": "auto"}, id="adaptive"),
        pytest.param(
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
            {"effort": "xhigh", "summary": "auto"},
            id="effort-is-clamped",
        ),
        pytest.param({"thinking": {"type": "disabled"}}, {"effort": "low"}, id="thinking-disabled"),
        pytest.param(
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
            {"effort": "low"},
            id="disabled-wins",
        ),
        pytest.param(
            {"output_config": {"effort": "low"}, "messages": [*HI, spoken("high"), spoken("max")]},
            {"effort": "xhigh"},
            id="effort-of-a-system-message",
        ),
        pytest.param({"messages": [*HI, spoken("high")]}, {"effort": "high"}, id="system-message-with-effort-only"),
        pytest.param(
            {"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "high"}},
            {"effort": "high", "summary": "auto"},
            id="effort-before-budget",
        ),
        pytest.param(
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "medium"}},
            {"effort": "medium"},
            id="display-omitted",
        ),
        pytest.param(
            {"thinking": {"type": "between_tools", "display": "updates"}}, {"summary": "auto"}, id="between-tools"
        ),
        pytest.param({"thinking": {"type": "adaptive", "display": "omitted"}}, None, id="omitted-alone"),
    ],
)
def test_reasoning_field(fields, reasoning_field):
    body = translate(make(**fields))
    assert body.get("reasoning") == reasoning_field
    assert body["input"] == [HI_ITEM]


def test_the_default_effort_is_for_requests_that_say_nothing():
    assert translate(make(), default_effort="max")["reasoning"] == {"effort": "xhigh"}
    assert translate(make(output_config={"effort": "low"}), default_effort="high")["reasoning"] == {"effort": "low"}


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        (None, Thinking.ABSENT),
        ({"type": "disabled"}, Thinking.DISABLED),
        ({"type": "adaptive", "display": "omitted"}, Thinking.OMITTED),
        ({"type": "enabled", "budget_tokens": 2000}, Thinking.SHOWN),
    ],
)
def test_thinking_as_wanted(field, wanted):
    assert parse(dumps(make(thinking=field)), {}).thinking is wanted


OPTIONAL = {**CLOSED, "required": []}


@pytest.mark.parametrize(("schema", "strict"), [(CLOSED, True), (OPTIONAL, False)], ids=["closed", "optional"])
def test_structured_output(schema, strict):
    wanted = {"type": "json_schema", "schema": schema}
    body = translate(make(output_config={"format": wanted}))
    form = {"type": "json_schema", "name": "response", "schema": schema, "strict": strict}
    assert body["text"] == {"format": form, "verbosity": "low"}
    assert translate(make(output_format=wanted)) == body
