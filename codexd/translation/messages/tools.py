"""Tools and tool choice of a Messages request, for the backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from codexd import jsontext
from codexd.errors import RequestInvalid
from codexd.translation.backend import object_of, objects_of
from codexd.translation.messages.client_tools import ClientTool, find_client_tool
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind
from codexd.translation.reading.parts import read_content
from codexd.translation.reading.schema import fit_parameters, fit_strict
from codexd.translation.reading.tool_names import legal_name, shorten

WEB_SEARCH_PREFIX = "web_search_"
TOOL_SEARCH_PREFIX = "tool_search_tool_"


def read_tools(body: Fields) -> list[Fields]:
    """The tools that the model may call, in an order that only grows within a session.

    Claude Code lists tools with ``defer_loading``, which count only once a ``tool_reference`` in a result has loaded
    them. It then sorts them alphabetically among the others. Here they follow the others in the order in which they
    were loaded, so that what was sent before stays a prefix. Of two tools with the same name, the first is kept.
    """
    sent: dict[str, Fields] = {}
    deferred: dict[str, Fields] = {}
    load_all = False
    for tool in body.objects("tools"):
        load_all = load_all or str(tool.get("type")).startswith(TOOL_SEARCH_PREFIX)
        if _is_sendable(tool):
            _add_tool(tool, sent, deferred)
    searchable = [ToolChange(name) for name in deferred] if load_all else []
    for change in [*searchable, *list_changes(body)]:
        _change(change, sent, deferred)
    return list(sent.values())


def _is_sendable(tool: Fields) -> bool:
    """Whether the tool can be sent; ``fates`` has already refused or recorded any other."""
    kind = tool.optional_string("type")
    return kind in (None, "custom") or is_web_search(tool) or find_client_tool(kind) is not None


def _add_tool(tool: Fields, sent: dict[str, Fields], deferred: dict[str, Fields]) -> None:
    name = tool_name(tool)
    second_search = is_web_search(tool) and any(map(is_web_search, sent.values()))
    if name in sent or name in deferred or second_search:
        tool.lose(LossKind.DROPPED, "", "another tool with this name, or another web search, comes first")
        return
    chosen = deferred if tool.boolean("defer_loading") else sent
    chosen[name] = tool


def _change(change: ToolChange, sent: dict[str, Fields], deferred: dict[str, Fields]) -> None:
    """Load the tool that ``change`` names, or remove it; a removed tool can be loaded again."""
    if change.removed:
        if change.name in sent:
            deferred[change.name] = sent.pop(change.name)
        return
    if change.definition is not None and change.name not in sent and _is_sendable(change.definition):
        deferred[change.name] = change.definition
    if change.name in deferred:
        sent[change.name] = deferred.pop(change.name)


def tool_name(tool: Fields) -> str:
    """The tool's name. A number becomes its digits."""
    name = tool.get("name")
    return str(name) if isinstance(name, int | float) else tool.filled_string("name")


def list_names(body: Fields) -> Iterator[str]:
    """Every name of a tool in the request: of tools that are sent or deferred, and those that the history knows."""
    yield from map(tool_name, filter(_is_sendable, body.objects("tools")))
    for message in body.get("messages"):
        yield from _list_known(message.get("content"))


def _list_known(blocks: Any) -> Iterator[str]:
    """The names in the blocks of a message or a result. On the hot path of long histories, so it reads plain values."""
    for block in objects_of(blocks):
        match block.get("type"):
            case "tool_use":
                yield str(block.get("name"))
            case "tool_reference":
                yield str(block.get("tool_name"))
            case "tool_result":
                yield from _list_known(block.get("content"))
            case "compaction":
                yield from _list_known(block.get("tool_changes"))
            case "tool_addition":
                tool = object_of(block.get("tool"))
                yield str(object_of(tool.get("definition")).get("name") or tool.get("name"))


def to_tools(tools: list[Fields]) -> list[dict[str, Any]]:
    return [_to_web_search(tool) if is_web_search(tool) else _to_function(tool) for tool in tools]


def to_tool_choice(body: Fields, tools: list[Fields]) -> dict[str, Any]:
    """The fields ``tool_choice`` and ``parallel_tool_calls`` of the body for the backend; empty without tools."""
    raw = body.get("tool_choice")
    if not tools:
        if raw is not None:
            body.lose(LossKind.DROPPED, "tool_choice", "the request has no tools to choose from")
        return {}
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
                raise choice.wrong("name", f"{name!r} is not a tool of this request")
            if is_web_search(chosen):
                return {"type": "web_search"}
            return {"type": "function", "name": shorten(name)}
        case _:
            raise choice.wrong("type", "must be auto, any, tool or none")


def _to_function(tool: Fields) -> dict[str, Any]:
    """``strict`` is always set: without it the backend tries strict mode, and the model fills every optional field."""
    name = tool_name(tool)
    short = legal_name(tool, name)
    client_tool = find_client_tool(tool.optional_string("type") or "")
    parameters, explanation = (client_tool.parameters, "") if client_tool else fit_parameters(tool, "input_schema")
    function: dict[str, Any] = {"type": "function", "name": short}
    if description := _describe(tool, client_tool, explanation):
        function["description"] = description
    strict = fit_strict(tool, parameters, asked=tool.boolean("strict"))
    return {**function, "strict": strict, "parameters": parameters}


def _describe(tool: Fields, client_tool: ClientTool | None, explanation: str) -> str:
    """The description, followed by what the schema can't express for the backend."""
    texts = [client_tool.description if client_tool else tool.optional_string("description") or "", explanation]
    if tool.get("max_characters") is not None:
        texts.append(f"A view shows at most {tool.integer('max_characters')} characters.")
    examples = tool.objects("input_examples")
    if examples:
        texts.append("\n".join(["Example inputs:", *(jsontext.dumps_text(example.value) for example in examples)]))
    return "\n\n".join(text for text in texts if text)


def is_web_search(tool: Fields) -> bool:
    return str(tool.get("type")).startswith(WEB_SEARCH_PREFIX)


def read_blocked_domains(tools: list[Fields]) -> tuple[str, ...]:
    """The domains that the web search must not use."""
    return tuple(domain for tool in tools if is_web_search(tool) for domain in tool.strings("blocked_domains"))


def _to_web_search(tool: Fields) -> dict[str, Any]:
    search: dict[str, Any] = {"type": "web_search"}
    allowed = tool.strings("allowed_domains")
    if allowed and tool.strings("blocked_domains"):
        raise RequestInvalid(tool.at("blocked_domains"), "can't be combined with allowed_domains")
    if allowed:
        search["filters"] = {"allowed_domains": allowed}
    location = tool.optional_object("user_location")
    if location:
        known = {key: location.get(key) for key in ("city", "region", "country", "timezone") if location.get(key)}
        search["user_location"] = {"type": "approximate", **known}
    return search


@frozen
class ToolChange:
    """A tool added or removed in the middle of a conversation; ``definition`` is set if it was not listed before."""

    name: str
    removed: bool = False
    definition: Fields | None = None


def list_changes(body: Fields) -> list[ToolChange]:
    """The changes that the messages make, in order. Loading a tool twice changes nothing."""
    changes: list[ToolChange] = []
    for message in body.objects("messages"):
        for block in read_content(message, "content"):
            match block.get("type"):
                case "tool_result":
                    parts = read_content(block, "content")
                    names = (part.string("tool_name") for part in parts if part.get("type") == "tool_reference")
                    changes.extend(ToolChange(name) for name in names)
                case "tool_addition" | "tool_removal":
                    changes.extend(_changes_of(block))
                case "compaction":
                    changes.extend(change for inner in block.objects("tool_changes") for change in _changes_of(inner))
    return changes


def _changes_of(block: Fields) -> list[ToolChange]:
    target = block.object("tool")
    removed = block.get("type") == "tool_removal"
    match target.string("type"):
        case "tool_reference":
            return [ToolChange(target.string("name"), removed)]
        case "tool_definition":
            definition = target.object("definition")
            if _is_sendable(definition):
                return [ToolChange(tool_name(definition), removed, definition)]
    return []
