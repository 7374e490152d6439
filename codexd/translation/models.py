"""Model names: what the client asks for, what the backend is asked for, and what that model can do.

``catalogue.json`` is the only place that lists models: an account's own catalogue replaces it once that is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from importlib.resources import files

from attrs import frozen
from cattrs import structure

from codexd.translation import jsontext

FAMILIES = ("opus", "sonnet", "fable", "haiku", "codex")
"""Names that the settings map: ``models.<family>``."""

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
"""Every reasoning effort, weakest first."""

_CLIENT_ONLY_EFFORT = "ultra"
"""The catalogue lists it, but the official client sends ``max`` for it (codex-backend.md 2.2)."""

MAX_OUTPUT_TOKENS = 128_000
"""The longest answer of any model here."""

DEFAULT_WINDOW_TOKENS = 272_000
"""The context window of a model that no catalogue lists."""

_EFFORTS_OF_UNKNOWN_MODELS = ("low", "medium", "high", "xhigh")
"""What every Codex model of 2026 takes (codex-backend.md 5.5)."""


@frozen
class ModelInfo:
    """One entry of the catalogue.

    ``context_window`` is in tokens; ``visibility`` is ``list`` or ``hide``; the lowest ``priority`` comes first.
    """

    slug: str
    display_name: str
    priority: int
    visibility: str
    context_window: int
    efforts: tuple[str, ...]
    default_effort: str | None
    verbosity: bool
    input_modalities: tuple[str, ...]
    service_tiers: tuple[str, ...]


@frozen
class Catalogue:
    """The models that an account is offered."""

    models: tuple[ModelInfo, ...]

    def find(self, slug: str) -> ModelInfo | None:
        return next((model for model in self.models if model.slug == slug), None)

    def describe(self, slug: str) -> ModelInfo:
        """What is known of ``slug``; of a model that is not listed, what every Codex model of 2026 can do."""
        return self.find(slug) or ModelInfo(
            slug=slug,
            display_name=slug,
            priority=1000,
            visibility="hide",
            context_window=DEFAULT_WINDOW_TOKENS,
            efforts=_EFFORTS_OF_UNKNOWN_MODELS,
            default_effort=None,
            verbosity=True,
            input_modalities=("text", "image"),
            service_tiers=(),
        )


def _load_catalogue() -> Catalogue:
    text = files("codexd.translation").joinpath("catalogue.json").read_bytes()
    return Catalogue(structure(jsontext.loads(text)["models"], tuple[ModelInfo, ...]))


BUILT_IN = _load_catalogue()
"""What the official client lists offline; used while the account's own catalogue is not known."""


@frozen
class Route:
    """Where a model name leads: upstream models in order of preference, and the family whose settings apply."""

    asked: str
    candidates: tuple[str, ...]
    family: str | None


def route(
    asked: str, names: Mapping[str, tuple[str, ...]], aliases: Mapping[str, str], catalogue: Catalogue = BUILT_IN
) -> Route:
    """The route of the model name ``asked``.

    Args:
        asked: as the client wrote it; a ``[1m]`` suffix is Claude Code's own mark and does not count.
        names: the settings ``models.*``: family (and ``default``) -> upstream models in order of preference.
        aliases: the setting ``models.aliases``: exact name or glob -> upstream model; looked at first.
        catalogue: whose names pass through.
    """
    name = asked.removesuffix("[1m]")
    alias = find_alias(name, aliases)
    family = find_family(name)
    if alias is not None:
        return Route(asked, (alias,), family)
    slug = name.removeprefix("claude-")
    if slug.startswith("gpt-") or catalogue.find(slug):
        return Route(asked, (slug,), None)
    return Route(asked, names[family or "default"], family)


def find_alias(asked: str, aliases: Mapping[str, str]) -> str | None:
    """What the setting ``models.aliases`` maps ``asked`` to: its exact name before the first glob that fits."""
    name = asked.removesuffix("[1m]")
    return aliases.get(name) or next((to for glob, to in aliases.items() if fnmatchcase(name, glob)), None)


def find_family(name: str) -> str | None:
    """``opus`` for ``opus`` and ``claude-opus-5-5``; None for a name of no family."""
    if name in FAMILIES:
        return name
    if not name.startswith("claude"):
        return None
    return next((family for family in FAMILIES if family in name), None)


def without_refused(candidates: tuple[str, ...], refused: Collection[str]) -> tuple[str, ...]:
    """The candidates that the backend has not refused; all of them when it refused each."""
    return tuple(slug for slug in candidates if slug not in refused) or candidates


def clamp_effort(effort: str, model: ModelInfo) -> str:
    """The strongest effort that ``model`` takes and that is not above ``effort``; else its weakest."""
    ceiling = EFFORTS.index(effort)
    ranked = sorted((level for level in model.efforts if level != _CLIENT_ONLY_EFFORT), key=EFFORTS.index)
    return next((level for level in reversed(ranked) if EFFORTS.index(level) <= ceiling), ranked[0])
