"""Tools and tool choice of a Messages request, for the backend. Source: anthropic-translation.md 1.6 and 1.7."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codexd.errors import RequestInvalid
from codexd.translation.fields import Fields
from codexd.translation.messages.content import read_content
from codexd.translation.schema import to_parameters
from codexd.translation.tool_names import shorten

WEB_SEARCH_PREFIX = "web_search_"


def read_tools(body: Fields) -> list[Fields]:
    """The tools that the model may call, in an order that only grows within a session.

    Claude Code lists tools with ``defer_loading`` that count only once a ``tool_reference`` in a result has
    loaded them, and then lists them alphabetically in the middle. They go behind the others here, in the order
    of their loading, so that what was sent before stays a prefix. Of two tools with one name the first stays.
    """
    plain: dict[str, Fields] = {}
    deferred: dict[str, Fields] = {}
    for tool in body.objects("tools"):
        chosen = deferred if tool.boolean("defer_loading") else plain
        chosen.setdefault(tool_name(tool), tool)
    loaded = (deferred[name] for name in _loaded_names(body) if name in deferred and name not in plain)
    return [*plain.values(), *loaded]


def tool_name(tool: Fields) -> str:
    """The tool's name; a number counts as its digits."""
    name = tool.get("name")
    if isinstance(name, int | float):
        return str(name)
    if not tool.string("name"):
        raise tool.wrong("name", "must not be empty")
    return tool.string("name")


def to_tools(tools: list[Fields]) -> list[dict[str, Any]]:
    return [_to_tool(tool) for tool in tools]


def to_tool_choice(body: Fields, tools: list[Fields]) -> dict[str, Any]:
    """The fields ``tool_choice`` and ``parallel_tool_calls`` of the upstream body; nothing without tools."""
    if not tools:
        return {}
    raw = body.get("tool_choice")
    if raw is None:
        return {"tool_choice": "auto", "parallel_tool_calls": True}
    choice = Fields.of({"type": raw} if isinstance(raw, str) else raw, "tool_choice", body.losses)
    parallel = not choice.boolean("disable_parallel_tool_use")
    return {"tool_choice": _to_choice(choice, tools), "parallel_tool_calls": parallel}


def _to_choice(choice: Fields, tools: list[Fields]) -> str | dict[str, Any]:
    match choice.string("type"):
        case "auto" | "none" as kind:
            return kind
        case "any":
            return "required"
        case "tool":
            name = choice.string("name")
            chosen = next((tool for tool in tools if tool_name(tool) == name), None)
            if chosen is None:
                raise choice.wrong("name", f"{name!r} is not among the tools of this request")
            if is_web_search(chosen):
                return {"type": "web_search"}
            return {"type": "function", "name": shorten(name)}
        case _:
            raise choice.wrong("type", "must be auto, any, tool or none")


def _to_tool(tool: Fields) -> dict[str, Any]:
    kind = tool.optional_string("type")
    if kind in (None, "custom"):
        return _to_function(tool)
    if is_web_search(tool):
        return _to_web_search(tool)
    raise tool.wrong("type", f"{kind!r} runs on Anthropic's servers and is not available through codexd")


def _to_function(tool: Fields) -> dict[str, Any]:
    """Without ``strict: false`` the backend tries strict mode, and the model fills every optional field."""
    function: dict[str, Any] = {"type": "function", "name": shorten(tool_name(tool))}
    description = tool.optional_string("description")
    if description:
        function["description"] = description
    return {**function, "strict": False, "parameters": to_parameters(tool.get("input_schema"))}


def is_web_search(tool: Fields) -> bool:
    return str(tool.get("type")).startswith(WEB_SEARCH_PREFIX)


def read_blocked_domains(tools: list[Fields]) -> tuple[str, ...]:
    """The domains that the web search must not use."""
    return tuple(domain for tool in tools if is_web_search(tool) for domain in tool.strings("blocked_domains"))


def _to_web_search(tool: Fields) -> dict[str, Any]:
    search: dict[str, Any] = {"type": "web_search"}
    allowed = tool.strings("allowed_domains")
    if allowed and tool.strings("blocked_domains"):
        raise RequestInvalid(tool.at("blocked_domains"), "cannot stand beside allowed_domains")
    if allowed:
        search["filters"] = {"allowed_domains": allowed}
    location = tool.optional_object("user_location")
    if location:
        known = {key: location.get(key) for key in ("city", "region", "country", "timezone") if location.get(key)}
        search["user_location"] = {"type": "approximate", **known}
    return search


def _loaded_names(body: Fields) -> Iterator[str]:
    """The names in the history's ``tool_reference`` blocks, first reference first."""
    seen: dict[str, None] = {}
    for message in body.objects("messages"):
        for block in read_content(message, "content"):
            if block.get("type") != "tool_result":
                continue
            for part in read_content(block, "content"):
                if part.get("type") == "tool_reference":
                    seen.setdefault(part.string("tool_name"))
    yield from seen
