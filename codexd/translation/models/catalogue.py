"""What a model can do: the catalogue of an account, read from the backend, and the built-in one.

``catalogue.json`` holds the models that the official client lists offline. It is used until the account's own catalogue
is known. No other file of codexd lists models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from attrs import frozen
from cattrs import structure

from codexd import jsontext
from codexd.translation.backend import objects_of, text_of

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
"""Every reasoning effort, weakest first."""

CLIENT_ONLY_EFFORT = "ultra"
"""Catalogues list it, but the backend does not accept it: the official client sends ``ultra_effort`` in its place."""

VERBOSITIES = ("low", "medium", "high")

MAX_OUTPUT_TOKENS = 128_000
"""The longest answer of any model here."""

DEFAULT_WINDOW_TOKENS = 272_000
"""The context window of a model that no catalogue lists."""

EFFORTS_OF_UNKNOWN_MODELS = ("low", "medium", "high", "xhigh")
"""What every Codex model of 2026 accepts."""

MAX_SLUG_CHARS = 200
MAX_LABEL_CHARS = 500

_VERSION = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6}){1,3}")


def read_version(text: str) -> tuple[int, ...]:
    """The version of a client, such as ``0.171.0``, as numbers that can be compared; () for any other text."""
    return tuple(map(int, text.split("."))) if _VERSION.fullmatch(text) else ()


@frozen
class ModelInfo:
    """One model. The defaults describe a model that no catalogue lists.

    ``context_window`` is in tokens; ``visibility`` is ``list`` or ``hide``; the lowest ``priority`` comes first.
    ``ultra_effort`` is what ``ultra`` stands for, if not the strongest effort. ``default_tier`` and
    ``default_verbosity`` are what the official client sends unless its user chose otherwise. ``is_lite``: whether the
    official client uses Responses Lite, if known. ``minimal_client_version``: the backend refuses the model to a
    client that claims less.
    """

    slug: str
    display_name: str
    priority: int = 1000
    visibility: str = "hide"
    context_window: int = DEFAULT_WINDOW_TOKENS
    efforts: tuple[str, ...] = EFFORTS_OF_UNKNOWN_MODELS
    default_effort: str | None = None
    verbosity: bool = True
    input_modalities: tuple[str, ...] = ("text", "image")
    service_tiers: tuple[str, ...] = ()
    description: str = ""
    ultra_effort: str | None = None
    default_tier: str | None = None
    default_verbosity: str | None = None
    is_lite: bool | None = None
    minimal_client_version: str | None = None

    @property
    def takes_lite(self) -> bool:
        """Whether a request in the form of Responses Lite may go to the model; it is refused where it does not."""
        return self.is_lite is not False

    def clamp_effort(self, effort: str) -> str:
        """The strongest effort that the model accepts and that is not above ``effort``; else its weakest."""
        if effort == CLIENT_ONLY_EFFORT and self.ultra_effort in self.efforts:
            return self.ultra_effort
        ceiling = EFFORTS.index(effort)
        ranked = sorted((level for level in self.efforts if level != CLIENT_ONLY_EFFORT), key=EFFORTS.index)
        return next((level for level in reversed(ranked) if EFFORTS.index(level) <= ceiling), ranked[0])


@frozen
class Catalogue:
    """The models that an account is offered.

    ``is_built_in``: a guess, which knows what models can do but not which of them the account is offered.
    ``refused``: models that the backend has refused to serve to the account, listed or not.
    """

    models: tuple[ModelInfo, ...]
    is_built_in: bool = False
    refused: frozenset[str] = frozenset()

    @property
    def listed(self) -> tuple[ModelInfo, ...]:
        """The models meant for people to choose from, the preferred ones first."""
        return tuple(sorted((m for m in self.models if m.visibility == "list"), key=lambda model: model.priority))

    def find(self, slug: str) -> ModelInfo | None:
        return next((model for model in self.models if model.slug == slug), None)

    def describe(self, slug: str) -> ModelInfo:
        """What is known of ``slug``; for a model that no catalogue lists, what every Codex model of 2026 can do."""
        return self.find(slug) or BUILT_IN.find(slug) or ModelInfo(slug=slug, display_name=slug)

    def choose(self, candidates: tuple[str, ...]) -> str:
        """The first candidate that is offered and was not refused; if none is offered, the first not refused."""
        left = [slug for slug in candidates if slug not in self.refused] or candidates
        return next((slug for slug in left if self.find(slug)), left[0])


def explain_refusal(slug: str, catalogue: Catalogue, *, said: str, announced: str, plan: str | None) -> str:
    """Why the backend may have refused the model ``slug``, and what to do, in full sentences.

    ``said`` are the backend's own words; ``announced`` is the client version that the request claimed.
    """
    needed = catalogue.describe(slug).minimal_client_version
    facts = [f"codexd announces Codex {announced}"]
    facts += [f"the model needs {needed}"] if needed else []
    facts += [f"your plan is {plan}"] if plan else []
    is_too_old = needed is not None and read_version(announced) < read_version(needed)
    other = next((model.slug for model in catalogue.listed if model.slug not in (slug, *catalogue.refused)), None)
    advice = [f"raise the setting upstream.client_version to {needed}"] if is_too_old else []
    advice += [f"choose another model, such as {other}"] if other else []
    end = f" To go on, {' or '.join(advice)}." if advice else ""
    return f"The backend does not offer {slug} to this account ({said.rstrip('.')}): {', '.join(facts)}.{end}"


def _load_built_in() -> Catalogue:
    text = files("codexd.translation.models").joinpath("catalogue.json").read_bytes()
    return Catalogue(structure(jsontext.loads(text)["models"], tuple[ModelInfo, ...]), is_built_in=True)


BUILT_IN = _load_built_in()


# -- the backend's list of models -----------------------------------------------------------------
# It changes often: a field that is missing or odd gets ModelInfo's default, and an entry that does not name a model is
# left out.


def read_catalogue(entries: Iterable[Mapping[str, Any]]) -> Catalogue:
    """The models of ``entries``; of two with the same slug, the first wins."""
    models: dict[str, ModelInfo] = {}
    for entry in entries:
        if is_entry(entry):
            models.setdefault(entry["slug"], _read_model(entry))
    return Catalogue(tuple(models.values()))


def is_entry(entry: Any) -> bool:
    """Whether ``entry`` names a model."""
    slug = text_of(entry.get("slug")) if isinstance(entry, dict) else ""
    return 0 < len(slug) <= MAX_SLUG_CHARS and slug.isprintable()


def _read_model(entry: Mapping[str, Any]) -> ModelInfo:
    found: dict[str, Any] = {
        "priority": _read_int(entry.get("priority"), least=0),
        "context_window": _read_int(entry.get("context_window"), least=1),
        "efforts": _read_efforts(entry),
        "default_effort": _read_effort(entry.get("default_reasoning_level")),
        "input_modalities": _read_texts(entry.get("input_modalities")),
        "service_tiers": tuple(text_of(tier.get("id")) for tier in objects_of(entry.get("service_tiers"))),
        "description": _read_label(entry.get("description")),
        "ultra_effort": _read_effort(entry.get("multi_agent_reasoning_effort")),
        "default_tier": text_of(entry.get("default_service_tier")),
        "default_verbosity": _read_verbosity(entry.get("default_verbosity")),
        "is_lite": _read_bool(entry.get("use_responses_lite")),
        "minimal_client_version": _read_version(entry.get("minimal_client_version")),
    }
    return ModelInfo(
        slug=entry["slug"],
        display_name=_read_label(entry.get("display_name")) or entry["slug"],
        visibility="list" if entry.get("visibility") == "list" else "hide",
        verbosity=entry.get("support_verbosity") is not False,
        **{name: value for name, value in found.items() if value not in (None, "", ())},
    )


def _read_efforts(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The known efforts of a model; empty if a request could use none of them, so that the defaults apply."""
    levels = [_read_effort(level.get("effort")) for level in objects_of(entry.get("supported_reasoning_levels"))]
    known = tuple(dict.fromkeys(level for level in levels if level))
    return known if any(level != CLIENT_ONLY_EFFORT for level in known) else ()


def _read_effort(value: Any) -> str | None:
    return value if isinstance(value, str) and value in EFFORTS else None


def _read_verbosity(value: Any) -> str | None:
    return value if isinstance(value, str) and value in VERBOSITIES else None


def _read_version(value: Any) -> str | None:
    return value if read_version(text_of(value)) else None


def _read_bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _read_texts(value: Any) -> tuple[str, ...]:
    return tuple(filter(None, map(text_of, value))) if isinstance(value, list) else ()


def _read_label(value: Any) -> str:
    """A text that is safe to show in a terminal."""
    return "".join(char if char.isprintable() else " " for char in text_of(value)[:MAX_LABEL_CHARS]).strip()


def _read_int(value: Any, *, least: int) -> int | None:
    return value if type(value) is int and value >= least else None
