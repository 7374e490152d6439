"""The tools of an SDK's Responses request, under the backend's names. Only their form and schemas are repaired."""

from __future__ import annotations

from typing import Any

from codexd.translation.reading.fields import Fields
from codexd.translation.reading.schema import fit_parameters, fit_strict
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
    return {"type": WEB_SEARCH if kind.startswith(WEB_SEARCH) else kind, **keep(tool, shape)}


def _to_function(tool: Fields) -> dict[str, Any]:
    """A function in the flat form of the Responses API; some clients nest it, as in Chat Completions."""
    nested = tool.optional_object("function")
    flat = {**keep(tool, TOOLS["function"]), **(keep(nested, TABLES["function"].shapes[""]) if nested else {})}
    flat.pop("function", None)
    return {"type": "function", **flat, **_fit_parameters(nested or tool)}


def fit_schemas(tool: Fields) -> dict[str, Any]:
    """``tool``, or an item of the input that lists tools, with schemas that the backend accepts."""
    fitted = {**tool.value, **(_fit_parameters(tool) if tool.get("parameters") is not None else {})}
    if isinstance(inner := tool.get("tools"), list):
        at = tool.at("tools")
        fitted["tools"] = [
            fit_schemas(Fields(child, f"{at}[{index}]", tool.losses)) if isinstance(child, dict) else child
            for index, child in enumerate(inner)
        ]
    return fitted


def _fit_parameters(function: Fields) -> dict[str, Any]:
    """The fields of ``function`` that a repair of its schema may change."""
    parameters, told = fit_parameters(function, "parameters")
    fitted: dict[str, Any] = {"parameters": parameters}
    if told:
        fitted["description"] = "\n\n".join(filter(None, [function.optional_string("description"), told]))
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
    return {"type": kind, **nested} if isinstance(nested, dict) else choice.value
