"""Model names: what the client asks for, what the backend is asked for, and what that model can do.

``catalogue.json`` is the only place that lists models: an account's own catalogue, which ``model_entries`` reads,
replaces it once that is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from importlib.resources import files

from attrs import frozen
from cattrs import structure

from codexd import jsontext

FAMILIES = ("opus", "sonnet", "fable", "haiku", "codex")
"""Names that the settings map: ``models.<family>``."""

CLAUDE_IDS: Mapping[str, str] = {
    "opus": "claude-opus-5-5",
    "sonnet": "claude-sonnet-5-5",
    "haiku": "claude-haiku-5-5",
    "fable": "claude-fable-5-2",
}
"""Of each Claude family the id that Claude Code knows: for others it assumes high effort and short answers."""

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
"""Every reasoning effort, weakest first."""

CLIENT_ONLY_EFFORT = "ultra"
"""The catalogue lists it, but the official client sends ``max`` for it (codex-backend.md 2.2)."""

MAX_OUTPUT_TOKENS = 128_000
"""The longest answer of any model here."""

DEFAULT_WINDOW_TOKENS = 272_000
"""The context window of a model that no catalogue lists."""

EFFORTS_OF_UNKNOWN_MODELS = ("low", "medium", "high", "xhigh")
"""What every Codex model of 2026 takes (codex-backend.md 5.5)."""


@frozen
class ModelInfo:
    """One entry of the catalogue; the defaults are what holds of a model that nobody lists.

    ``context_window`` is in tokens; ``visibility`` is ``list`` or ``hide``; the lowest ``priority`` comes first.
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


@frozen
class Catalogue:
    """The models that an account is offered.

    ``is_built_in``: a guess, which tells what models can do, but not which of them the account is offered.
    ``refused``: what the backend would not serve to it, listed or not.
    """

    models: tuple[ModelInfo, ...]
    is_built_in: bool = False
    refused: frozenset[str] = frozenset()

    @property
    def listed(self) -> tuple[ModelInfo, ...]:
        """Those that are meant to be chosen by people, the preferred ones first."""
        return tuple(sorted((m for m in self.models if m.visibility == "list"), key=lambda model: model.priority))

    def find(self, slug: str) -> ModelInfo | None:
        return next((model for model in self.models if model.slug == slug), None)

    def describe(self, slug: str) -> ModelInfo:
        """What is known of ``slug``; of a model that nobody lists, what every Codex model of 2026 can do."""
        return self.find(slug) or BUILT_IN.find(slug) or ModelInfo(slug=slug, display_name=slug)

    def choose(self, candidates: tuple[str, ...]) -> str:
        """The first that is offered and was not refused; where the offer is not known, the first not refused."""
        left = [slug for slug in candidates if slug not in self.refused] or candidates
        offered = (slug for slug in left if self.is_built_in or self.find(slug))
        return next(offered, left[0])


def _load_catalogue() -> Catalogue:
    text = files("codexd.translation.models").joinpath("catalogue.json").read_bytes()
    return Catalogue(structure(jsontext.loads(text)["models"], tuple[ModelInfo, ...]), is_built_in=True)


BUILT_IN = _load_catalogue()
"""What the official client lists offline; used while the account's own catalogue is not known."""


@frozen
class Route:
    """Where a model name leads: upstream models in order of preference, and the family whose settings apply.

    ``is_plain``: the name is the model's own; ``is_default``: it means nothing, so that ``models.default`` answers.
    """

    asked: str
    candidates: tuple[str, ...]
    family: str | None
    is_plain: bool = False
    is_default: bool = False


def route(
    asked: str, names: Mapping[str, tuple[str, ...]], aliases: Mapping[str, str], catalogue: Catalogue = BUILT_IN
) -> Route:
    """The route of the model name ``asked``.

    Args:
        asked: as the client wrote it.
        names: the settings ``models.*``: family (and ``default``) -> upstream models in order of preference.
        aliases: the setting ``models.aliases``: exact name or glob -> upstream model; looked at first.
        catalogue: whose names pass through.
    """
    name = strip_mark(asked)
    alias = find_alias(name, aliases)
    family = find_family(name)
    if alias is not None:
        return Route(asked, (alias,), family)
    slug = name.removeprefix("claude-")
    if slug.startswith("gpt-") or catalogue.find(slug):
        return Route(asked, (slug,), None, is_plain=True)
    return Route(asked, names[family or "default"], family, is_default=family is None)


def strip_mark(name: str) -> str:
    """Without ``[1m]``, which is Claude Code's own mark for a large window."""
    return name.removesuffix("[1m]")


def find_alias(asked: str, aliases: Mapping[str, str]) -> str | None:
    """What the setting ``models.aliases`` maps ``asked`` to: its exact name before the first glob that fits."""
    name = strip_mark(asked)
    return aliases.get(name) or next((to for glob, to in aliases.items() if fnmatchcase(name, glob)), None)


def find_family(name: str) -> str | None:
    """``opus`` for ``opus`` and ``claude-opus-5-5``; None for a name of no family."""
    if name in FAMILIES:
        return name
    if not name.startswith("claude"):
        return None
    return next((family for family in FAMILIES if family in name), None)


def clamp_effort(effort: str, model: ModelInfo) -> str:
    """The strongest effort that ``model`` takes and that is not above ``effort``; else its weakest."""
    ceiling = EFFORTS.index(effort)
    ranked = sorted((level for level in model.efforts if level != CLIENT_ONLY_EFFORT), key=EFFORTS.index)
    return next((level for level in reversed(ranked) if EFFORTS.index(level) <= ceiling), ranked[0])
