"""Responses requests for tests: those of SDKs, and the shapes that the Codex CLI 0.171.0 was seen to send."""

import json

from support.bodies import ACCOUNT, PNG, TAG

from codexd.simulator.checks import check_body
from codexd.simulator.options import Options
from codexd.simulator.prompts import seal_reasoning
from codexd.translation.client_api import Target
from codexd.translation.models.catalogue import BUILT_IN
from codexd.translation.reading.reasoning import ReasoningOwners
from codexd.translation.responses.memory import AnswerMemory
from codexd.translation.responses.request import Recall, parse
from codexd.web.caller import find_caller

THREAD = "01a2214d-e41b-70e3-8703-2758d49209af"
CODEX_HEADERS = {
    "user-agent": "codex_exec/0.171.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.171.0)",
    "originator": "codex_exec",
    "session-id": THREAD,
    "thread-id": THREAD,
    "x-client-request-id": THREAD,
    "x-codex-window-id": f"{THREAD}:0",
    "x-codex-turn-metadata": '{"request_kind":"turn"}',
    "x-codex-beta-features": "remote_compaction_v2",
}


def message(role, text, **more):
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}], **more}


def reasoning(item_id="rs_1", **more):
    sealed = seal_reasoning(ACCOUNT, item_id)
    return {"type": "reasoning", "id": item_id, "summary": [], "encrypted_content": sealed, **more}


def call(call_id="call_1", name="exec_command", **more):
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": '{"cmd":"ls"}', **more}


def output(call_id="call_1", value="a.txt", **more):
    return {"type": "function_call_output", "call_id": call_id, "output": value, **more}


PARAMETERS = {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]}
FUNCTION = {
    "type": "function",
    "name": "exec_command",
    "description": "Runs",
    "strict": False,
    "parameters": PARAMETERS,
}
IMAGE = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}

_CODEX = {
    "model": "gpt-5.5",
    "stream": True,
    "store": False,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium"},
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": THREAD,
    "text": {"verbosity": "low"},
    "client_metadata": {"session_id": THREAD, "thread_id": THREAD},
}
_OPENING = [
    message("developer", "You are a coding agent.", id="msg_1"),
    message("user", "<environment_context/>", id="msg_2"),
    message("user", "list the files", id="msg_3"),
]
CODEX_TOOLS = [
    FUNCTION,
    {
        "type": "custom",
        "name": "apply_patch",
        "description": "d",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
    },
    {"type": "namespace", "name": "web", "description": "d", "tools": [{**FUNCTION, "name": "run"}]},
    {"type": "tool_search", "execution": "client", "description": "d", "parameters": PARAMETERS},
    {"type": "web_search", "external_web_access": True},
    {"type": "local_shell"},
]
CODEX_TURN = {
    **_CODEX,
    "tools": CODEX_TOOLS,
    "input": [
        *_OPENING,
        reasoning("rs_1", content=None),
        call(id="fc_1"),
        output(id="fco_1"),
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "apply_patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "Done"}]},
    ],
}
CODEX_LITE = {
    **_CODEX,
    "model": "gpt-6.1-sol",
    "parallel_tool_calls": False,
    "reasoning": {"effort": "medium", "context": "all_turns"},
    "input": [
        {"type": "additional_tools", "role": "developer", "tools": [CODEX_TOOLS[2]]},
        *_OPENING,
        {"type": "agent_message", "id": "amsg_1", "content": "hi"},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAAx"},
        {"type": "configuration_update", "reasoning": {"effort": "high"}},
    ],
}
CODEX_COMPACTION = {**CODEX_TURN, "input": [*CODEX_TURN["input"], {"type": "compaction_trigger"}]}
CODEX_BODIES = {"turn": CODEX_TURN, "lite": CODEX_LITE, "compaction": CODEX_COMPACTION}


def sdk(items="hi", **fields):
    return {"model": "gpt-5.5", "input": items, **fields}


def read(body, headers=None, owners=None, answers=None, now=0.0):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = headers or {}
    client = find_caller("/v1/responses", "", headers).client
    owners = ReasoningOwners() if owners is None else owners
    answers = AnswerMemory() if answers is None else answers
    return parse(data, headers, client, Recall(owners, answers, now))


def translate(body, headers=None, *, model=None, **aim):
    """The body for the backend; ``model`` is the one that answers."""
    request = read(body, headers)
    return request.to_backend(Target(BUILT_IN.describe(model or request.model), TAG, **aim))


def losses(body, **aim):
    request = read(body)
    request.to_backend(Target(BUILT_IN.describe(request.model), TAG, **aim))
    return {loss.path: loss.kind.value for loss in request.losses}


def find_refusal(body):
    """What the strict backend says against ``body``; None if it takes it."""
    refusal = check_body(json.loads(json.dumps(body)), account_id=ACCOUNT, options=Options())
    return None if refusal is None else refusal.body
