"""What happens to every field of a Messages request. A test compares the tables with the types of Anthropic's SDK."""

from __future__ import annotations

from collections.abc import Mapping

from codexd.translation.reading import openai_parts
from codexd.translation.reading.fates import (
    APPROXIMATE,
    CARRIED,
    NO_SAMPLING,
    UNKNOWN,
    Rule,
    Shape,
    Table,
    approximated,
    carried,
    cosmetic,
    dropped,
    essential,
    plain,
    refused,
)

ELSEWHERE = "runs on Anthropic's servers and is not available through codexd"
DESCRIBE = "is not supported by codexd; describe it as a tool of your own"
OWN_SEARCH = "one of codexd's own searches; any other is sent as a short text"
CACHE = {"cache_control": cosmetic("the backend caches by itself, under a key that codexd gives it")}
CALLER = {"caller": dropped("the backend has no code execution that calls tools", {"type": "direct"})}
TOOLSET = {"toolset_name": dropped("the backend has no toolsets")}
CITATIONS = dropped("the backend does not cite documents", {"enabled": False}, {})
TOOL = {
    **CACHE,
    "name": CARRIED,
    "defer_loading": CARRIED,
    "allowed_callers": dropped("the backend has no code execution that calls tools", ["direct"], []),
}
CLIENT_TOOL = {
    **TOOL,
    "strict": carried("if the schema meets the backend's rules for strict mode"),
    "input_examples": approximated("written into the description", []),
}
NO_THREADS = essential(
    "needs a conversation on Anthropic's servers; send all messages instead "
    "(capability_rejected: beta_header:message-threads-2026-08-12)"
)
"""Claude Code looks for the words in brackets: it then sends the whole conversation, and no threads any more."""

DOMAINS = {"allowed_domains": CARRIED, "blocked_domains": approximated("written into the instructions", [])}
WRITTEN = approximated("sent as a function with a schema written by codexd; the client runs it as before")


def _whole(rule: Rule, *names: str, **fields: Rule) -> Shape:
    return Shape(rule, {**CACHE, **dict.fromkeys(names, CARRIED), **fields})


AS_TEXT = approximated("sent as a short text, because the backend has no such server tool")

REQUEST = plain(
    "model",
    "stream",
    max_tokens=carried("applied by codexd to the visible answer, because the backend accepts no limit"),
    stop_sequences=carried("applied by codexd to the visible answer, because the backend accepts none"),
    messages=carried(inside="message"),
    system=carried(inside="block"),
    tools=carried(inside="tool"),
    tool_choice=carried(inside="tool_choice"),
    thinking=carried(inside="thinking"),
    output_config=carried(inside="output_config"),
    output_format=carried(inside="format"),
    metadata=carried(inside="metadata"),
    service_tier=dropped("a ChatGPT plan has only priority", "priority", "fast", "auto", "standard_only"),
    speed=dropped("the backend has only fast, as its tier priority", "fast", "standard"),
    context_management=carried(inside="context_management"),
    thread=carried(inside="thread"),
    temperature=dropped(NO_SAMPLING, 1),
    top_p=dropped(NO_SAMPLING, 1),
    top_k=dropped(NO_SAMPLING),
    betas=cosmetic("codexd does not depend on them"),
    **CACHE,
    compaction=dropped("the backend has no server-side compaction"),
    fallbacks=dropped("codexd's own settings name the models to fall back on", [], "default"),
    fallback_credit_token=dropped("a ChatGPT account has no fallback credit"),
    billing_policy=dropped("requests are paid for by a ChatGPT plan"),
    diagnostics=dropped("the backend has no cache diagnostics"),
    inference_geo=dropped("the backend does not let clients choose a region"),
    safeguards=dropped("the backend does not judge tool calls", []),
    user_profile_id=dropped("belongs to Anthropic's API"),
    workspace_id=dropped("belongs to Anthropic's API"),
    container=refused(ELSEWHERE),
    mcp_servers=refused("not available through codexd; let the client call your MCP servers", []),
)

MESSAGE = plain(
    "role",
    "clear_at",
    content=carried(inside="block"),
    output_config=carried("the effort in a system message", inside="output_config"),
)

BLOCKS: Mapping[str, Shape] = {
    "text": _whole(CARRIED, "text", citations=cosmetic("names the source of the text; the text itself stays")),
    "image": _whole(
        CARRIED,
        source=carried(inside="image_source"),
        transformations=dropped("the backend decides how to scale images", {}, {"oversized_image": "downsize"}),
    ),
    "document": _whole(CARRIED, "title", "context", source=carried(inside="document_source"), citations=CITATIONS),
    "search_result": _whole(CARRIED, "title", "source", content=carried(inside="block"), citations=CITATIONS),
    "thinking": plain(
        thinking=carried("as part of the signature"),
        signature=carried("holds the encrypted reasoning; left out if the account or model can't read it"),
    ),
    "redacted_thinking": plain("data"),
    "tool_use": _whole(CARRIED, "id", "name", "input", **CALLER, **TOOLSET),
    "tool_result": _whole(
        CARRIED,
        "tool_use_id",
        content=carried(inside="block"),
        is_error=carried("the result then starts with Error:"),
        **TOOLSET,
    ),
    "tool_reference": _whole(carried("loads the tool"), "tool_name"),
    "tool_addition": _whole(CARRIED, tool=carried(inside="tool_change")),
    "tool_removal": _whole(CARRIED, tool=carried(inside="tool_change")),
    "server_tool_use": _whole(carried(OWN_SEARCH), "id", "name", "input", **CALLER),
    "web_search_tool_result": _whole(carried(OWN_SEARCH), "tool_use_id", "content", **CALLER),
    "web_fetch_tool_result": _whole(AS_TEXT, "tool_use_id", "content", **CALLER),
    "code_execution_tool_result": _whole(AS_TEXT, "tool_use_id", "content"),
    "bash_code_execution_tool_result": _whole(AS_TEXT, "tool_use_id", "content"),
    "text_editor_code_execution_tool_result": _whole(AS_TEXT, "tool_use_id", "content"),
    "tool_search_tool_result": _whole(AS_TEXT, "tool_use_id", "content"),
    "advisor_tool_result": _whole(AS_TEXT, "tool_use_id", "content"),
    "mcp_tool_use": _whole(AS_TEXT, "id", "name", "input", "server_name"),
    "mcp_tool_result": _whole(AS_TEXT, "tool_use_id", "content", "is_error"),
    "mcp_tool_listing": _whole(AS_TEXT, "mcp_server_name", "tools"),
    "browser_state": _whole(approximated("sent as a short text"), "tabs", "state_changes"),
    "compaction": _whole(
        carried("the summary is sent as user text, and everything before it is left out"),
        "content",
        tool_changes=carried(inside="block"),
        encrypted_content=dropped("only Anthropic's servers can read it"),
        signature=cosmetic("only Anthropic's servers can check it"),
    ),
    "fallback": Shape(cosmetic("says only which model answered")),
    "container_upload": Shape(essential("is a file on Anthropic's servers; send its content instead")),
}

PLACE = plain("city", "region", "country", "timezone")
_SEARCH = {
    **TOOL,
    **DOMAINS,
    "name": cosmetic("the backend has its own name for it"),
    "user_location": carried(inside="location"),
    "max_uses": dropped("the backend has no limit on searches"),
    "response_inclusion": dropped("the backend has no such option"),
    "strict": cosmetic("the backend uses its own tool"),
}
TOOLS: Mapping[str, Shape] = {
    "": Shape(
        CARRIED,
        {
            **CLIENT_TOOL,
            "description": CARRIED,
            "input_schema": CARRIED,
            "eager_input_streaming": cosmetic("the backend always streams the input"),
        },
    ),
    "web_search_*": Shape(CARRIED, _SEARCH),
    "bash_*": Shape(WRITTEN, CLIENT_TOOL),
    "text_editor_*": Shape(WRITTEN, {**CLIENT_TOOL, "max_characters": CARRIED}),
    "memory_*": Shape(WRITTEN, CLIENT_TOOL),
    "tool_search_tool_*": Shape(approximated("all deferred tools are loaded at once")),
    "advisor_*": Shape(dropped("the backend has no advisor model")),
    "code_execution_*": Shape(refused(ELSEWHERE)),
    "web_fetch_*": Shape(refused(ELSEWHERE)),
    "computer_*": Shape(refused(DESCRIBE)),
    "browser_*": Shape(refused(DESCRIBE)),
    "function": Shape(
        refused("is OpenAI's form of a tool; send its name, description and input_schema, without a type")
    ),
    "mcp_toolset": Shape(refused("needs an MCP client on Anthropic's servers; let the client call your MCP servers")),
}
TOOLS = {"custom": TOOLS[""], **TOOLS}

_THINKING = {"display": CARRIED, "block_binding": dropped("the backend binds reasoning to its model by itself")}

TABLES: Mapping[str, Table] = {
    "request": Table({"": REQUEST}),
    "message": Table({"": MESSAGE}),
    "block": Table({**openai_parts.SHAPES, **BLOCKS}, unknown=refused(openai_parts.NOT_SENT)),
    **openai_parts.TABLES,
    "image_source": Table(
        {
            "base64": plain("data", "media_type"),
            "url": plain("url"),
            "file": Shape(refused("is a file on Anthropic's servers; send base64 or url")),
        },
        leaves_refusals=True,
    ),
    "document_source": Table(
        {
            "base64": plain("data", "media_type"),
            "text": plain("data", "media_type"),
            "content": plain(content=carried(inside="block")),
            "url": Shape(refused("can't be fetched by the backend; send base64, text or content")),
            "file": Shape(refused("is a file on Anthropic's servers; send base64, text or content")),
        },
        leaves_refusals=True,
    ),
    "tool": Table(TOOLS, unknown=refused(ELSEWHERE)),
    "location": Table({"": PLACE, "approximate": PLACE}, unknown=APPROXIMATE),
    "tool_change": Table(
        {
            "tool_reference": plain("name"),
            "tool_definition": plain(definition=carried(inside="tool")),
            "mcp_tool_reference": Shape(dropped("the backend can't call your MCP servers")),
            "mcp_toolset_reference": Shape(dropped("the backend can't call your MCP servers")),
        }
    ),
    "tool_choice": Table(
        {
            "auto": plain("disable_parallel_tool_use"),
            "any": plain("disable_parallel_tool_use"),
            "tool": plain("name", "disable_parallel_tool_use"),
            "none": plain("disable_parallel_tool_use"),
        }
    ),
    "thinking": Table(
        {
            "enabled": plain(budget_tokens=approximated("sent as an effort level"), **_THINKING),
            "adaptive": plain(**_THINKING),
            "between_tools": Shape(approximated("treated as adaptive"), _THINKING),
            "disabled": plain(),
        }
    ),
    "output_config": Table(
        {
            "": plain(
                effort=carried("as the nearest lower level that the model offers"),
                format=carried(inside="format"),
                task_budget=dropped("the backend has no token budget for a task"),
            )
        }
    ),
    "format": Table({"json_schema": plain("schema")}),
    "metadata": Table({"": plain(user_id=cosmetic("only a session in it is used, for the cache key"))}),
    "context_management": Table({"": plain(edits=carried(inside="edit"))}),
    "edit": Table(
        {
            "clear_thinking_*": plain(keep=dropped("all earlier reasoning stays", "all")),
            "clear_tool_uses_*": Shape(dropped("all earlier tool results stay")),
            "compact_*": Shape(dropped("the backend has no server-side compaction")),
        },
        unknown=UNKNOWN,
    ),
    "thread": Table(
        {"create": Shape(dropped("codexd keeps no conversations")), "continue": Shape(NO_THREADS)}, unknown=NO_THREADS
    ),
}
