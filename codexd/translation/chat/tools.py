"""Tools and tool choice of a Chat request, for the backend.

Chat Completions nests a tool's definition, and the Responses API does not. Both forms are accepted here, because some
clients send the flat one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from codexd.translation.reading.fields import Fields
from codexd.translation.reading.losses import LossKind
from codexd.translation.reading.schema import find_schema_field, fit_parameters, fit_strict
from codexd.translation.reading.tool_names import legal_name

_LOCATION = ("city", "region", "country", "timezone")
_IMAGE_CHOICES = {"output_format": ("png", "webp", "jpeg"), "background": ("opaque", "auto")}
_CONTEXT_SIZES = ("low", "medium", "high")


@frozen
class Tool:
    """One tool. ``name`` is the client's name for it, or None for a hosted tool; ``body`` is sent to the backend."""

    name: str | None
    body: dict[str, Any]

    @property
    def kind(self) -> str:
        kind: str = self.body["type"]
        return kind

    @property
    def choice(self) -> dict[str, Any]:
        """The tool as ``tool_choice`` names it."""
        return {key: self.body[key] for key in ("type", "name") if key in self.body}


def read_tools(body: Fields) -> list[Tool]:
    """The tools of the request. Of two with the same name, or two hosted ones of the same type, the first is kept."""
    if body.objects("functions") and body.objects("tools"):
        raise body.wrong("functions", "can't be combined with tools")
    found = [(tool, _read_tool(tool)) for tool in body.objects("tools")]
    found += [(function, _read_function(function, function)) for function in body.objects("functions")]
    search = body.optional_object("web_search_options")
    if search is not None:
        found.append((search, _read_search(search)))
    kept: dict[str, Tool] = {}
    for fields, tool in found:
        key = tool.body.get("name") or f"hosted {tool.kind}"
        if key in kept:
            fields.lose(LossKind.DROPPED, "", "another tool with this name, or of this hosted type, comes first")
        kept.setdefault(key, tool)
    return list(kept.values())


def _read_tool(tool: Fields) -> Tool:
    match tool.optional_string("type") or "function":
        case "function":
            return _read_function(tool, tool.optional_object("function") or tool)
        case "custom" if tool.get("input_schema") is not None:  # a function, as Anthropic's clients describe it
            return _read_function(tool, tool)
        case "custom":
            return _read_custom(tool.optional_object("custom") or tool)
        case "image_generation":
            return _read_image_generation(tool)
        case _:
            return _read_search(tool)  # ``fates`` has already refused all others


def _read_function(tool: Fields, function: Fields) -> Tool:
    """A missing ``strict`` becomes false, as in Chat Completions; the Responses API has another default."""
    name = function.filled_string("name")
    parameters, explanation = fit_parameters(function, find_schema_field(function))
    texts = [function.optional_string("description"), explanation]
    strict = fit_strict(function, parameters, asked=function.boolean("strict") or tool.boolean("strict"))
    body: dict[str, Any] = {"type": "function", "name": legal_name(function, name)}
    if description := "\n\n".join(text for text in texts if text):
        body["description"] = description
    return Tool(name, {**body, "strict": strict, "parameters": parameters})


def _read_custom(custom: Fields) -> Tool:
    name = custom.filled_string("name")
    body: dict[str, Any] = {"type": "custom", "name": legal_name(custom, name)}
    if description := custom.optional_string("description"):
        body["description"] = description
    form = custom.optional_object("format")
    if form is not None:
        body["format"] = _read_format(form)
    return Tool(name, body)


def _read_format(form: Fields) -> dict[str, Any]:
    match form.string("type"):
        case "text":
            return {"type": "text"}
        case "grammar":
            grammar = form.optional_object("grammar") or form
            syntax = grammar.string("syntax")
            if syntax not in ("lark", "regex"):
                raise grammar.wrong("syntax", "must be lark or regex")
            return {"type": "grammar", "definition": grammar.string("definition"), "syntax": syntax}
        case _:
            raise form.wrong("type", "must be text or grammar")


def _read_search(search: Fields) -> Tool:
    body: dict[str, Any] = {"type": "web_search"}
    size = search.optional_string("search_context_size")
    if size:
        if size not in _CONTEXT_SIZES:
            raise search.wrong("search_context_size", f"must be one of {', '.join(_CONTEXT_SIZES)}")
        body["search_context_size"] = size
    filters = search.optional_object("filters")
    if filters is not None and filters.strings("allowed_domains"):
        body["filters"] = {"allowed_domains": filters.strings("allowed_domains")}
    location = search.optional_object("user_location")
    if location is not None:
        place = location.optional_object("approximate") or location
        known = {key: text for key in _LOCATION if (text := place.optional_string(key))}
        body["user_location"] = {"type": "approximate", **known}
    return Tool(None, body)


def _read_image_generation(tool: Fields) -> Tool:
    body: dict[str, Any] = {"type": "image_generation"}
    for key in ("output_format", "background", "size", "quality", "model"):
        value = tool.optional_string(key)
        if value and value not in _IMAGE_CHOICES.get(key, (value,)):
            raise tool.wrong(key, f"must be one of {', '.join(_IMAGE_CHOICES[key])}")
        if value:
            body[key] = value
    return Tool(None, body)


# -- the choice -----------------------------------------------------------------------------------


def to_tool_choice(body: Fields, tools: list[Tool], *, one_call: bool) -> dict[str, Any]:
    """The fields ``tool_choice`` and ``parallel_tool_calls`` of the body for the backend; empty without tools.

    ``one_call`` is for the old ``functions``, whose answer has room for one call.
    """
    name = "tool_choice" if body.get("tool_choice") is not None else "function_call"
    wanted = body.get(name)
    parallel = body.boolean("parallel_tool_calls", default=True)
    if not tools:
        if wanted not in (None, "none", "auto"):
            body.lose(LossKind.DROPPED, name, "the request has no tools to choose from")
        return {}
    choice = "auto" if wanted is None else _to_choice(body, name, tools)
    return {"tool_choice": choice, "parallel_tool_calls": parallel and not one_call}


def _to_choice(body: Fields, name: str, tools: list[Tool]) -> str | dict[str, Any]:
    wanted = body.get(name)
    if isinstance(wanted, str):
        if wanted not in ("none", "auto", "required"):
            raise body.wrong(name, "must be none, auto, required or an object")
        return wanted
    choice = body.object(name)
    kind = choice.optional_string("type")
    if kind in ("none", "auto", "required"):
        return kind
    known = {_key_of(tool): tool for tool in tools}
    if kind != "allowed_tools":
        return _find_chosen(choice, known).choice
    allowed = choice.optional_object("allowed_tools") or choice
    mode = allowed.string("mode")
    if mode not in ("auto", "required"):
        raise allowed.wrong("mode", "must be auto or required")
    chosen = [_find_chosen(tool, known).choice for tool in allowed.objects("tools")]
    if not chosen:
        raise allowed.wrong("tools", "must name at least one tool")
    return {"type": "allowed_tools", "mode": mode, "tools": chosen}


def _key_of(tool: Tool) -> tuple[str, str]:
    return ("named", tool.name) if tool.name is not None else ("hosted", tool.kind)


def _find_chosen(choice: Fields, known: Mapping[tuple[str, str], Tool]) -> Tool:
    """The tool that ``choice`` names: nested, flat, or in the old form ``{"name": ...}``."""
    kind = choice.optional_string("type") or "function"
    if kind in ("function", "custom"):
        named = choice.optional_object(kind) or choice
        name = named.string("name")
        key, problem = ("named", name), named.wrong("name", f"{name!r} is not a tool of this request")
    else:
        hosted = "web_search" if kind.startswith("web_search") else kind
        key, problem = ("hosted", hosted), choice.wrong("type", f"{kind!r} is not a tool of this request")
    if key not in known:
        raise problem
    return known[key]
