"""``GET /v1/models`` and ``/v1/models/{id}``, in the shape of the client that asks.

The Codex CLI gets the backend's own entries. While they are unknown it gets a 404, which it handles well: it keeps its
built-in list, including the prompts, which made-up entries would replace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from attrs import field, frozen

from codexd import jsontext
from codexd.accounts.catalogues import Catalogues
from codexd.accounts.store.store import AccountStore
from codexd.errors import ModelNotFound, RequestInvalid
from codexd.settings.schema import Settings
from codexd.translation.models.lists import Offers
from codexd.translation.models.routes import strip_mark
from codexd.web.caller import Shape
from codexd.web.http import Request

MAX_LIMIT = 1000
DEFAULT_LIMIT = 20


@frozen
class JsonAnswer:
    """A JSON answer."""

    body: bytes
    headers: Mapping[str, str] = field(factory=dict)


@frozen
class ModelLists:
    """The models of the active account. ``settings`` returns the current settings."""

    settings: Callable[[], Settings]
    store: AccountStore
    catalogues: Catalogues

    def list_all(self, request: Request) -> JsonAnswer:
        """The list. Anthropic's is paginated: the query may have ``limit``, ``after_id`` and ``before_id``.

        Raises:
            ModelNotFound: the Codex CLI asks, and the backend's list is not known.
        """
        match request.caller.shape:
            case Shape.CODEX:
                raw, headers = self._raw()
                return JsonAnswer(b'{"models":' + raw + b"}", headers)
            case Shape.OPENAI:
                listed = [offer.to_openai() for offer in self._offers().for_openai()]
                return _to_answer({"object": "list", "data": listed})
            case Shape.ANTHROPIC:
                entries = [offer.to_anthropic() for offer in self._offers().for_anthropic()]
                return _to_answer(_page(entries, dict(parse_qsl(request.query))))

    def show(self, name: str, request: Request) -> JsonAnswer:
        """One model, by any name that leads to it.

        Raises:
            ModelNotFound
        """
        asked = unquote(name)
        shape = request.caller.shape
        if shape is Shape.CODEX:
            raw, headers = self._raw()
            entry = next((entry for entry in jsontext.loads(raw) if entry["slug"] == strip_mark(asked)), None)
            return JsonAnswer(jsontext.dumps(entry), headers) if entry else _refuse(asked)
        offer = self._offers().find(asked)
        if offer is None:
            return _refuse(asked)
        return _to_answer(offer.to_anthropic() if shape is Shape.ANTHROPIC else offer.to_openai())

    def _offers(self) -> Offers:
        settings = self.settings()
        models, kilo = settings.models, settings.kilo
        catalogue = self.catalogues.of(self.store.active)
        return Offers(models.families, models.aliases, catalogue, kilo.model if kilo.enabled else None)

    def _raw(self) -> tuple[bytes, dict[str, str]]:
        known = self.catalogues.raw(self.store.active)
        if known is None:
            raise ModelNotFound("codexd does not know the backend's list of models yet; use the built-in list")
        raw, etag = known
        return raw, {"etag": etag} if etag else {}


def _to_answer(document: Any) -> JsonAnswer:
    return JsonAnswer(jsontext.dumps(document))


def _refuse(name: str) -> JsonAnswer:
    raise ModelNotFound(f"there is no model {name[:200]!r}; GET /v1/models lists the models")


def _page(entries: list[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    limit = _read_limit(query.get("limit"))
    ids = [entry["id"] for entry in entries]
    if after := query.get("after_id"):
        entries = entries[ids.index(after) + 1 :] if after in ids else []
    elif before := query.get("before_id"):
        entries = entries[: ids.index(before)][-limit:] if before in ids else []
    page = entries[:limit]
    return {
        "data": page,
        "has_more": len(entries) > len(page),
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def _read_limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_LIMIT:
        raise RequestInvalid("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    return int(text)
