"""The reply of ``GET /backend-api/codex/models``, built from the catalogue.

Source: codex-backend.md, section 5.5.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from codexd.jsontext import dumps
from codexd.simulator.checks import read_version
from codexd.simulator.options import Options
from codexd.translation.models.catalogue import ModelInfo


def make_models_document(models: Sequence[ModelInfo], options: Options, client_version: str) -> dict[str, Any]:
    """The models that a client of this version is shown; a version that can't be read hides the gated ones."""
    claimed = read_version(client_version) or ()
    shown = (
        model
        for model in models
        if claimed >= (read_version(options.minimal_client_versions.get(model.slug, "")) or ())
    )
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
        "default_verbosity": "low" if model.verbosity else None,
        "apply_patch_tool_type": "freeform",
        "web_search_tool_type": "text_and_image",
        "truncation_policy": {"mode": "tokens", "limit": 10_000},
        "supports_parallel_tool_calls": True,
        "context_window": model.context_window,
        "max_context_window": model.context_window,
        "effective_context_window_percent": 95,
        "experimental_supported_tools": [],
        "input_modalities": list(model.input_modalities),
        "minimal_client_version": options.minimal_client_versions.get(model.slug),
    }
