"""What becomes of every field of a Messages request; ``translation.fates`` walks it.

Source: anthropic-translation.md sections 1.2 to 1.9, and the SDK's types, which a test holds against the tables.
"""

from __future__ import annotations

from collections.abc import Mapping

from codexd.translation.reading.fates import (
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
    plain,
    refused,
)

ELSEWHERE = "runs on Anthropic's servers and is not available through codexd"
CACHE = {"cache_control": cosmetic("the backend caches by itself, under the key that codexd gives it")}
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
    "strict": approximated("strict only if the schema has what the backend's strict mode asks for", False),
    "input_examples": approximated("written into the description", []),
}
DOMAINS = {"allowed_domains": CARRIED, "blocked_domains": approximated("written into the instructions", [])}
WRITTEN = approximated("a function with a schema of codexd's")


def _whole(rule: Rule, *names: str, **fields: Rule) -> Shape:
    return Shape(rule, {**CACHE, **dict.fromkeys(names, CARRIED), **fields})


AS_TEXT = approximated("as a short text: its server is not there to call again")

REQUEST = plain(
    "model",
    "stream",
    "max_tokens",
    "stop_sequences",
    messages=carried(inside="message"),
    system=carried(inside="block"),
    tools=carried(inside="tool"),
    tool_choice=carried(inside="tool_choice"),
    thinking=carried(inside="thinking"),
    output_config=carried(inside="output_config"),
    output_format=carried(inside="format"),
    metadata=carried(inside="metadata"),
    service_tier=carried("priority and fast, where the model offers it"),
    speed=carried("fast, as service_tier priority, where the model offers it"),
    context_management=carried(inside="context_management"),
    thread=carried(inside="thread"),
    temperature=dropped(NO_SAMPLING, 1),
    top_p=dropped(NO_SAMPLING, 1),
    top_k=dropped(NO_SAMPLING),
    betas=cosmetic("nothing depends on them here"),
    **CACHE,
    compaction=dropped("the backend has no server-side compaction"),
    fallbacks=dropped("the models to fall back on are set in codexd's settings", [], "default"),
    fallback_credit_token=dropped("a ChatGPT account has no fallback credit"),
    billing_policy=dropped("a ChatGPT plan pays"),
    diagnostics=dropped("the backend gives no cache diagnostics"),
    inference_geo=dropped("the backend has no choice of region"),
    safeguards=dropped("the backend gives no verdict on tool calls, and codexd invents none", []),
    user_profile_id=dropped("belongs to Anthropic's API"),
    workspace_id=dropped("belongs to Anthropic's API"),
    container=refused(ELSEWHERE),
    mcp_servers=refused("the backend can't call your MCP servers; let the client call them", []),
)

MESSAGE = plain(
    "role",
    "clear_at",
    content=carried(inside="block"),
    output_config=carried(inside="output_config"),
)

BLOCKS: Mapping[str, Shape] = {
    "text": _whole(CARRIED, "text", citations=cosmetic("marks where a text came from; the text itself stays")),
    "image": _whole(
        CARRIED,
        source=carried(inside="image_source"),
        transformations=dropped("the backend scales images as it likes", {}, {"oversized_image": "downsize"}),
    ),
    "document": _whole(CARRIED, "title", "context", source=carried(inside="document_source"), citations=CITATIONS),
    "search_result": _whole(CARRIED, "title", "source", content=carried(inside="block"), citations=CITATIONS),
    "thinking": plain("signature", thinking=carried("in the signature, which holds the reasoning itself")),
    "redacted_thinking": plain("data"),
    "tool_use": _whole(CARRIED, "id", "name", "input", **CALLER, **TOOLSET),
    "tool_result": _whole(
        CARRIED,
        "tool_use_id",
        content=carried(inside="block"),
        is_error=carried("as the word Error: before the result"),
        **TOOLSET,
    ),
    "tool_reference": _whole(carried("loads the tool"), "tool_name"),
    "tool_addition": _whole(CARRIED, tool=carried(inside="tool_change")),
    "tool_removal": _whole(CARRIED, tool=carried(inside="tool_change")),
    "server_tool_use": _whole(carried("codexd's own; another's as text"), "id", "name", "input", **CALLER),
    "web_search_tool_result": _whole(carried("codexd's own; another's as text"), "tool_use_id", "content", **CALLER),
    "web_fetch_tool_result": _whole(AS_TEXT, "tool_use_id", "content", **CALLER),
    "code_execution_tool_result": _whole(AS_TEXT, "tool_use_id", "content"),
    "bash_code_execution_tool_result": _whole(AS_TEXT, "tool_use_id", "content"),
    "text_editor_code_execution_tool_result": _whole(AS_TEXT, "tool_use_id", "content"),
    "tool_search_tool_result": _whole(AS_TEXT, "tool_use_id", "content"),
    "advisor_tool_result": _whole(AS_TEXT, "tool_use_id", "content"),
    "mcp_tool_use": _whole(AS_TEXT, "id", "name", "input", "server_name"),
    "mcp_tool_result": _whole(AS_TEXT, "tool_use_id", "content", "is_error"),
    "mcp_tool_listing": _whole(AS_TEXT, "mcp_server_name", "tools"),
    "browser_state": _whole(approximated("as a short text"), "tabs", "state_changes"),
    "compaction": _whole(
        carried("the summary, as a user's text; what stood before it is left out"),
        "content",
        tool_changes=carried(inside="block"),
        encrypted_content=dropped("only Anthropic's servers can read it"),
        signature=cosmetic("only Anthropic's servers can check it"),
    ),
    "fallback": Shape(cosmetic("tells which model answered")),
    "container_upload": Shape(refused("files live on Anthropic's servers; send the content itself")),
}

_SEARCH = {
    **TOOL,
    **DOMAINS,
    "user_location": CARRIED,
    "max_uses": dropped("the backend does not limit its searches"),
    "response_inclusion": dropped("the backend has no such choice"),
    "strict": cosmetic("the backend's own tool"),
}
TOOLS: Mapping[str, Shape] = {
    "": Shape(
        CARRIED,
        {
            **CLIENT_TOOL,
            "description": CARRIED,
            "input_schema": CARRIED,
            "eager_input_streaming": cosmetic("the backend always streams them"),
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
    "computer_*": Shape(refused("has no counterpart that codexd knows; describe it as a tool of your own")),
    "browser_*": Shape(refused("has no counterpart that codexd knows; describe it as a tool of your own")),
    "mcp_toolset": Shape(refused("needs an MCP client on Anthropic's servers; let the client call your MCP servers")),
}
TOOLS = {"custom": TOOLS[""], **TOOLS}

_THINKING = {"display": CARRIED, "block_binding": dropped("the backend binds its reasoning by itself")}

TABLES: Mapping[str, Table] = {
    "request": Table({"": REQUEST}),
    "message": Table({"": MESSAGE}),
    "block": Table(BLOCKS, unknown=dropped("unknown to codexd; a placeholder stands for it")),
    "image_source": Table(
        {
            "base64": plain("data", "media_type"),
            "url": plain("url"),
            "file": Shape(refused("images live on Anthropic's servers; send base64 or url")),
        }
    ),
    "document_source": Table(
        {
            "base64": plain("data", "media_type"),
            "text": plain("data", "media_type"),
            "content": plain(content=carried(inside="block")),
            "url": Shape(refused("documents can't be fetched by the backend; send base64, text or content")),
            "file": Shape(refused("documents live on Anthropic's servers; send base64, text or content")),
        }
    ),
    "tool": Table(TOOLS, unknown=refused(ELSEWHERE)),
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
            "enabled": plain(budget_tokens=approximated("as a level of effort"), **_THINKING),
            "adaptive": plain(**_THINKING),
            "between_tools": Shape(approximated("as adaptive"), _THINKING),
            "disabled": plain(),
        }
    ),
    "output_config": Table(
        {
            "": plain(
                effort=carried("the nearest lower level that the model offers"),
                format=carried(inside="format"),
                task_budget=dropped("the backend has no budget of tokens for a task"),
            )
        }
    ),
    "format": Table({"json_schema": plain("schema")}),
    "metadata": Table({"": plain(user_id=cosmetic("a session in it makes the cache key; the backend takes none"))}),
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
        {
            "create": Shape(dropped("codexd keeps no conversations")),
            "continue": Shape(refused("needs a conversation on Anthropic's servers; send all messages")),
        }
    ),
}
