"""What the backend refuses in the body of ``POST /codex/responses``, in its own words. Pure.

The rules for the input are in ``checks_input.py``, those for schemas in ``checks_schema.py``. Where the backend's own
rules are not known, the public Responses API's rules are used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from codexd.simulator.checks_input import NAME_PATTERN, check_input
from codexd.simulator.checks_schema import find_schema_problem
from codexd.simulator.models import check_gates, refuse_model
from codexd.simulator.options import Options
from codexd.simulator.refusals import (
    Problems,
    Refusal,
    check_string,
    detail,
    empty_string,
    error,
    missing,
    quote_list,
    too_long,
    unknown,
    wrong_pattern,
    wrong_type,
    wrong_value,
)
from codexd.simulator.scripts import read_text
from codexd.translation.models.catalogue import BUILT_IN, ModelInfo

FIELDS = (
    "model",
    "input",
    "instructions",
    "store",
    "stream",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "include",
    "text",
    "service_tier",
    "prompt_cache_key",
    "client_metadata",
    "stream_options",
)
"""The backend calls any other field of the public Responses API an "unsupported parameter"."""

VERBOSITIES = ("low", "medium", "high")
SUMMARIES = ("auto", "concise", "detailed")
CONTEXTS = ("auto", "current_turn", "all_turns")


def check_body(
    body: Any,
    *,
    account_id: str,
    options: Options,
    models: Sequence[ModelInfo] = BUILT_IN.models,
    headers: Mapping[str, str] | None = None,
) -> Refusal | None:
    """The first thing wrong with a request's body, or None.

    Args:
        body: the parsed JSON.
        account_id: the account that sends it; only its own encrypted reasoning is accepted.
        options: the backend's own switches.
        models: the models that the backend serves.
        headers: the request's, with lower-case names; the gates read the client's name and version from them. Without
            headers, they let everything through.
    """
    return next(_find_problems(body, account_id, options, models, headers), None)


def _find_problems(
    body: Any, account_id: str, options: Options, models: Sequence[ModelInfo], headers: Mapping[str, str] | None
) -> Problems:
    if not isinstance(body, dict):
        yield detail("Bad Request")
    yield from _check_fields(body, options)
    yield from check_string("model", body.get("model"))
    model = next((model for model in models if model.slug == body["model"]), None)
    if model is None or model.slug in options.refused_models:
        yield refuse_model(body["model"])
        return
    if headers is not None:
        yield from check_gates(model, options, headers)
        yield from _check_beta_features(body["input"], headers)
    yield from _check_model_settings(body, model)
    yield from _check_plain_values(body)
    yield from check_tools(body.get("tools"))
    yield from check_tool_choice(body.get("tool_choice"), body.get("tools") or [], body["input"])
    yield from check_input(body["input"], account_id=account_id, modalities=model.input_modalities)
    yield from _check_listed_tools(body["input"])
    yield from _check_json_word(body)


def _check_beta_features(items: Sequence[Any], headers: Mapping[str, str]) -> Problems:
    wants_compaction = any(isinstance(item, dict) and item.get("type") == "compaction_trigger" for item in items)
    if wants_compaction and "remote_compaction_v2" not in headers.get("x-codex-beta-features", ""):
        message = "Invalid value: 'compaction_trigger'. It needs the beta feature 'remote_compaction_v2'."
        yield error(message, param="input", code="invalid_value")


def _check_fields(body: Mapping[str, Any], options: Options) -> Problems:
    for name in body:
        if name not in FIELDS:
            yield detail(f"Unsupported parameter: {name}")
    if body.get("stream_options", {}) not in ({}, {"reasoning_summary_delivery": "sequential_cutoff"}):
        yield detail("Unsupported parameter: stream_options")
    if options.instructions_required and "instructions" not in body:
        yield detail("Instructions are required")
    if not isinstance(body.get("instructions", ""), str):
        yield detail("Instructions are not valid")
    if body.get("store") is not False:
        yield detail("Store must be set to false")
    if body.get("stream") is not True:
        yield detail("Stream must be set to true")
    if not isinstance(body.get("input"), list):
        yield detail("Input must be a list")


def _check_model_settings(body: Mapping[str, Any], model: ModelInfo) -> Problems:
    yield from _check_reasoning(body.get("reasoning"), model)
    yield from _check_text(body.get("text"), model)
    tier = body.get("service_tier")
    if tier is not None and tier not in model.service_tiers:
        yield detail(f"Unsupported service_tier: {tier}")


def _check_reasoning(reasoning: Any, model: ModelInfo) -> Problems:
    if reasoning is None:
        return
    if not isinstance(reasoning, dict):
        yield wrong_type("reasoning", "an object", reasoning)
    for name in reasoning:
        if name not in ("effort", "summary", "context", "mode"):
            yield unknown(f"reasoning.{name}")
    effort = reasoning.get("effort")
    # "ultra" is the clients' name for "max" with delegation; the backend does not know it.
    efforts = [offered for offered in model.efforts if offered != "ultra"]
    if effort is not None and effort not in efforts:
        yield _unsupported("reasoning.effort", effort, model, efforts)
    if reasoning.get("summary") not in (None, *SUMMARIES):
        yield wrong_value("reasoning.summary", reasoning["summary"], SUMMARIES)
    if reasoning.get("context") not in (None, *CONTEXTS):
        yield wrong_value("reasoning.context", reasoning["context"], CONTEXTS)


def _check_text(text: Any, model: ModelInfo) -> Problems:
    if text is None:
        return
    if not isinstance(text, dict):
        yield wrong_type("text", "an object", text)
    for name in text:
        if name not in ("verbosity", "format"):
            yield unknown(f"text.{name}")
    verbosity = text.get("verbosity")
    offered = VERBOSITIES if model.verbosity else ("medium",)
    if verbosity is not None and verbosity not in offered:
        yield _unsupported("text.verbosity", verbosity, model, offered)
    yield from _check_format(text.get("format"))


def _check_format(form: Any) -> Problems:
    if form is None:
        return
    if not isinstance(form, dict):
        yield wrong_type("text.format", "an object", form)
    if form.get("type") not in ("text", "json_object", "json_schema"):
        yield wrong_value("text.format.type", form.get("type"), ("text", "json_object", "json_schema"))
    if form["type"] != "json_schema":
        return
    yield from check_string("text.format.name", form.get("name"), maximum=64)
    if not isinstance(form.get("schema"), dict):
        yield wrong_type("text.format.schema", "an object", form.get("schema"))
    strict, name = bool(form.get("strict")), f"response_format '{form['name']}'"
    problem = find_schema_problem(form["schema"], name=name, strict=strict)
    if problem is not None:
        yield error(problem, param="text.format.schema", code="invalid_json_schema")


def _check_json_word(body: Mapping[str, Any]) -> Problems:
    """A request for free-form JSON must also mention JSON in the input; the instructions do not count."""
    if ((body.get("text") or {}).get("format") or {}).get("type") != "json_object":
        return
    contents = [item.get("content") for item in body["input"] if item.get("type", "message") == "message"]
    if not any("json" in read_text(content).lower() for content in contents):
        message = (
            "Response input messages must contain the word 'json' in some form "
            "to use 'text.format' of type 'json_object'."
        )
        yield error(message, param="input")


def _unsupported(path: str, value: Any, model: ModelInfo, offered: Sequence[str]) -> Refusal:
    message = (
        f"Unsupported value: '{value}' is not supported with the '{model.slug}' model. "
        f"Supported values are: {quote_list(offered)}."
    )
    return error(message, param=path, code="unsupported_value")


def _check_plain_values(body: Mapping[str, Any]) -> Problems:
    if not isinstance(body.get("parallel_tool_calls", True), bool):
        yield wrong_type("parallel_tool_calls", "a boolean", body["parallel_tool_calls"])
    include = body.get("include", [])
    if not isinstance(include, list) or not all(isinstance(name, str) for name in include):
        yield wrong_type("include", "an array of strings", include)
    key = body.get("prompt_cache_key")
    if key is not None and not isinstance(key, str):
        yield wrong_type("prompt_cache_key", "a string", key)
    if key == "":
        yield empty_string("prompt_cache_key")
    if key is not None and len(key) > 64:
        yield too_long("prompt_cache_key", key, 64)
    metadata = body.get("client_metadata", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        yield wrong_type("client_metadata", "an object of strings", metadata)


MAX_NAME_CHARS = 64
TOOL_KEYS: Mapping[str, tuple[str, ...]] = {
    "function": ("name", "description", "strict", "parameters"),
    "custom": ("name", "description", "format"),
    "web_search": (
        "search_context_size",
        "filters",
        "user_location",
        "external_web_access",
        "indexed_web_access",
        "search_content_types",
    ),
    "image_generation": ("output_format", "size", "model", "background", "quality", "partial_images"),
    "namespace": ("name", "description", "tools"),
    "tool_search": ("execution", "description", "parameters"),
    "local_shell": (),
}
"""The types of tools, and the keys that each may have besides ``type``."""

NAMED_TOOLS = ("function", "custom", "namespace")

CHOICES = ("none", "auto", "required")
CHOICE_TYPES = ("function", "custom", "web_search", "image_generation", "allowed_tools")


def check_tools(tools: Any) -> Problems:
    """Find what is wrong with the ``tools`` of a request."""
    if tools is None:
        return
    if not isinstance(tools, list):
        yield wrong_type("tools", "an array", tools)
    names: set[str] = set()
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        yield from _check_tool(tool, path)
        name = tool.get("name") if tool["type"] in NAMED_TOOLS else None
        if name in names:
            yield error(f"Duplicate tool name: '{name}'.", param=f"{path}.name", code="invalid_value")
        names |= {name} if name else set()


def _check_tool(tool: Any, path: str) -> Problems:
    if not isinstance(tool, dict):
        yield wrong_type(path, "an object", tool)
    kind = tool.get("type")
    if kind is None:
        yield missing(f"{path}.type")
    if kind not in tuple(TOOL_KEYS):
        yield detail(f"Unsupported tool type: {kind}")
    if kind in NAMED_TOOLS:
        yield from _check_name(tool.get("name"), f"{path}.name")
    for key in tool:
        if key not in ("type", *TOOL_KEYS[kind]):
            yield unknown(f"{path}.{key}")
    match kind:
        case "function":
            yield from _check_function(tool, path)
        case "image_generation":
            yield from _check_image_tool(tool, path)
        case "namespace":
            yield from _check_namespace(tool.get("tools"), f"{path}.tools")
        case "tool_search" if "parameters" in tool:
            yield from _check_parameters(tool, kind, path)


def _check_namespace(tools: Any, path: str) -> Problems:
    if not isinstance(tools, list):
        yield wrong_type(path, "an array", tools)
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict):
            yield wrong_type(f"{path}[{index}]", "an object", tool)
        # Only tools in a namespace may be marked for loading on demand.
        plain = {key: value for key, value in tool.items() if key != "defer_loading"}
        yield from _check_tool(plain, f"{path}[{index}]")


def _check_name(name: Any, path: str) -> Problems:
    yield from check_string(path, name)
    if not re.fullmatch(NAME_PATTERN, name):
        yield wrong_pattern(path, NAME_PATTERN)
    if len(name) > MAX_NAME_CHARS:
        yield too_long(path, name, MAX_NAME_CHARS)


def _check_function(tool: Mapping[str, Any], path: str) -> Problems:
    if "parameters" not in tool:
        yield missing(f"{path}.parameters")
    if not isinstance(tool.get("strict", False), bool | None):
        yield wrong_type(f"{path}.strict", "a boolean", tool["strict"])
    yield from _check_parameters(tool, tool["name"], path)


def _check_parameters(tool: Mapping[str, Any], name: str, path: str) -> Problems:
    strict = bool(tool.get("strict"))
    problem = find_schema_problem(tool["parameters"], name=f"function '{name}'", strict=strict)
    if problem is not None:
        yield error(problem, param=f"{path}.parameters", code="invalid_function_parameters")


def _check_listed_tools(items: Sequence[Any]) -> Problems:
    """Check the schemas of tools that are items of the input. Their other fields are not checked."""
    for index, item in enumerate(items):
        yield from _check_schemas(item.get("tools"), f"input[{index}].tools")


def _check_schemas(tools: Any, path: str) -> Problems:
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        at = f"{path}[{index}]"
        if isinstance(tool, dict) and isinstance(tool.get("parameters"), dict):
            yield from _check_parameters(tool, str(tool.get("name")), at)
        if isinstance(tool, dict):
            yield from _check_schemas(tool.get("tools"), f"{at}.tools")


def _check_image_tool(tool: Mapping[str, Any], path: str) -> Problems:
    if tool.get("output_format") == "gif":
        yield wrong_value(f"{path}.output_format", "gif", ("png", "webp", "jpeg"))
    if tool.get("background") == "transparent":
        yield wrong_value(f"{path}.background", "transparent", ("opaque", "auto"))
    partial_images = tool.get("partial_images", 0)
    if not isinstance(partial_images, int):
        yield wrong_type(f"{path}.partial_images", "an integer", partial_images)
    if partial_images > 3:
        message = f"Invalid '{path}.partial_images': integer above maximum value. Expected a value <= 3."
        yield error(message, param=f"{path}.partial_images", code="integer_above_max_value")


def check_tool_choice(choice: Any, tools: Sequence[Mapping[str, Any]], items: Sequence[Any]) -> Problems:
    """Find what is wrong with the ``tool_choice`` of a request. Tools may also be items of the input."""
    if choice is None:
        return
    if isinstance(choice, str):
        if choice not in CHOICES:
            yield wrong_value("tool_choice", choice, CHOICES)
        if choice == "required" and not tools and not _has_additional_tools(items):
            message = "Tool choice 'required' must be specified with 'tools' parameter."
            yield error(message, param="tool_choice")
        return
    if not isinstance(choice, dict):
        yield wrong_type("tool_choice", "a string or an object", choice)
    kind = choice.get("type")
    if kind not in CHOICE_TYPES:
        yield wrong_value("tool_choice.type", kind, CHOICE_TYPES)
    if kind == "allowed_tools" and choice.get("mode") not in ("auto", "required"):
        yield wrong_value("tool_choice.mode", choice.get("mode"), ("auto", "required"))
    wanted = choice.get("tools") if kind == "allowed_tools" else [choice]
    if not isinstance(wanted, list) or not all(isinstance(tool, dict) for tool in wanted):
        yield wrong_type("tool_choice.tools", "an array of objects", wanted)
        return
    for tool in wanted:
        yield from _check_chosen(tool, tools)


def _check_chosen(wanted: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> Problems:
    kind = wanted.get("type")
    if kind in NAMED_TOOLS:
        yield from check_string("tool_choice.name", wanted.get("name"))
    offered = any(tool["type"] == kind and tool.get("name") == wanted.get("name") for tool in tools)
    if not offered:
        yield error(f"Tool choice '{wanted.get('name', kind)}' not found in 'tools' parameter.", param="tool_choice")


def _has_additional_tools(items: Sequence[Any]) -> bool:
    return any(isinstance(item, dict) and item.get("type") == "additional_tools" for item in items)
