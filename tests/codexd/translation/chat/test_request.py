import pytest
from attrs import evolve
from support.bodies import CLOSED, check_accepted, item
from support.chat_bodies import (
    ask,
    assistant,
    function,
    losses_of,
    read,
    sealed,
    system,
    text,
    tool_call,
    translate,
    user,
)

from codexd.errors import RequestInvalid
from codexd.translation.client_api import Target
from codexd.translation.models.catalogue import BUILT_IN, MAX_OUTPUT_TOKENS
from codexd.translation.reading.losses import LossKind

OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}
EMPTY = {"type": "object", "properties": {}}


def test_the_body_is_an_allow_list():
    body = translate(ask(temperature=0.1, user="me", foo=1, stream=False))
    assert body.pop("prompt_cache_key")
    assert body == {
        "model": "gpt-5.5",
        "instructions": "",
        "input": [item("user", "hi")],
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
    }


FUNCTION = {"type": "function", "name": "bash", "strict": False, "parameters": EMPTY}
GRAMMAR = {"type": "grammar", "definition": "start: x", "syntax": "lark"}
PLACE = {"city": "Bonn", "country": "DE"}


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        pytest.param(function(), FUNCTION, id="case-164"),
        pytest.param(
            function(parameters=CLOSED, strict=True), {**FUNCTION, "strict": True, "parameters": CLOSED}, id="strict"
        ),
        pytest.param(function(parameters=OPEN, strict=True), {**FUNCTION, "parameters": OPEN}, id="not strict enough"),
        pytest.param(
            {"type": "function", "name": "bash", "parameters": OPEN}, {**FUNCTION, "parameters": OPEN}, id="flat"
        ),
        pytest.param(
            {"function": {"name": "bash", "description": "d"}}, {**FUNCTION, "description": "d"}, id="untyped"
        ),
        pytest.param(
            function(parameters={"type": "object", "anyOf": [CLOSED, {"required": ["b"]}]}, description="d"),
            {
                **FUNCTION,
                "description": "d\n\nGive the properties of at least one of: a; or b.",
                "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
            },
            id="alternatives",
        ),
        pytest.param(
            {"type": "custom", "custom": {"name": "p", "description": "d", "format": {"type": "text"}}},
            {"type": "custom", "name": "p", "description": "d", "format": {"type": "text"}},
            id="custom",
        ),
        pytest.param(
            {
                "type": "custom",
                "custom": {
                    "name": "p",
                    "format": {"type": "grammar", "grammar": {"definition": "start: x", "syntax": "lark"}},
                },
            },
            {"type": "custom", "name": "p", "format": GRAMMAR},
            id="grammar",
        ),
        pytest.param(
            {"type": "custom", "name": "p", "format": GRAMMAR},
            {"type": "custom", "name": "p", "format": GRAMMAR},
            id="flat custom",
        ),
        pytest.param(
            {
                "type": "web_search_preview",
                "search_context_size": "low",
                "user_location": {"type": "approximate", **PLACE},
            },
            {"type": "web_search", "search_context_size": "low", "user_location": {"type": "approximate", **PLACE}},
            id="web search",
        ),
        pytest.param(
            {"type": "web_search", "filters": {"allowed_domains": ["example.com"]}},
            {"type": "web_search", "filters": {"allowed_domains": ["example.com"]}},
            id="web search in domains",
        ),
        pytest.param(
            {"type": "image_generation", "output_format": "png", "partial_images": 2},
            {"type": "image_generation", "output_format": "png"},
            id="images",
        ),
    ],
)
def test_tools(tool, expected):
    body = translate(ask(tools=[tool]))
    assert body["tools"] == [expected]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("auto", True)
    check_accepted(body)


def test_web_search_options_add_a_tool():
    options = {"search_context_size": "high", "user_location": {"type": "approximate", "approximate": PLACE}}
    body = translate(ask(tools=[function()], web_search_options=options))
    search = {"type": "web_search", "search_context_size": "high", "user_location": {"type": "approximate", **PLACE}}
    assert body["tools"] == [FUNCTION, search]
    assert translate(ask(web_search_options={}))["tools"] == [{"type": "web_search"}]
    check_accepted(body)


def test_functions_are_tools_with_one_call():
    """case-166"""
    body = translate(ask(functions=[{"name": "bash"}], function_call={"name": "bash"}, parallel_tool_calls=True))
    assert body["tools"] == [FUNCTION]
    assert body["tool_choice"] == {"type": "function", "name": "bash"}
    assert body["parallel_tool_calls"] is False
    assert translate(ask(functions=[{"name": "bash"}], function_call="none"))["tool_choice"] == "none"
    assert read(ask(functions=[{"name": "bash"}])).functions


def test_the_first_of_two_tools_with_one_name_stays():
    tools = [function(), {"type": "custom", "name": "bash"}, {"type": "web_search"}]
    body = ask(tools=tools, web_search_options={})
    assert [tool["type"] for tool in translate(body)["tools"]] == ["function", "web_search"]
    assert losses_of(body) == {"tools[1]": LossKind.DROPPED, "web_search_options": LossKind.DROPPED}


TOOLS = [function("f"), function("a.b"), {"type": "custom", "name": "p"}, {"type": "web_search"}]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        *((word, word) for word in ("none", "auto", "required")),
        ({"type": "required"}, "required"),
        pytest.param({"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}, id="case-165"),
        ({"type": "function", "name": "a.b"}, {"type": "function", "name": "a_b_2e7336dc"}),
        ({"type": "custom", "custom": {"name": "p"}}, {"type": "custom", "name": "p"}),
        ({"type": "web_search_preview"}, {"type": "web_search"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "name": "p"}],
                },
            },
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "p"}],
            },
        ),
    ],
)
def test_tool_choice(choice, expected):
    body = translate(ask(tools=TOOLS, tool_choice=choice, parallel_tool_calls=False))
    assert (body["tool_choice"], body["parallel_tool_calls"]) == (expected, False)
    check_accepted(body)


def test_without_tools_there_is_no_choice():
    asked = ask(tools=[], tool_choice="required", parallel_tool_calls=True)
    body = translate(asked)
    assert {"tools", "tool_choice", "parallel_tool_calls"} & set(body) == set()
    assert losses_of(asked) == {"tool_choice": LossKind.DROPPED}


def schema(**fields):
    return {"type": "json_schema", "json_schema": {"name": "a", "schema": CLOSED, **fields}}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"type": "text"}, None),
        (schema(strict=True), {"type": "json_schema", "name": "a", "schema": CLOSED, "strict": True}),
        pytest.param(
            schema(name="my form: größe", description="d"),
            {"type": "json_schema", "name": "my_form__gr__e", "schema": CLOSED, "description": "d"},
            id="case-175",
        ),
        (schema(schema=OPEN, strict=True), {"type": "json_schema", "name": "a", "schema": OPEN, "strict": False}),
        (schema(schema=None, strict=False), {"type": "json_schema", "name": "a", "schema": EMPTY, "strict": False}),
    ],
)
def test_response_format(wanted, expected):
    body = translate(ask(response_format=wanted))
    assert body.get("text", {}).get("format") == expected
    check_accepted(body)


LINE = item("developer", "Answer with a JSON object.")
JSON_OBJECT = {"response_format": {"type": "json_object"}}


def test_json_object_puts_the_word_into_the_input_if_it_is_missing():
    body = translate(ask(**JSON_OBJECT))
    assert body["text"] == {"format": {"type": "json_object"}}
    assert body["input"] == [LINE, item("user", "hi")]
    check_accepted(body)


@pytest.mark.parametrize("beginning", [[user("as Json")], [system([text("use JSON")]), user("hi")]])
def test_json_object_adds_nothing_where_the_word_is(beginning):
    assert LINE not in translate(ask(*beginning, **JSON_OBJECT))["input"]


def test_the_json_line_stays_when_the_word_comes_later():
    """The prefix that the backend caches must not change."""
    later = translate(ask(user("hi"), assistant("{}"), user("more json"), **JSON_OBJECT))
    assert later["input"][:2] == translate(ask(**JSON_OBJECT))["input"]


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({}, None),
        ({"reasoning_effort": "high"}, {"effort": "high", "summary": "auto"}),
        ({"reasoning_effort": "max"}, {"effort": "xhigh", "summary": "auto"}),
        ({"reasoning_effort": "none"}, {"effort": "low"}),
        ({"reasoning": {"effort": "low"}}, {"effort": "low", "summary": "auto"}),
        ({"reasoning": {"max_tokens": 9000}}, {"effort": "high", "summary": "auto"}),
        ({"reasoning": {"effort": "low", "exclude": True}}, {"effort": "low"}),
        ({"reasoning": {"enabled": False}}, {"effort": "low"}),
        ({"reasoning": {"summary": "detailed"}}, {"summary": "detailed"}),
        ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, {"effort": "low", "summary": "auto"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"effort": "medium", "summary": "auto"}),
        ({"thinking": {"type": "adaptive"}}, {"summary": "auto"}),
        ({"thinking": {"type": "disabled"}}, {"effort": "low"}),
        ({"include_reasoning": True}, {"summary": "auto"}),
        ({"include_reasoning": False, "reasoning_effort": "low"}, {"effort": "low"}),
    ],
)
def test_effort_and_whether_reasoning_is_shown(fields, reasoning):
    body = translate(ask(**fields))
    assert body.get("reasoning") == reasoning
    assert read(ask(**fields)).effort.shown is ("summary" in (reasoning or {}))
    check_accepted(body)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "reasoning_details"])
def test_who_has_reasoning_in_the_history_is_shown_it(name):
    value = [sealed()] if name == "reasoning_details" else "thought"
    assert translate(ask(user("hi"), assistant("x", **{name: value}), user("go")))["reasoning"] == {"summary": "auto"}


def test_the_settings_effort_counts_where_the_request_does_not_say():
    assert translate(ask(), default_effort="low")["reasoning"] == {"effort": "low"}
    assert translate(ask(reasoning_effort="high"), default_effort="low")["reasoning"]["effort"] == "high"


def test_an_effort_that_the_model_lacks_is_a_loss_of_the_field_that_asks():
    assert losses_of(ask(reasoning_effort="max")) == {"reasoning_effort": LossKind.APPROXIMATED}
    assert losses_of(ask(thinking={"type": "disabled"})) == {"thinking": LossKind.APPROXIMATED}
    assert losses_of(ask(), default_effort="max") == {}


def test_verbosity_where_the_model_has_it():
    assert translate(ask(verbosity="low"))["text"] == {"verbosity": "low"}
    request = read(ask(verbosity="low"))
    plain = evolve(BUILT_IN.describe("gpt-5.5"), verbosity=False)
    assert "text" not in request.to_responses(Target(plain))
    assert [loss.path for loss in request.losses] == ["verbosity"]


@pytest.mark.parametrize(
    ("fields", "tier"),
    [
        ({"service_tier": "priority"}, "priority"),
        ({"service_tier": "fast"}, "priority"),
        ({"fast_mode": True}, "priority"),
        ({"service_tier": "auto"}, None),
        ({"service_tier": "flex"}, None),
        ({"service_tier": True}, None),
        ({"fast_mode": "yes"}, None),
    ],
)
def test_service_tier(fields, tier):
    assert translate(ask(**fields)).get("service_tier") == tier
    assert "service_tier" not in translate(ask(**fields), model="gpt-daybreak-blue-latest")


def test_limits_and_stops_are_ours():
    assert read(ask(max_tokens=5, max_completion_tokens=9)).max_tokens == 9
    assert read(ask(max_tokens=5)).max_tokens == 5
    assert read(ask(max_tokens=MAX_OUTPUT_TOKENS * 2)).max_tokens == MAX_OUTPUT_TOKENS * 2
    assert [read(ask(stop=stop)).stop for stop in (None, "\n\n", ["a", "b"], [])] == [(), ("\n\n",), ("a", "b"), ()]


REFUSED = [
    ({"n": 2}, "n: must be 1"),
    ({"n": "1"}, "n: must be a whole number"),
    ({"logprobs": True}, "logprobs: is not supported"),
    ({"top_logprobs": 3}, "top_logprobs: is not supported"),
    ({"audio": {"voice": "alloy", "format": "wav"}}, "audio: is not supported"),
    ({"modalities": ["text", "audio"]}, "modalities: only text"),
    ({"model": None}, "model: required"),
    ({"messages": []}, "messages: at least one"),
    ({"messages": "hi"}, "messages: must be a list"),
    ({"stream": "yes"}, "stream: must be true or false"),
    ({"stream_options": []}, "stream_options: must be an object"),
    ({"stop": [1]}, "stop: must be a list of strings"),
    ({"max_tokens": 0}, "max_tokens: must be at least 1"),
    ({"max_completion_tokens": "9"}, "max_completion_tokens: must be a whole number"),
    ({"verbosity": "loud"}, "verbosity: must be one of"),
    ({"reasoning_effort": "hard"}, "reasoning_effort: must be one of"),
    ({"reasoning": {"summary": "long"}}, "reasoning.summary: must be one of"),
    ({"thinking": {}}, "thinking.type: required"),
    ({"thinking": {"type": "maybe"}}, "thinking.type: must be enabled"),
    ({"prompt_cache_key": 3}, "prompt_cache_key: must be a string"),
    ({"parallel_tool_calls": 1}, "parallel_tool_calls: must be true or false"),
    ({"tools": [{"type": "function"}]}, "tools[0].name: required"),
    ({"tools": [function("")]}, "tools[0].function.name: must not be empty"),
    ({"tools": [{"type": "file_search"}]}, "tools[0].type: 'file_search' runs on OpenAI's servers"),
    ({"tools": [{"type": "mcp", "server_url": "x"}]}, "tools[0].type: 'mcp'"),
    ({"tools": [{"type": "custom", "custom": {"name": "p", "format": {"type": "x"}}}]}, "tools[0].custom.format.type"),
    (
        {"tools": [{"type": "custom", "name": "p", "format": {"type": "grammar", "definition": "x", "syntax": "y"}}]},
        "tools[0].format.syntax: must be lark or regex",
    ),
    ({"tools": [{"type": "web_search", "search_context_size": "x"}]}, "tools[0].search_context_size"),
    ({"tools": [{"type": "image_generation", "output_format": "gif"}]}, "tools[0].output_format: must be one of"),
    ({"tools": TOOLS, "functions": [{"name": "f"}]}, "functions: can't be combined with tools"),
    ({"tools": TOOLS, "tool_choice": "any"}, "tool_choice: must be none, auto, required or an object"),
    (
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "z"}}},
        "tool_choice.function.name: 'z'",
    ),
    ({"tools": TOOLS, "tool_choice": {"type": "image_generation"}}, "tool_choice.type: 'image_generation'"),
    ({"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "mode": "all"}}, "tool_choice.mode: must be auto"),
    ({"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "mode": "auto"}}, "tool_choice.tools: must name at"),
    ({"functions": [{"name": "f"}], "function_call": {"name": "z"}}, "function_call.name: 'z'"),
    ({"response_format": {"type": "xml"}}, "response_format.type: must be text"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema: required"),
    ({"response_format": schema(name="")}, "response_format.json_schema.name: must not be empty"),
    ({"response_format": schema(schema={"type": "array"})}, "response_format.json_schema.schema: must be an object"),
    ({"response_format": schema(strict="yes")}, "response_format.json_schema.strict: must be true or false"),
]


@pytest.mark.parametrize(("fields", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_cant_be_is_refused_by_name(fields, said):
    """case-176 is the first."""
    with pytest.raises(RequestInvalid) as error:
        translate({**ask(), **fields})
    assert str(error.value).startswith(said)
    assert error.value.path == said.partition(": ")[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"n": None},
        {"n": 1},
        {"logprobs": False},
        {"logprobs": None},
        {"top_logprobs": 0},
        {"modalities": ["text"]},
        {"stop": None},
        {"max_tokens": None},
        {"tools": None},
        {"temperature": 1, "top_p": 1, "presence_penalty": 0, "logit_bias": {}, "store": False},
        {"service_tier": "default", "response_format": {"type": "text"}},
    ],
)
def test_what_changes_nothing_is_no_loss(fields):
    assert losses_of(ask(**fields)) == {}


# -- the conversation -------------------------------------------------------------------------------


def keys(*bodies):
    return [translate(body)["prompt_cache_key"] for body in bodies]


def test_the_clients_cache_key_is_hashed_into_ours():
    one, again, other, without = keys(
        ask(prompt_cache_key="k"), ask(user("else"), prompt_cache_key="k"), ask(prompt_cache_key="l"), ask()
    )
    assert one == again
    assert len({one, other, without}) == 3
    assert one != "k"
    assert len(one) == 36


def test_a_conversation_is_known_by_its_beginning():
    start = [system("s"), user("<system-reminder>now</system-reminder>hi")]
    first, second, third, fourth = keys(
        ask(*start),
        ask(*start, assistant("x", tool_call()), user("go")),
        ask(system("s"), user("<system-reminder>later</system-reminder>hi")),
        ask(system("t"), user("hi")),
    )
    assert first == second == third != fourth
    assert read(ask(*start)).session_key == read(ask(*start, user("go"))).session_key
    assert translate(ask(), model="gpt-6-sol")["prompt_cache_key"] != keys(ask())[0]
