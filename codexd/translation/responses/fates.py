"""What happens to every field of a Responses request from an SDK. The Codex CLI's requests bypass these tables.

A test compares the tables with OpenAI's SDK. Items and tools of a type without a row go to the backend unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codexd.translation.chat import fates as chat
from codexd.translation.reading.fates import (
    CARRIED,
    NO_SAMPLING,
    Fate,
    Rule,
    Shape,
    Table,
    approximated,
    carried,
    cosmetic,
    dropped,
    plain,
    refused,
)
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.openai_parts import NOT_SENT, REASONING

KEEPS_NOTHING = "neither codexd nor the backend stores responses for a ChatGPT plan; send the whole input each time"
REMEMBERED = "from what codexd has sent within a day and since its start"
HOSTED = "runs on OpenAI's API platform and is not available on a ChatGPT plan"
FILES = refused("is a file on OpenAI's API platform; send its data instead")
OWN_CACHE = "the backend caches by itself"
_CACHE_MARK = {"prompt_cache_breakpoint": cosmetic(OWN_CACHE)}
_NO_PROGRAMS = {
    "allowed_callers": dropped("the backend has no code execution that calls tools", ["direct"], []),
    "defer_loading": approximated("the tool is loaded at once", False),
}

REQUEST = plain(
    "model",
    "stream",
    "instructions",
    "tool_choice",
    "prompt_cache_key",
    "client_metadata",
    parallel_tool_calls=carried("if there are tools"),
    input=carried(inside="item"),
    messages=carried("as input, its name in this API", inside="item"),
    tools=carried(inside="tool"),
    reasoning=carried(inside="reasoning"),
    text=carried(inside="text"),
    stream_options=carried(inside="stream_options"),
    include=carried("the names that the backend knows"),
    response_format=carried("as text.format, its newer name"),
    service_tier=carried("priority and fast, if the model offers the tier"),
    store=approximated("the backend stores nothing; codexd remembers the answer for a day, in memory", False),
    max_output_tokens=carried("applied by codexd to the visible text, because the backend accepts no limit"),
    max_completion_tokens=dropped("the backend accepts no limit"),
    max_tokens=dropped("the backend accepts no limit"),
    max_tool_calls=dropped("the backend accepts no limit"),
    temperature=dropped(NO_SAMPLING, 1),
    top_p=dropped(NO_SAMPLING, 1),
    top_logprobs=dropped("the backend has no log probabilities", 0),
    truncation=dropped("the backend never truncates the input", "disabled"),
    context_management=dropped("the backend does not compact by itself; use POST /v1/responses/compact", []),
    metadata=dropped("the backend stores no responses for it to describe", {}),
    moderation=dropped("the backend has no such option"),
    access_programs=dropped("belongs to OpenAI's API platform"),
    image=dropped("the backend has no such option"),
    background_options=dropped("the backend runs nothing in the background"),
    user=cosmetic("belongs to OpenAI's API platform"),
    safety_identifier=cosmetic("belongs to OpenAI's API platform"),
    prompt_cache_retention=cosmetic(OWN_CACHE),
    prompt_cache_options=cosmetic(OWN_CACHE),
    background=refused("the backend runs nothing in the background; use stream", False),
    conversation=refused(KEEPS_NOTHING),
    previous_response_id=carried(REMEMBERED),
    prompt=refused("is a template on OpenAI's API platform; send its text instead"),
)

_NO_REASONING = approximated("left out: a Responses client sends reasoning as items")
CHAT_FIELDS: Mapping[str, Rule] = {
    **{name: rule for name, rule in chat.MESSAGES["assistant"].fields.items() if name != "content"},
    **dict.fromkeys(("reasoning", "reasoning_content", "reasoning_details"), _NO_REASONING),
    "tool_call_id": CARRIED,
}
"""Fields of messages in the form of Chat Completions, which are sent in other ways or not at all."""

_MESSAGE = Shape(CARRIED, {**CHAT_FIELDS, "content": carried(inside="part")}, other=CARRIED)
_ITEM_OUTPUT = Shape(CARRIED, {"output": carried(inside="part")}, other=CARRIED)

ITEMS: Mapping[str, Shape] = {
    "": _MESSAGE,
    "message": _MESSAGE,
    "function_call_output": _ITEM_OUTPUT,
    "custom_tool_call_output": _ITEM_OUTPUT,
    "item_reference": Shape(carried(REMEMBERED), other=CARRIED),
}

_TOOL = plain("name", "description", **_NO_PROGRAMS, **{"async": dropped("the backend has no such option", False)})
_SEARCH = plain(
    "search_context_size",
    "user_location",
    "filters",
    "external_web_access",
    "indexed_web_access",
    "search_content_types",
)
TOOLS: Mapping[str, Shape] = {
    "function": Shape(
        CARRIED,
        {
            **_TOOL.fields,
            "parameters": CARRIED,
            "input_schema": chat.INPUT_SCHEMA,
            "strict": CARRIED,
            "function": carried(inside="function"),
            "output_schema": dropped("the backend accepts no schema for results"),
        },
    ),
    "custom": Shape(CARRIED, {**_TOOL.fields, "format": CARRIED}),
    "web_search*": _SEARCH,
    "file_search": Shape(refused(HOSTED)),
    "code_interpreter": Shape(refused(HOSTED)),
    "computer*": Shape(refused(HOSTED)),
    "mcp": Shape(refused("needs an MCP client on OpenAI's servers; let your client call your MCP servers")),
}

_INPUT_PART = {
    **_CACHE_MARK,
    "cache_control": cosmetic(OWN_CACHE),
    "image_url": carried(inside="image_url"),
    "file": carried(inside="file"),
    "file_id": FILES,
    "file_url": refused("can't be loaded by the backend; send file_data instead"),
}
_OF_OTHERS = ("text", "image_url", "file", "image", "document", "search_result", "tool_use", "tool_result", *REASONING)
_WHOLE = Shape(CARRIED, other=CARRIED)
_PARTS: Mapping[str, Shape] = {
    **{kind: chat.PARTS[kind] for kind in _OF_OTHERS},
    **dict.fromkeys(("thinking", "redacted_thinking"), chat.PARTS[REASONING[0]]),
    **dict.fromkeys(("output_*", "refusal", "computer_screenshot", "encrypted_content"), _WHOLE),
}
_BLOCK_TABLES = ("block", "image_source", "document_source", "tool_change")
_CHAT_TABLES = ("image_url", "file", "call", "called", "custom_called", *_BLOCK_TABLES)

TABLES: Mapping[str, Table] = {
    "request": Table({"": REQUEST}),
    "item": Table(ITEMS, unknown=CARRIED),
    "part": Table({**_PARTS, "input_*": Shape(CARRIED, _INPUT_PART, other=CARRIED)}, unknown=refused(NOT_SENT)),
    **{name: chat.TABLES[name] for name in _CHAT_TABLES},
    "tool": Table(TOOLS, unknown=CARRIED),
    "function": Table({"": plain("name", "description", "parameters", "strict", input_schema=chat.INPUT_SCHEMA)}),
    "reasoning": Table(
        {
            "": plain(
                "summary",
                "context",
                "mode",
                effort=carried("as the nearest lower level that the model offers"),
                generate_summary=carried("as summary, its newer name"),
            )
        }
    ),
    "text": Table({"": plain("format", "verbosity")}),
    "stream_options": Table(
        {"": plain("reasoning_summary_delivery", include_obfuscation=cosmetic("the backend has no such option"))}
    ),
}


def keep(fields: Fields, shape: Shape) -> dict[str, Any]:
    """The fields of an object that ``shape`` carries. A null field counts as missing."""
    kept = {name: value for name, value in fields.value.items() if value is not None}
    return {name: value for name, value in kept.items() if _is_carried(shape.fields.get(name, shape.other))}


def _is_carried(rule: Rule) -> bool:
    return rule.fate is Fate.CARRIED


def find_tool_shape(kind: str) -> Shape | None:
    """The shape of a tool type; None if such tools go to the backend unchanged."""
    return TABLES["tool"].find(kind)
