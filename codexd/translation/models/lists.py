"""The models that clients are shown, in Anthropic's form and in OpenAI's.

The list starts with the account's models. Claude Code then gets the Claude families, because the settings ``models.*``
decide what each of them runs on. The user's own aliases come last. Claude Code's picker shows only ids that begin with
``claude``, so there a model is called ``claude-<slug>``; the router accepts both names. No id ends in ``[1m]``, which
would make Claude Code assume a context window of a million tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from codexd.translation.kilo.models import KILO
from codexd.translation.models.catalogue import MAX_OUTPUT_TOKENS, Catalogue, ModelInfo
from codexd.translation.models.routes import CLAUDE_IDS, route, strip_mark

UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""What Anthropic's API shows for an unknown release date; the backend never gives one."""


@frozen
class Offer:
    """A name that a client may ask for. ``model`` is the model that answers, or None if a third party serves it."""

    id: str
    title: str
    model: ModelInfo | None
    family: str | None = None
    owner: str = "openai"

    def to_anthropic(self) -> dict[str, Any]:
        """The model in Anthropic's ``GET /v1/models``. Claude Code's picker shows ``description`` beside the name."""
        entry: dict[str, Any] = {"type": "model", "id": self.id, "display_name": self.title, "created_at": UNKNOWN_DATE}
        entry |= {"lifecycle": "active", "deprecated_at": None, "retires_at": None}
        line = self.family if self.family in CLAUDE_IDS else None
        if self.model is None:
            return {**entry, "line": line, "max_input_tokens": None, "max_tokens": None, "capabilities": None}
        return {
            **entry,
            "line": line,
            "description": f"{self.model.slug} through codexd, {self.model.context_window:,} tokens of context",
            "max_input_tokens": self.model.context_window,
            "max_tokens": MAX_OUTPUT_TOKENS,
            "capabilities": _to_capabilities(self.model),
        }

    def to_openai(self) -> dict[str, Any]:
        """The model in OpenAI's ``GET /v1/models``, with its sizes under the names that many gateways give them."""
        entry: dict[str, Any] = {"id": self.id, "object": "model", "created": 0, "owned_by": self.owner}
        if self.model is None:
            return entry
        window = self.model.context_window
        return {**entry, "context_window": window, "context_length": window, "max_output_tokens": MAX_OUTPUT_TOKENS}


@frozen
class Offers:
    """Everything that a client may ask for.

    Args:
        names: the settings ``models.*``: family (and ``default``) -> models in order of preference.
        aliases: the setting ``models.aliases``.
        catalogue: the account's.
        kilo_model: the model behind the name ``kilo``; None if Kilo is turned off.
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
        """The offer behind a name, listed or not; None for a name that only ``models.default`` would answer."""
        name = strip_mark(asked)
        if name == KILO and self.kilo_model is not None:
            return _offer_kilo(self.kilo_model)
        found = route(name, self.names, self.aliases, self.catalogue)
        if found.is_default or (found.is_plain and self.catalogue.find(found.candidates[0]) is None):
            return None
        return self._resolve(name)

    def _own(self) -> Iterator[Offer]:
        """The names that the user's settings add."""
        for name in self.aliases:
            if not any(mark in name for mark in "*?["):
                yield self._resolve(name)
        if self.kilo_model is not None:
            yield _offer_kilo(self.kilo_model)

    def _resolve(self, name: str) -> Offer:
        found = route(name, self.names, self.aliases, self.catalogue)
        model = self.catalogue.describe(self.catalogue.choose(found.candidates))
        if found.is_plain:
            return _offer(name, model)
        shown = found.family.capitalize() if found.family else name
        return Offer(name, f"{shown} on {model.slug} (Codex)", model, found.family)


def _offer(id_: str, model: ModelInfo) -> Offer:
    return Offer(id_, f"{model.display_name} (Codex)", model)


def _offer_kilo(model: str) -> Offer:
    return Offer(KILO, f"Kilo on {model} (a third party)", None, owner="kilo")


def _unique(offers: list[Offer]) -> list[Offer]:
    return list({offer.id: offer for offer in reversed(offers)}.values())[::-1]


def _to_capabilities(model: ModelInfo) -> dict[str, Any]:
    """What this model can do, as far as the translation supports it."""
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
