"""The models that clients are shown, as Anthropic and as OpenAI describe one. Source: anthropic-translation.md 5.

Listed are the account's models; then, for Claude Code, the Claude families, which are worth a choice because the
settings ``models.*`` say what they run on; then the user's own aliases. Claude Code's picker shows only ids that begin
with ``claude``, so there a model is ``claude-<slug>``; the router takes both names. No id ends in ``[1m]``: Claude Code
would believe in a window of a million tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from codexd.translation.kilo.models import KILO
from codexd.translation.models.routes import CLAUDE_IDS, MAX_OUTPUT_TOKENS, Catalogue, ModelInfo, route, strip_mark

UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""The backend does not say when a model came out; Anthropic's API has this for it."""


@frozen
class Offer:
    """A name that a client may ask for. ``model`` is what answers; None: a third party, of which nothing is known."""

    id: str
    title: str
    model: ModelInfo | None
    family: str | None = None
    owner: str = "openai"


@frozen
class Offers:
    """What can be asked for.

    Args:
        names: the settings ``models.*``: family (and ``default``) -> models in order of preference.
        aliases: the setting ``models.aliases``.
        catalogue: the account's.
        kilo_model: what the name ``kilo`` means; None: that route is closed.
    """

    names: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str]
    catalogue: Catalogue
    kilo_model: str | None = None

    def for_anthropic(self) -> list[Offer]:
        models = [_offer(f"claude-{model.slug}", model) for model in self.catalogue.listed]
        families = [self._resolve(name) for name in CLAUDE_IDS.values()]
        return _unique([*models, *families, *self._own()])

    def for_openai(self) -> list[Offer]:
        return _unique([*(_offer(model.slug, model) for model in self.catalogue.listed), *self._own()])

    def find(self, asked: str) -> Offer | None:
        """The offer of a name, listed or not; None for one that only the setting ``models.default`` would answer."""
        name = strip_mark(asked)
        if name == KILO and self.kilo_model is not None:
            return _kilo(self.kilo_model)
        found = route(name, self.names, self.aliases, self.catalogue)
        if found.is_default or (found.is_plain and self.catalogue.find(found.candidates[0]) is None):
            return None
        return self._resolve(name)

    def _own(self) -> Iterator[Offer]:
        """What the user's settings add."""
        for name in self.aliases:
            if not any(mark in name for mark in "*?["):
                yield self._resolve(name)
        if self.kilo_model is not None:
            yield _kilo(self.kilo_model)

    def _resolve(self, name: str) -> Offer:
        found = route(name, self.names, self.aliases, self.catalogue)
        model = self.catalogue.describe(self.catalogue.choose(found.candidates))
        if found.is_plain:
            return _offer(name, model)
        shown = found.family.capitalize() if found.family else name
        return Offer(name, f"{shown} on {model.slug} (Codex)", model, found.family)


def _offer(id_: str, model: ModelInfo) -> Offer:
    return Offer(id_, f"{model.display_name} (Codex)", model)


def _kilo(model: str) -> Offer:
    return Offer(KILO, f"Kilo on {model} (a third party)", None, owner="kilo")


def _unique(offers: list[Offer]) -> list[Offer]:
    return list({offer.id: offer for offer in reversed(offers)}.values())[::-1]


def to_anthropic(offer: Offer) -> dict[str, Any]:
    """A model as ``GET /v1/models`` of Anthropic has it; ``description`` is what Claude Code's picker shows beside."""
    entry: dict[str, Any] = {"type": "model", "id": offer.id, "display_name": offer.title, "created_at": UNKNOWN_DATE}
    entry |= {"lifecycle": "active", "deprecated_at": None, "retires_at": None}
    line = offer.family if offer.family in CLAUDE_IDS else None
    if offer.model is None:
        return {**entry, "line": line, "max_input_tokens": None, "max_tokens": None, "capabilities": None}
    return {
        **entry,
        "line": line,
        "description": f"{offer.model.slug} through codexd, {offer.model.context_window:,} tokens of context",
        "max_input_tokens": offer.model.context_window,
        "max_tokens": MAX_OUTPUT_TOKENS,
        "capabilities": _to_capabilities(offer.model),
    }


def _to_capabilities(model: ModelInfo) -> dict[str, Any]:
    """What is carried over of a request, and what this model can do with it."""
    yes, no = {"supported": True}, {"supported": False}
    images = yes if "image" in model.input_modalities else no
    efforts = {level: yes if level in model.efforts else no for level in ("low", "medium", "high", "xhigh", "max")}
    edits = ("clear_thinking_20251015", "clear_tool_uses_20250919", "compact_20260112")
    return {
        "batch": no,
        "citations": no,
        "code_execution": no,
        "context_management": {**no, **dict.fromkeys(edits, no)},
        "effort": {**yes, **efforts},
        "image_input": images,
        "pdf_input": images,
        "server_tools": {**yes, "web_search": yes, "code_execution": no},
        "structured_outputs": yes,
        "thinking": {**yes, "types": {"adaptive": yes, "enabled": yes}},
    }


def to_openai(offer: Offer) -> dict[str, Any]:
    return {"id": offer.id, "object": "model", "created": 0, "owned_by": offer.owner}
