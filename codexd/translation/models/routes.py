"""Model names: which models of the backend may answer to the name that a client asks for."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from attrs import frozen

from codexd.translation.models.catalogue import BUILT_IN, Catalogue

FAMILIES = ("opus", "sonnet", "fable", "haiku", "codex")
"""Names that the settings map: ``models.<family>``."""

CLAUDE_IDS: Mapping[str, str] = {
    "opus": "claude-opus-5-5",
    "sonnet": "claude-sonnet-5-5",
    "haiku": "claude-haiku-5-5",
    "fable": "claude-fable-5-2",
}
"""An id of each Claude family that Claude Code knows. For ids it doesn't know, it assumes high effort and short
answers."""


@frozen
class Route:
    """Where a model name leads: models of the backend in order of preference, and the family whose settings apply.

    ``is_plain``: the name is the model's own. ``is_default``: the name is unknown, so ``models.default`` answers.
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
        aliases: the setting ``models.aliases``: exact name or glob -> upstream model. Aliases come first.
        catalogue: the account's. Names in it lead to themselves.
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
    """``name`` without ``[1m]``, Claude Code's own mark for a large context window."""
    return name.removesuffix("[1m]")


def find_alias(asked: str, aliases: Mapping[str, str]) -> str | None:
    """What the setting ``models.aliases`` maps ``asked`` to. An exact name beats the first glob that matches."""
    name = strip_mark(asked)
    return aliases.get(name) or next((to for glob, to in aliases.items() if fnmatchcase(name, glob)), None)


def find_family(name: str) -> str | None:
    """``opus`` for ``opus`` and ``claude-opus-5-5``; None for a name without a family."""
    if name in FAMILIES:
        return name
    if not name.startswith("claude"):
        return None
    return next((family for family in FAMILIES if family in name), None)
