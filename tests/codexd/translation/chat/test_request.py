import pytest
from attrs import evolve
from support.bodies import CLOSED, check_accepted, item
from support.chat_bodies import (
    ask,
    assistant,
    function,
    losses_of,
    read,
    system,
    text,
    tool_call,
    translate,
    user,
)

from codexd.errors import RequestInvalid
from codexd.translation.client_api import Target
from codexd.translation.models.catalogue import BUILT_IN, MAX_OUTPUT_TOKENS

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
        "text": {"verbosity": "low"},
    }


TOOLS = [function("f"), function("a.b"), {"type": "custom", "name": "p"}, {"type": "web_search"}]


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
            id="schema-name",
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
    assert body["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}
    assert body["input"] == [LINE, item("user", "hi")]
    check_accepted(body)


@pytest.mark.parametrize("beginning", [[user("as Json")], [system([text("use JSON")]), user("hi")]])
def test_json_object_adds_nothing_where_the_word_is(beginning):
    assert LINE not in translate(ask(*beginning, **JSON_OBJECT))["input"]


def test_the_json_line_stays_when_the_word_comes_later():
    """The prefix that the backend caches must not change."""
    later = translate(ask(user("hi"), assistant("{}"), user("more json"), **JSON_OBJECT))
    assert later["input"][:2] == translate(ask(**JSON_OBJECT))["input"]


def test_verbosity_where_the_model_has_it():
    assert translate(ask(verbosity="high"))["text"] == {"verbosity": "high"}
    request = read(ask(verbosity="low"))
    plain = evolve(BUILT_IN.describe("gpt-5.5"), verbosity=False)
    assert "text" not in request.to_backend(Target(plain))
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
