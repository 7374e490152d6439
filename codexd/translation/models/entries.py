"""The backend's list of models, read entry by entry. Source: codex-backend.md 5.5.

The list is the backend's and changes often: what is missing or odd in an entry becomes what holds of most models, and
what is no entry at all is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from codexd.translation.backend import objects_of, text_of
from codexd.translation.models.routes import CLIENT_ONLY_EFFORT, EFFORTS, Catalogue, ModelInfo

MAX_SLUG_CHARS = 200
MAX_WORDS_CHARS = 500


def read_catalogue(entries: Iterable[Mapping[str, Any]]) -> Catalogue:
    """The models of ``entries``, of two with the same slug the first."""
    models: dict[str, ModelInfo] = {}
    for entry in entries:
        if is_entry(entry):
            models.setdefault(entry["slug"], _read_model(entry))
    return Catalogue(tuple(models.values()))


def is_entry(entry: Any) -> bool:
    """Whether it names a model."""
    slug = text_of(entry.get("slug")) if isinstance(entry, dict) else ""
    return 0 < len(slug) <= MAX_SLUG_CHARS and slug.isprintable()


def _read_model(entry: Mapping[str, Any]) -> ModelInfo:
    told: dict[str, Any] = {
        "priority": _read_int(entry.get("priority"), least=0),
        "context_window": _read_int(entry.get("context_window"), least=1),
        "efforts": _read_efforts(entry),
        "default_effort": _read_effort(entry.get("default_reasoning_level")),
        "input_modalities": _read_texts(entry.get("input_modalities")),
        "service_tiers": tuple(text_of(tier.get("id")) for tier in objects_of(entry.get("service_tiers"))),
        "description": _read_words(entry.get("description")),
    }
    return ModelInfo(
        slug=entry["slug"],
        display_name=_read_words(entry.get("display_name")) or entry["slug"],
        visibility="list" if entry.get("visibility") == "list" else "hide",
        verbosity=entry.get("support_verbosity") is not False,
        **{name: value for name, value in told.items() if value not in (None, "", ())},
    )


def _read_efforts(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """None of them when there is none that a request may name: the defaults hold then."""
    levels = [_read_effort(level.get("effort")) for level in objects_of(entry.get("supported_reasoning_levels"))]
    known = tuple(dict.fromkeys(level for level in levels if level))
    return known if any(level != CLIENT_ONLY_EFFORT for level in known) else ()


def _read_effort(value: Any) -> str | None:
    return value if isinstance(value, str) and value in EFFORTS else None


def _read_texts(value: Any) -> tuple[str, ...]:
    return tuple(filter(None, map(text_of, value))) if isinstance(value, list) else ()


def _read_words(value: Any) -> str:
    """A text that a terminal may show."""
    return "".join(char if char.isprintable() else " " for char in text_of(value)[:MAX_WORDS_CHARS]).strip()


def _read_int(value: Any, *, least: int) -> int | None:
    return value if type(value) is int and value >= least else None
