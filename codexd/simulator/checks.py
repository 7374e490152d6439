"""What the backend refuses in the body of ``POST /codex/responses``, in the words that it uses. Pure.

Source: codex-backend.md, sections 2.2 to 2.8 and 8.3. The rules for the input stand in ``checks_input``,
those for tools in ``checks_tools``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from codexd.simulator.checks_input import check_input
from codexd.simulator.checks_tools import check_tool_choice, check_tools, find_schema_problem
from codexd.simulator.options import Options
from codexd.simulator.refusals import (
    Problems,
    Refusal,
    check_string,
    detail,
    empty_string,
    error,
    quote_list,
    too_long,
    unknown,
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
"""Every other field of the public Responses API is an "unsupported parameter" here."""

CONTEXT_OVERFLOW = "Your input exceeds the context window of this model. Please adjust your input and try again."
VERBOSITIES = ("low", "medium", "high")
SUMMARIES = ("auto", "concise", "detailed")
CONTEXTS = ("auto", "current_turn", "all_turns")
CODEX_ORIGINATOR = re.compile(r"codex[_-]|Codex ")
_VERSION = re.compile(r"\d+(?:\.\d+)+")


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
        account_id: whose encrypted reasoning may be replayed.
        options: the backend's switches.
        models: what the backend serves.
        headers: the request's, lower-case; the gates look at who the client says it is.
    """
    return next(_find_problems(body, account_id, options, models, headers or {}), None)


def refuse_overflow() -> Refusal:
    return error(CONTEXT_OVERFLOW, param="input", code="context_length_exceeded")


def _find_problems(
    body: Any, account_id: str, options: Options, models: Sequence[ModelInfo], headers: Mapping[str, str]
) -> Problems:
    if not isinstance(body, dict):
        yield detail("Bad Request")
    yield from _check_fields(body, options)
    yield from check_string("model", body.get("model"))
    model = next((model for model in models if model.slug == body["model"]), None)
    if model is None or model.slug in options.refused_models:
        yield _refuse_model(body["model"])
        return
    yield from _check_gates(model, options, headers)
    yield from _check_model_settings(body, model)
    yield from _check_plain_values(body)
    yield from check_tools(body.get("tools"))
    yield from check_tool_choice(body.get("tool_choice"), body.get("tools") or [], body["input"])
    yield from check_input(body["input"], account_id=account_id, modalities=model.input_modalities)
    yield from _check_json_word(body)


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


def _refuse_model(slug: str) -> Refusal:
    return detail(f"The '{slug}' model is not supported when using Codex with a ChatGPT account.")


def _check_gates(model: ModelInfo, options: Options, headers: Mapping[str, str]) -> Problems:
    """Codex-backend.md 2.3: the server compares the version that a client claims, and who it says it is."""
    needed = options.minimal_client_versions.get(model.slug)
    if needed is not None:
        claimed = read_version(headers.get("version", "")) or read_version(headers.get("user-agent", ""))
        if claimed is None:
            yield _refuse_model(model.slug)
        elif claimed < (read_version(needed) or ()):
            yield detail(
                f"The '{model.slug}' model requires a newer version of Codex. "
                "Please upgrade to the latest app or CLI and try again."
            )
    if model.slug in options.codex_originators_only and not CODEX_ORIGINATOR.match(headers.get("originator", "")):
        yield error(f"Model not found {model.slug}", param="model", status=404)


def read_version(text: str) -> tuple[int, ...] | None:
    """The first dotted number in ``text``, such as (0, 161, 0)."""
    found = _VERSION.search(text)
    return tuple(int(part) for part in found.group().split(".")) if found else None


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
    # "ultra" is a client's name for "max" with delegation; the backend has never heard of it.
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
    problem = find_schema_problem(form["schema"], strict=bool(form.get("strict")))
    if problem is not None:
        message = f"Invalid schema for response_format '{form['name']}': {problem}"
        yield error(message, param="text.format.schema", code="invalid_json_schema")


def _check_json_word(body: Mapping[str, Any]) -> Problems:
    """Who asks for JSON of any form has to say so in the input as well; the instructions do not count."""
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
