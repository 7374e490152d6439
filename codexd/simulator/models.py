"""Which models a client gets: the reply of ``GET /backend-api/codex/models``, and gates for single models."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from codexd.jsontext import dumps
from codexd.simulator.options import Options
from codexd.simulator.refusals import Problems, Refusal, detail, error
from codexd.translation.models.catalogue import ModelInfo

EXCLUDED_PLANS: Mapping[str, tuple[str, ...]] = {
    "gpt-6.2-sol": ("free", "free_workspace", "k12"),
    "gpt-6.2-astra": ("free", "free_workspace", "k12"),
    "gpt-6-sol": ("promax",),
    "gpt-6-luna": ("promax",),
}
"""The plans that do not include a model, as the catalogue of the Codex CLI 0.171.0 has it."""


def is_in_plan(model: ModelInfo, plan: str, options: Options) -> bool:
    included = options.plan_models.get(plan)
    return plan not in EXCLUDED_PLANS.get(model.slug, ()) if included is None else model.slug in included


def make_models_document(models: Sequence[ModelInfo], options: Options, client_version: str) -> dict[str, Any]:
    """The models listed for a client of this version. An unreadable version hides the gated models."""
    claimed = read_version(client_version) or ()
    shown = (model for model in models if claimed >= (read_version(_find_gate(model, options)) or ()))
    return {"models": [_describe(model, options) for model in shown]}


def make_etag(document: dict[str, Any]) -> str:
    return f'W/"{hashlib.sha256(dumps(document)).hexdigest()[:16]}"'


def _describe(model: ModelInfo, options: Options) -> dict[str, Any]:
    return {
        "slug": model.slug,
        "display_name": model.display_name,
        "description": "Served by a simulated backend: no model is behind it",
        "default_reasoning_level": model.default_effort,
        "supported_reasoning_levels": [
            {"effort": effort, "description": effort.capitalize()} for effort in model.efforts
        ],
        "shell_type": "unified_exec",
        "visibility": model.visibility,
        "supported_in_api": True,
        "priority": model.priority,
        "additional_speed_tiers": ["fast"] if model.service_tiers else [],
        "service_tiers": [{"id": tier, "name": "Fast", "description": "Faster"} for tier in model.service_tiers],
        "base_instructions": "",
        "supports_reasoning_summaries": True,
        "default_reasoning_summary": "none",
        "support_verbosity": model.verbosity,
        "default_verbosity": model.default_verbosity,
        "apply_patch_tool_type": "freeform",
        "web_search_tool_type": "text_and_image",
        "truncation_policy": {"mode": "tokens", "limit": 10_000},
        "supports_parallel_tool_calls": True,
        "context_window": model.context_window,
        "max_context_window": model.context_window,
        "effective_context_window_percent": 95,
        "experimental_supported_tools": [],
        "input_modalities": list(model.input_modalities),
        "minimal_client_version": _find_gate(model, options) or None,
        "default_service_tier": model.default_tier,
        "multi_agent_reasoning_effort": model.ultra_effort,
        "use_responses_lite": model.is_lite,
    }


def _find_gate(model: ModelInfo, options: Options) -> str:
    """The lowest version that may use the model; empty if any may."""
    return options.minimal_client_versions.get(model.slug, model.minimal_client_version or "")


CODEX_ORIGINATOR = re.compile(r"codex[_-]|Codex ")
LITE = "x-openai-internal-codex-responses-lite"
_VERSION = re.compile(r"\d+(?:\.\d+)+")


def refuse_model(slug: str) -> Refusal:
    return detail(f"The '{slug}' model is not supported when using Codex with a ChatGPT account.")


def check_gates(model: ModelInfo, options: Options, headers: Mapping[str, str]) -> Problems:
    """What the gates refuse, by the version and the originator that the client claims."""
    needed = _find_gate(model, options)
    if needed:
        claimed = read_version(headers.get("version", "")) or read_version(headers.get("user-agent", ""))
        if claimed is None:
            yield refuse_model(model.slug)
        elif claimed < (read_version(needed) or ()):
            yield detail(
                f"The '{model.slug}' model requires a newer version of Codex. "
                "Please upgrade to the latest app or CLI and try again."
            )
    if headers.get(LITE) and not model.is_lite:
        yield error(
            "This model is not supported when using X-OpenAI-Internal-Codex-Responses-Lite.",
            param="model",
            code="unsupported_value",
        )
    if model.slug in options.codex_originators_only and not CODEX_ORIGINATOR.match(headers.get("originator", "")):
        yield error(f"Model not found {model.slug}", param="model", status=404)


def read_version(text: str) -> tuple[int, ...] | None:
    """The first dotted number in ``text``, such as (0, 161, 0)."""
    found = _VERSION.search(text)
    return tuple(int(part) for part in found.group().split(".")) if found else None
