"""The tools of an SDK's Responses request, under the backend's names. Their form, schemas and names are repaired."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from codexd.translation.backend import object_of, objects_of, text_of
from codexd.translation.reading.fields import Fields
from codexd.translation.reading.schema import find_schema_field, fit_parameters, fit_strict
from codexd.translation.reading.tool_names import legal_name, shorten
from codexd.translation.responses.fates import TABLES, TOOLS, find_tool_shape, keep

WEB_SEARCH = "web_search"
"""Also the prefix of its dated and older names, such as ``web_search_preview``."""


def to_tools(body: Fields) -> list[dict[str, Any]]:
    return [_to_tool(tool) for tool in body.objects("tools")]


def _to_tool(tool: Fields) -> dict[str, Any]:
    kind = tool.string("type")
    shape = find_tool_shape(kind)
    if shape is None:
        return fit_schemas(tool)
    if kind == "function":
        return _to_function(tool)
    kept = keep(tool, shape)
    return {"type": WEB_SEARCH if kind.startswith(WEB_SEARCH) else kind, **kept, **_legal_name(tool, kept)}


def _to_function(tool: Fields) -> dict[str, Any]:
    """A function in the flat form of the Responses API; some clients nest it, as in Chat Completions."""
    nested = tool.optional_object("function")
    flat = {**keep(tool, TOOLS["function"]), **(keep(nested, TABLES["function"].shapes[""]) if nested else {})}
    for name in ("function", "input_schema"):
        flat.pop(name, None)
    return {"type": "function", **flat, **_fit_parameters(nested or tool), **_legal_name(nested or tool, flat)}


def fit_schemas(tool: Fields) -> dict[str, Any]:
    """``tool``, or an item of the input that lists tools, with schemas and names that the backend accepts."""
    fitted = {**tool.value, **_legal_name(tool, tool.value)}
    if tool.get("parameters") is not None or tool.get("type") == "function":
        fitted |= _fit_parameters(tool)
        fitted.pop("input_schema", None)
    if isinstance(inner := tool.get("tools"), list):
        at = tool.at("tools")
        fitted["tools"] = [
            fit_schemas(Fields(child, f"{at}[{index}]", tool.losses)) if isinstance(child, dict) else child
            for index, child in enumerate(inner)
        ]
    return fitted


def _legal_name(tool: Fields, made: Mapping[str, Any]) -> dict[str, str]:
    """The name in ``made`` as the backend accepts it; nothing if it has none."""
    name = made.get("name")
    return {"name": legal_name(tool, name)} if isinstance(name, str) and name else {}


def shorten_names(named: Mapping[str, Any]) -> dict[str, str]:
    """The names of a call or a choice, as those of the tools are sent."""
    found = {key: named.get(key) for key in ("name", "namespace")}
    return {key: shorten(name) for key, name in found.items() if isinstance(name, str) and name}


def list_names(body: Fields, items: Iterable[Fields]) -> Iterator[str]:
    """Every name of a tool in the request: of tools, of tools that ``items`` of the input list, and of calls."""
    yield from _list_tool_names(body.get("tools"))
    for item in items:
        yield from _list_tool_names(item.get("tools"))
        yield from (text_of(item.get(key)) for key in ("name", "namespace"))


def _list_tool_names(tools: Any) -> Iterator[str]:
    for tool in objects_of(tools):
        yield text_of(object_of(tool.get("function")).get("name")) or text_of(tool.get("name"))
        yield from _list_tool_names(tool.get("tools"))


def _fit_parameters(function: Fields) -> dict[str, Any]:
    """The fields of ``function`` that a repair of its schema may change."""
    parameters, explanation = fit_parameters(function, find_schema_field(function))
    fitted: dict[str, Any] = {"parameters": parameters}
    if explanation:
        fitted["description"] = "\n\n".join(filter(None, [function.optional_string("description"), explanation]))
    if function.get("strict") is True:
        fitted["strict"] = fit_strict(function, parameters)
    return fitted


def to_tool_choice(body: Fields) -> Any:
    """The backend's ``tool_choice``; None if the request has none.

    Raises:
        RequestInvalid: names the field.
    """
    choice = body.get("tool_choice")
    return _to_choice(Fields(choice, "tool_choice", body.losses)) if isinstance(choice, dict) else choice


def _to_choice(choice: Fields) -> dict[str, Any]:
    kind = choice.get("type")
    if not isinstance(kind, str):
        return choice.value
    if kind.startswith(WEB_SEARCH):
        return {"type": WEB_SEARCH}
    if kind == "allowed_tools":
        return {**choice.value, "tools": [_to_choice(tool) for tool in choice.objects("tools")]}
    nested = choice.get(kind)
    chosen = {"type": kind, **nested} if isinstance(nested, dict) else choice.value
    return {**chosen, **shorten_names(chosen)}
