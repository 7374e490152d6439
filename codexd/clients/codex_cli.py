"""How the Codex CLI is pointed at codexd: keys of its ``config.toml``. Pure.

The CLI can use another server without a login only through a custom provider. A project's configuration can't change
the provider; a profile's file can. The CLI refreshes a rejected token, and asks the server for what ``/status`` shows,
only if ``requires_openai_auth`` is set and it is signed in with ChatGPT (observed with the Codex CLI 0.171.0).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from codexd.clients.address import Address, hide_user_info
from codexd.settings.schema import Settings
from codexd.translation.models.catalogue import Catalogue
from codexd.translation.models.routes import route

MODEL, PROVIDER, CHATGPT_URL = "model", "model_provider", "chatgpt_base_url"
TABLES = "model_providers"
NAME = "codexd"
"""The provider's name in the CLI, and its key unless the user has another provider under that key."""

BUILT_IN_PROVIDER = "openai"


class Mode(Enum):
    CODEXD = "codexd"
    OPENAI = "openai"
    OTHER = "other"


def table_of(provider: str) -> str:
    return f"{TABLES}.{provider}"


def choose_provider(remembered: tuple[str, ...], tables: Mapping[str, Any]) -> str:
    """The key of codexd's provider: the one written before, or else one that the user does not use.

    Args:
        remembered: the names that codexd has written.
        tables: the providers in the file.
    """
    for name in remembered:
        if name.startswith(f"{TABLES}."):
            return name.removeprefix(f"{TABLES}.")
    keys = [NAME, *(f"{NAME}-{number}" for number in range(2, len(tables) + 3))]
    return next(key for key in keys if key not in tables or is_ours(tables[key]))


def is_ours(table: Any) -> bool:
    """Whether codexd wrote this provider, whatever its address and key."""
    if not isinstance(table, dict):
        return False
    other = make_table(Address("", ""), signed_in=False)
    steady = ("name", "wire_api", "supports_websockets")
    return set(table) - {"http_headers"} == set(other) and all(table[key] == other[key] for key in steady)


def make_table(address: Address, *, signed_in: bool) -> dict[str, Any]:
    """The table of codexd's provider."""
    table: dict[str, Any] = {
        "name": NAME,
        "base_url": f"{address.url}/v1",
        "wire_api": "responses",
        "requires_openai_auth": signed_in,
        "supports_websockets": False,
    }
    # The key goes in a header, because with a bearer token the CLI would not ask for the models.
    return table | ({"http_headers": {"x-api-key": address.key}} if address.key else {})


def shows_key(table: Mapping[str, Any], address: Address) -> bool:
    """Whether a provider sends the key of ``address``, or is the user's own, which may get it from elsewhere."""
    asked = make_table(address, signed_in=False).get("http_headers")
    return asked is None or table.get("http_headers") == asked or not is_ours(table)


def through_codexd(address: Address, provider: str, *, signed_in: bool, model: str | None = None) -> dict[str, Any]:
    """The values that point the Codex CLI at codexd.

    Args:
        address: codexd's.
        provider: the key of codexd's provider.
        signed_in: whether the CLI is signed in with ChatGPT. Only then does it ask codexd for limits and models.
        model: the model to start with, if not the file's own or the CLI's default.
    """
    models = {MODEL: model} if model else {}
    limits = {CHATGPT_URL: f"{address.url}/backend-api"} if signed_in else {}
    return {**models, **limits, PROVIDER: provider, table_of(provider): make_table(address, signed_in=signed_in)}


def find_mode(provider: Any, tables: Mapping[str, Any], address: Address) -> Mode:
    if provider in (None, "", BUILT_IN_PROVIDER):
        return Mode.OPENAI
    return Mode.CODEXD if base_url_of(provider, tables) == f"{address.url}/v1" else Mode.OTHER


def base_url_of(provider: Any, tables: Mapping[str, Any]) -> str | None:
    table = tables.get(provider) if isinstance(provider, str) else None
    url = table.get("base_url") if isinstance(table, dict) else None
    return url.rstrip("/") if isinstance(url, str) else None


def has_chatgpt_login(auth_json: str) -> bool:
    """Whether the text of an ``auth.json`` is a login with ChatGPT.

    Without ``auth_mode``, an ``OPENAI_API_KEY`` means a login with an API key.
    """
    try:
        login = json.loads(auth_json)
    except (ValueError, RecursionError):
        return False
    if not isinstance(login, dict) or not isinstance(login.get("tokens"), dict):
        return False
    mode = login.get("auth_mode") or ("apikey" if isinstance(login.get("OPENAI_API_KEY"), str) else "chatgpt")
    return mode == "chatgpt" and bool(login["tokens"].get("access_token"))


def choose_model(model: Any, settings: Settings, catalogue: Catalogue) -> str | None:
    """The model to set in place of the file's ``model``; None if that one can be used, or if the offer is unknown.

    Without a ChatGPT login the CLI never asks for the list of models, and starts with a default of its own.
    """
    if catalogue.is_built_in or not is_refused_model(model, settings, catalogue):
        return None
    return next((each.slug for each in catalogue.listed if each.slug not in catalogue.refused), None)


def is_refused_model(model: Any, settings: Settings, catalogue: Catalogue) -> bool:
    """Whether a request of the CLI would be refused, because ``catalogue`` lacks the model or there is none."""
    if not isinstance(model, str) or not model:
        return True
    found = route(model, settings.models.families, settings.models.aliases, catalogue)
    slug = found.candidates[0]
    return found.is_plain and (catalogue.find(slug) is None or slug in catalogue.refused)


def is_unknown_model(model: Any, settings: Settings) -> bool:
    """Whether codexd does not know the model name in the file, and so would use ``models.default``."""
    if not isinstance(model, str) or not model:
        return False
    found = route(model, settings.models.families, settings.models.aliases)
    return found.family is None and found.candidates == settings.models.default and model not in found.candidates


def show_value(value: Any) -> str:
    """``value`` as shown to the user: without secrets, and of a provider only what matters."""
    if not isinstance(value, dict):
        return hide_user_info(value if isinstance(value, str) else json.dumps(value, default=str))
    notes = {"http_headers": "with a key", "requires_openai_auth": "asks for limits"}
    return ", ".join([str(value.get("base_url")), *(note for key, note in notes.items() if value.get(key))])
