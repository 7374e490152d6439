"""What the Codex CLI is told so that it works through codexd: keys of its ``config.toml``. Pure.

A provider of its own is the only way to another server that needs no login of the CLI. A project's configuration can't
change the provider; a profile's file can. The CLI has a refused token refreshed and asks for ``/status`` only where
``requires_openai_auth`` is set and it is signed in with ChatGPT.
Source: real-clients.md 3.1, 3.2 and 3.6, and the Codex CLI 0.169.0 at work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from codexd.clients.door import Door, hide_user_info
from codexd.settings.schema import Settings
from codexd.translation.models.routes import route

PROVIDER, CHATGPT_URL = "model_provider", "chatgpt_base_url"
TABLES = "model_providers"
NAME = "codexd"
"""Of the provider, as the CLI shows it; and its key, unless the user has another provider there."""

BUILT_IN_PROVIDER = "openai"


class Mode(Enum):
    CODEXD = "codexd"
    OPENAI = "openai"
    OTHER = "other"


def table_of(provider: str) -> str:
    return f"{TABLES}.{provider}"


def choose_provider(remembered: tuple[str, ...], tables: Mapping[str, Any]) -> str:
    """The key of our provider: the one that was written before, else one at which the user has no provider.

    Args:
        remembered: the names that codexd has written.
        tables: the providers of the file.
    """
    for name in remembered:
        if name.startswith(f"{TABLES}."):
            return name.removeprefix(f"{TABLES}.")
    keys = [NAME, *(f"{NAME}-{number}" for number in range(2, len(tables) + 3))]
    return next(key for key in keys if key not in tables or is_ours(tables[key]))


def is_ours(table: Any) -> bool:
    """Whether a provider says what codexd says, whatever the address and the key."""
    if not isinstance(table, dict):
        return False
    other = make_table(Door("", ""), signed_in=False)
    steady = ("name", "wire_api", "supports_websockets")
    return set(table) - {"http_headers"} == set(other) and all(table[key] == other[key] for key in steady)


def make_table(door: Door, *, signed_in: bool) -> dict[str, Any]:
    """Our provider."""
    table: dict[str, Any] = {
        "name": NAME,
        "base_url": f"{door.url}/v1",
        "wire_api": "responses",
        "requires_openai_auth": signed_in,
        "supports_websockets": False,
    }
    # As a header, for a bearer token would make the CLI leave out the question for the models.
    return table | ({"http_headers": {"x-api-key": door.key}} if door.key else {})


def shows_key(table: Mapping[str, Any], door: Door) -> bool:
    """Whether a provider has the key that ``door`` asks for; one of the user's own may have it from elsewhere."""
    asked = make_table(door, signed_in=False).get("http_headers")
    return asked is None or table.get("http_headers") == asked or not is_ours(table)


def through_codexd(door: Door, provider: str, *, signed_in: bool) -> dict[str, Any]:
    """The values that lead to codexd.

    Args:
        door: where it listens.
        provider: the key of our provider.
        signed_in: the CLI has a login with ChatGPT. Only then does it ask for limits, and that at codexd.
    """
    limits = {CHATGPT_URL: f"{door.url}/backend-api"} if signed_in else {}
    return {**limits, PROVIDER: provider, table_of(provider): make_table(door, signed_in=signed_in)}


def find_mode(provider: Any, tables: Mapping[str, Any], door: Door) -> Mode:
    if provider in (None, "", BUILT_IN_PROVIDER):
        return Mode.OPENAI
    return Mode.CODEXD if base_url_of(provider, tables) == f"{door.url}/v1" else Mode.OTHER


def base_url_of(provider: Any, tables: Mapping[str, Any]) -> str | None:
    table = tables.get(provider) if isinstance(provider, str) else None
    url = table.get("base_url") if isinstance(table, dict) else None
    return url.rstrip("/") if isinstance(url, str) else None


def has_chatgpt_login(auth_json: str) -> bool:
    """Whether the text of an ``auth.json`` is a login with ChatGPT. Source: codex-backend.md 1.8."""
    try:
        login = json.loads(auth_json)
    except (ValueError, RecursionError):
        return False
    if not isinstance(login, dict) or not isinstance(login.get("tokens"), dict):
        return False
    mode = login.get("auth_mode") or ("apikey" if isinstance(login.get("OPENAI_API_KEY"), str) else "chatgpt")
    return mode == "chatgpt" and bool(login["tokens"].get("access_token"))


def is_unknown_model(model: Any, settings: Settings) -> bool:
    """Whether a model name of the file means nothing to codexd, which then takes ``models.default``."""
    if not isinstance(model, str) or not model:
        return False
    found = route(model, settings.models.families, settings.models.aliases)
    return found.family is None and found.candidates == settings.models.default and model not in found.candidates


def show_value(value: Any) -> str:
    """``value`` for the user's eyes: no secret, and of a provider what matters."""
    if not isinstance(value, dict):
        return hide_user_info(value if isinstance(value, str) else json.dumps(value, default=str))
    known = {"http_headers": "with a key", "requires_openai_auth": "asks for limits"}
    return ", ".join([str(value.get("base_url")), *(told for key, told in known.items() if value.get(key))])
