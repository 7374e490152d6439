"""Messages requests and what they must become, in short words."""

import base64
import copy
import json

from support.media import PAPER, make_image

from codexd.jsontext import dumps
from codexd.simulator.checks import check_body
from codexd.simulator.options import Options
from codexd.simulator.prompts import seal_reasoning
from codexd.translation.client_api import Target
from codexd.translation.messages.request import parse
from codexd.translation.models.catalogue import BUILT_IN
from codexd.translation.reading.reasoning import Reasoning, seal, tag_account
from codexd.web.caller import find_caller

ACCOUNT = "account-1"
TAG = tag_account(ACCOUNT)
PNG = base64.b64encode(make_image("PNG")).decode()
PDF = base64.b64encode(PAPER).decode()
SESSION = "11111111-1111-4111-8111-111111111111"
HI = [{"role": "user", "content": "hi"}]
HI_ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}


def make(messages=HI, **fields):
    return {"model": "claude-opus-5", "max_tokens": 1024, "messages": messages, **fields}


def client_of(headers):
    return find_caller("/v1/messages", "", headers).client


def translate(body, *, headers=None, model="gpt-5.5", **options):
    request = parse(dumps(body), headers or {}, client_of(headers or {}))
    return request.to_backend(Target(BUILT_IN.describe(model), **{"account_tag": TAG, **options}))


def input_of(*messages, **options):
    return translate(make([{"role": role, "content": content} for role, content in messages]), **options)["input"]


def text(words):
    return {"type": "text", "text": words}


def use(call_id="call_1", name="Bash", **arguments):
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id="call_1", content="done", **fields):
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **fields}


def thinking(item_id="rs_1", model="gpt-5.5", tag=TAG, words=""):
    enc = seal_reasoning(ACCOUNT, item_id)
    return {"type": "thinking", "thinking": words, "signature": seal(Reasoning(item_id, enc, model, tag))}


def image(media_type="image/png", data=PNG):
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def item(role, *words):
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": word} for word in words]}


def call(call_id="call_1", name="Bash", arguments="{}"):
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id="call_1", value="done"):
    return {"type": "function_call_output", "call_id": call_id, "output": value}


def reasoning(item_id="rs_1"):
    return {"type": "reasoning", "summary": [], "encrypted_content": seal_reasoning(ACCOUNT, item_id)}


BLOCK = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
LONG_ID = "call_" + "x" * 150
CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
TURNS = [
    [
        {"role": "user", "content": [text("<system-reminder>d</system-reminder>"), text("say hi")]},
        {"role": "system", "content": [BLOCK]},
    ],
    [
        {
            "role": "assistant",
            "content": [thinking("rs_1"), text("Looking."), use("c1"), use("c2", "mcp__x__" + "y" * 80)],
        },
        {"role": "user", "content": [result("c2"), result("c1", [text("r"), image()])]},
    ],
    [
        {"role": "assistant", "content": [thinking("rs_2"), use("c3", "ToolSearch")]},
        {
            "role": "user",
            "content": [result("c3", [{"type": "tool_reference", "tool_name": "Mail"}]), text("Tool loaded.")],
        },
    ],
    [
        {"role": "assistant", "content": [use("c4", "Mail")]},
        {"role": "user", "content": [result("c4", "no", is_error=True)]},
        {"role": "system", "content": "later"},
    ],
    [{"role": "assistant", "content": "bye"}, {"role": "user", "content": "bye"}],
]
PLAIN_TOOLS = [
    {"name": name, "input_schema": {"type": "object", "properties": {}}}
    for name in ("Bash", "ToolSearch", "Write", "mcp__x__" + "y" * 80)
]
DEFERRED = {"name": "Mail", "description": "d", "input_schema": {}, "defer_loading": True}


def claude_code_body(turns):
    """What Claude Code sends: the mark of the cache moves, blocks become strings, loaded tools come in the middle."""
    messages = copy.deepcopy([message for turn in TURNS[:turns] for message in turn])
    for message in messages[:-1]:
        if message["content"] == [BLOCK]:
            message["content"] = "x"
    tools = [*PLAIN_TOOLS[:1], DEFERRED, *PLAIN_TOOLS[1:]] if turns > 2 else PLAIN_TOOLS
    return make(
        messages,
        stream=True,
        system=[text(f"x-anthropic-billing-header: cch={turns}"), text("You are."), {**BLOCK, "text": "Main."}],
        tools=tools,
        thinking={"type": "adaptive", "display": "omitted"},
        output_config={"effort": "medium"},
        metadata={"user_id": json.dumps({"device_id": "ab", "session_id": SESSION})},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    )


def check_prefix(earlier, later):
    assert dumps(later["input"][: len(earlier["input"])]) == dumps(earlier["input"])
    assert dumps(later.get("tools", [])[: len(earlier.get("tools", []))]) == dumps(earlier.get("tools", []))
    for name in ("instructions", "prompt_cache_key", "reasoning", "tool_choice"):
        assert later.get(name) == earlier.get(name)


def check_accepted(body):
    refusal = check_body(json.loads(dumps(body)), account_id=ACCOUNT, options=Options())
    assert refusal is None, refusal.body
