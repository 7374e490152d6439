import pytest

from codexd.errors import RequestInvalid
from codexd.translation.messages.tools import list_names, read_tools, to_tool_choice, to_tools
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.tool_names import shorten

EMPTY = {"type": "object", "properties": {}}
STRICT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
EITHER = {
    "oneOf": [
        {"type": "object", "properties": {"a": {}}, "required": ["a"]},
        {"type": "object", "properties": {"b": {}, "c": {}}, "required": ["b", "c"]},
    ]
}
LONG = "mcp__server__" + "x" * 80


def body(*tools, **fields):
    return Fields({"tools": list(tools), "messages": [], **fields}, "")


def tool(name, **fields):
    return {"name": name, "input_schema": EMPTY, **fields}


def function(name, **fields):
    return {"type": "function", "name": name, "strict": False, "parameters": EMPTY, **fields}


def translate(*tools, **fields):
    return to_tools(read_tools(body(*tools, **fields)))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        pytest.param({"name": "Bash"}, function("Bash"), id="tool-without-schema"),
        pytest.param(tool("Bash", strict=True, type="custom"), function("Bash"), id="strict-is-explicit"),
        pytest.param(tool("Bash", type=None, description=None), function("Bash"), id="nulls"),
        pytest.param(tool("Bash", description="d"), function("Bash", description="d"), id="description"),
        pytest.param(
            tool(
                "Bash",
                cache_control={},
                defer_loading=False,
                eager_input_streaming=True,
                input_examples=[{"a": 1}],
                allowed_callers=["x"],
            ),
            function("Bash", description='Example inputs:\n{"a":1}'),
            id="marks-are-removed",
        ),
        pytest.param(
            {"name": "Bash", "input_schema": STRICT, "strict": True},
            {**function("Bash"), "strict": True, "parameters": STRICT},
            id="strict",
        ),
        pytest.param(
            {"name": "Bash", "description": "d", "input_schema": EITHER},
            {
                **function("Bash", description="d\n\nGive the properties of exactly one of: a; or b, c."),
                "parameters": {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}},
            },
            id="alternatives-at-the-root",
        ),
        pytest.param(tool(LONG), function(shorten(LONG)), id="long-tool-name"),
        pytest.param(tool("a.b/c"), function(shorten("a.b/c")), id="dots-in-a-tool-name"),
        pytest.param(tool(123), function("123"), id="number-as-tool-name"),
        pytest.param(
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
            {"type": "web_search"},
            id="web-search-only",
        ),
        pytest.param(
            {
                "type": "web_search_20260209",
                "name": "s",
                "allowed_domains": ["example.com"],
                "user_location": {"type": "approximate", "country": "DE", "city": None},
            },
            {
                "type": "web_search",
                "filters": {"allowed_domains": ["example.com"]},
                "user_location": {"type": "approximate", "country": "DE"},
            },
            id="web-search-tool",
        ),
    ],
)
def test_a_tool(given, wanted):
    assert translate(given) == [wanted]


def test_the_first_of_two_tools_with_one_name_stays():
    assert translate(tool("a", description="1"), tool("a", description="2"), tool("b")) == [
        function("a", description="1"),
        function("b"),
    ]


def test_names_that_shorten_alike_stay_apart():
    names = [f"mcp__{server}__{'x' * 80}" for server in ("one", "two")]
    two = [given["name"] for given in translate(*map(tool, names))]
    three = [given["name"] for given in translate(tool("other"), *map(tool, names))]
    assert len(set(two)) == 2
    assert three == ["other", *two]


def referring(*names):
    parts = [{"type": "tool_reference", "tool_name": name} for name in names]
    blocks = [{"type": "text", "text": "x"}, {"type": "tool_result", "tool_use_id": "c", "content": parts}]
    return {"role": "user", "content": blocks}


@pytest.mark.parametrize(
    ("references", "names"),
    [
        pytest.param([], ["a", "z"], id="loaded-by-a-reference"),
        pytest.param([["m"]], ["a", "z", "m"], id="loaded-tools-go-last"),
        pytest.param([["m"], ["b", "m"]], ["a", "z", "m", "b"], id="order-of-loading"),
        pytest.param([["unknown", "b"]], ["a", "z", "b"], id="unknown-reference"),
    ],
)
def test_deferred_tools_come_last_once_loaded(references, names):
    tools = [tool("a"), tool("b", defer_loading=True), tool("m", defer_loading=True), tool("z")]
    messages = [referring(*found) for found in references]
    assert [given["name"] for given in translate(*tools, messages=messages)] == names


ADD = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "m"}}
REMOVE = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "m"}}
DEFINE = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": tool("new")}}


@pytest.mark.parametrize(
    ("blocks", "names"),
    [
        pytest.param([ADD], ["a", "m"], id="tool-change"),
        pytest.param([ADD, REMOVE], ["a"], id="tool-change-removed"),
        pytest.param([ADD, REMOVE, ADD], ["a", "m"], id="tool-change-again"),
        pytest.param([DEFINE], ["a", "new"], id="tool-change-defined"),
        pytest.param([{**REMOVE, "tool": {"type": "tool_reference", "name": "a"}}], [], id="tool-change-listed"),
        pytest.param([{"type": "compaction", "tool_changes": [ADD]}], ["a", "m"], id="tool-change-compacted"),
        pytest.param(
            [{**ADD, "tool": {"type": "mcp_toolset_reference", "server_name": "s"}}], ["a"], id="tool-change-mcp"
        ),
    ],
)
def test_tools_that_come_and_go(blocks, names):
    messages = [{"role": "system", "content": [block]} for block in blocks]
    given = translate(tool("a"), tool("m", defer_loading=True), messages=messages)
    assert [found["name"] for found in given] == names


def test_the_names_of_a_request():
    """Those of tools that are not sent included, and those that only the history has."""
    called = {"type": "tool_use", "id": "c", "name": "called", "input": {}}
    blocks = [called, ADD, DEFINE, {"type": "compaction", "tool_changes": [ADD]}]
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": blocks}, referring("loaded")]
    found = list_names(body(tool("a"), tool("later", defer_loading=True), SEARCH, messages=messages))
    assert list(found) == ["a", "later", "search", "called", "m", "new", "m", "loaded"]


def test_a_tool_search_loads_all_deferred_tools():
    search = {"type": "tool_search_tool_regex_20251119", "name": "search"}
    given = translate(tool("z", defer_loading=True), search, tool("a"))
    assert [found["name"] for found in given] == ["a", "z"]


def test_only_deferred_tools():
    fields = body(tool("a", defer_loading=True), tool_choice={"type": "any"})
    assert read_tools(fields) == []
    assert to_tool_choice(fields, []) == {}


SEARCH = {"type": "web_search_20250305", "name": "search"}


@pytest.mark.parametrize(
    ("choice", "wanted", "parallel"),
    [
        pytest.param(None, "auto", True, id="absent"),
        pytest.param({"type": "auto"}, "auto", True, id="tool-choice-auto"),
        pytest.param({"type": "any"}, "required", True, id="tool-choice-any"),
        pytest.param({"type": "none"}, "none", True, id="tool-choice-none"),
        pytest.param(
            {"type": "tool", "name": "Bash"}, {"type": "function", "name": "Bash"}, True, id="tool-choice-tool"
        ),
        pytest.param(
            {"type": "tool", "name": LONG}, {"type": "function", "name": shorten(LONG)}, True, id="long-tool-name"
        ),
        pytest.param({"type": "tool", "name": "search"}, {"type": "web_search"}, True, id="web-search-tool"),
        pytest.param("auto", "auto", True, id="string"),
        pytest.param("any", "required", True, id="string-any"),
        pytest.param({"type": "auto", "disable_parallel_tool_use": True}, "auto", False, id="parallel-calls"),
        pytest.param({"type": "any", "disable_parallel_tool_use": False}, "required", True, id="parallel-calls-false"),
    ],
)
def test_tool_choice(choice, wanted, parallel):
    fields = body(tool("Bash"), tool(LONG), SEARCH, tool_choice=choice)
    assert to_tool_choice(fields, read_tools(fields)) == {"tool_choice": wanted, "parallel_tool_calls": parallel}


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        pytest.param(
            {"type": "tool", "name": "Gone"},
            "tool_choice.name: 'Gone' is not a tool of this request",
            id="choice-of-an-unknown-tool",
        ),
        ({"type": "tool"}, "tool_choice.name: required"),
        ({"type": "some"}, "tool_choice.type: must be auto, any, tool or none"),
        ({}, "tool_choice.type: required"),
        (5, "tool_choice: must be an object"),
        ([], "tool_choice: must be an object"),
        (
            {"type": "auto", "disable_parallel_tool_use": "x"},
            "tool_choice.disable_parallel_tool_use: must be true or false",
        ),
    ],
)
def test_wrong_choices(choice, message):
    fields = body(tool("Bash"), tool_choice=choice)
    with pytest.raises(RequestInvalid) as error:
        to_tool_choice(fields, read_tools(fields))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": None}, "tools[0].name: required"),
        ({"name": ["x"]}, "tools[0].name: must be a string"),
        ({"name": "x", "description": 5}, "tools[0].description: must be a string"),
        ({"name": "x", "type": 5}, "tools[0].type: must be a string"),
        ({"name": "x", "defer_loading": "yes"}, "tools[0].defer_loading: must be true or false"),
        (
            {**SEARCH, "allowed_domains": ["a"], "blocked_domains": ["b"]},
            "tools[0].blocked_domains: can't be combined with allowed_domains",
        ),
        ({**SEARCH, "allowed_domains": "a"}, "tools[0].allowed_domains: must be a list of strings"),
    ],
)
def test_wrong_tools(given, message):
    with pytest.raises(RequestInvalid) as error:
        translate(given)
    assert str(error.value) == message
