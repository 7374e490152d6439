"""Nothing is lost silently: what of a request does not reach the backend's body stands in the ledger.

A mark goes to every place of a request: as a value, inside a list or an object, and as a field that nobody knows. It is
then in the body, or its path is in the ledger, or the request is refused.
"""

import re

import pytest
from support import chat_bodies, responses_bodies
from support.any_json import list_paths, put
from support.bodies import CLOSED, TAG, TURNS, claude_code_body, image, text
from support.chat_bodies import assistant, custom_call, tool, tool_call, user
from support.responses_bodies import CODEX_TOOLS, FUNCTION, IMAGE, PARAMETERS, call, message, output, reasoning, sdk

from codexd.errors import RequestInvalid
from codexd.jsontext import dumps
from codexd.translation.client_api import Target
from codexd.translation.messages.request import parse
from codexd.translation.models.catalogue import BUILT_IN

MARK = "mark7f3a"
PLACE = {"type": "approximate", "city": "Berlin"}

MESSAGES = {
    **claude_code_body(len(TURNS)),
    "tool_choice": {"type": "tool", "name": "Bash"},
    "output_format": {"type": "json_schema", "schema": CLOSED},
    "stop_sequences": ["stop"],
}
MESSAGES["messages"] = [
    {
        "role": "user",
        "content": [
            {
                "type": "document",
                "title": "t",
                "context": "c",
                "source": {"type": "text", "media_type": "text/plain", "data": "d"},
            },
            {"type": "document", "title": "t", "source": {"type": "content", "content": [text("in a document")]}},
            {"type": "search_result", "source": "s", "title": "t", "content": [text("found")]},
            image(),
        ],
    },
    *MESSAGES["messages"],
]
MESSAGES["tools"] = [
    *MESSAGES["tools"],
    {
        "name": "Full",
        "description": "d",
        "strict": False,
        "input_examples": [{"a": 1}],
        "cache_control": {"type": "ephemeral"},
        "input_schema": {
            "$schema": "s",
            "type": "object",
            "properties": {"a": {"type": "array", "prefixItems": [{"type": "string"}]}, "b": {"pattern": "^a"}},
            "required": ["a"],
        },
    },
    {
        "type": "web_search_20250305",
        "name": "web_search",
        "allowed_domains": ["a.example"],
        "user_location": PLACE,
    },
]
CHAT = chat_bodies.ask(
    chat_bodies.system("s"),
    user([chat_bodies.text("hi"), chat_bodies.image(detail="low")]),
    assistant("a", tool_call(), custom_call("call_2"), refusal="no"),
    tool(),
    tool("call_2", [chat_bodies.text("x")]),
    assistant(None, function_call={"name": "g", "arguments": "{}"}),
    {"role": "function", "name": "g", "content": "r"},
    user("json"),
    tools=[
        chat_bodies.function(description="d", parameters=PARAMETERS, strict=False),
        {
            "type": "custom",
            "custom": {
                "name": "patch",
                "description": "d",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}},
            },
        },
        {
            "type": "web_search",
            "search_context_size": "low",
            "filters": {"allowed_domains": ["a"]},
            "user_location": {"type": "approximate", "approximate": {"city": "Berlin"}},
        },
    ],
    tool_choice={"type": "function", "function": {"name": "bash"}},
    parallel_tool_calls=True,
    response_format={
        "type": "json_schema",
        "json_schema": {"name": "n", "description": "d", "schema": PARAMETERS, "strict": False},
    },
    reasoning={"effort": "low", "summary": "auto"},
    verbosity="low",
    stream=True,
    stream_options={"include_usage": True},
    stop=["stop"],
    max_tokens=9,
    n=1,
    modalities=["text"],
    prompt_cache_key="k",
    user="u",
    seed=1,
)
RESPONSES = sdk(
    [
        {"role": "system", "content": "s"},
        message("user", "hi"),
        {"role": "user", "content": [IMAGE, {**IMAGE, "image_url": {"url": IMAGE["image_url"]}}]},
        reasoning(),
        call(id="fc_1"),
        output(id="fco_1"),
        message("assistant", "a"),
        message("user", "b"),
        {"type": "additional_tools", "tools": [FUNCTION]},
    ],
    instructions="I",
    tools=[
        *CODEX_TOOLS,
        {"type": "function", "function": {"name": "g", "description": "d", "parameters": PARAMETERS}},
    ],
    tool_choice={"type": "function", "name": "exec_command"},
    parallel_tool_calls=True,
    reasoning={"effort": "low", "summary": "auto"},
    text={"verbosity": "low", "format": {"type": "json_schema", "name": "a", "schema": PARAMETERS}},
    include=["reasoning.encrypted_content"],
    service_tier="fast",
    stream_options={"reasoning_summary_delivery": "sequential_cutoff"},
    prompt_cache_key="k",
    client_metadata={"a": "b"},
    metadata={"a": "b"},
    max_output_tokens=9,
)
USED_BY_CODEXD = {
    "messages": re.compile(
        r"model|stop_sequences.*"
        r"|.*\.media_type"  # the data itself says what it is
        r"|.*\.thinking"  # part of the signature
        r"|tools\[1\]\.name"  # deferred: under another name, nothing loads it
    ),
    "chat": re.compile(r"model|stop\b.*|prompt_cache_key"),
    "responses": re.compile(r"model"),
}
"""The places whose values have their effect without being sent."""

APIS = {
    "messages": (lambda body: parse(dumps(body), {}), MESSAGES),
    "chat": (chat_bodies.read, CHAT),
    "responses": (responses_bodies.read, RESPONSES),
}


def list_marked(body):
    """The path of each mark, and ``body`` with it."""
    yield ("unknown",), {**body, "unknown": MARK}
    for path in list_paths(body):
        node = body
        for name in path:
            node = node[name]
        yield path, put(body, path, {"unknown": MARK})
        yield path, put(body, path, [MARK])
        if isinstance(node, dict):
            yield (*path, "unknown"), put(body, path, {**node, "unknown": MARK})
        elif isinstance(node, list):
            for value in (MARK, {"type": MARK}, {"type": "text", "unknown": MARK}):
                yield (*path, len(node)), put(body, path, [*node, value])
        else:
            yield path, put(body, path, MARK)


def show(path):
    return "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in path).removeprefix(".")


def is_covered(path, losses):
    return any(path == at or path.startswith((f"{at}.", f"{at}[")) or at.startswith(path) for at in losses)


@pytest.mark.parametrize("api", APIS)
def test_a_mark_anywhere_is_sent_or_in_the_ledger_or_refused(api):
    read, whole = APIS[api]
    lost, sent = set(), 0
    for path, body in list_marked(whole):
        try:
            request = read(body)
            translated = request.to_backend(Target(BUILT_IN.describe("gpt-5.5"), TAG))
        except RequestInvalid:
            continue
        sent += 1
        at = show(path)
        if MARK.encode() not in dumps(translated) and not is_covered(at, [loss.path for loss in request.losses]):
            lost.add(at)
    assert sent > 100
    assert not {path for path in lost if not USED_BY_CODEXD[api].fullmatch(path)}


def test_the_requests_themselves_are_fine():
    for read, whole in APIS.values():
        request = read(whole)
        request.to_backend(Target(BUILT_IN.describe("gpt-5.5"), TAG))
