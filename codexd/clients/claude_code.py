"""What Claude Code is told so that it works through codexd: names and values of its environment. Pure.

Claude Code takes them from ``env`` of its settings file, which wins over the shell's environment; only the settings
of a project, ``--settings`` and an administrator win over that file.
Source: real-clients.md 2.1, 2.4 and 2.8 (Claude Code 2.1.330).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from codexd.clients.door import NO_KEY, Door, hide_user_info
from codexd.settings.schema import Settings
from codexd.translation.kilo.models import KILO
from codexd.translation.models.catalogue import BUILT_IN, Catalogue
from codexd.translation.models.routes import CLAUDE_IDS, find_family

BASE_URL = "ANTHROPIC_BASE_URL"
AUTH_TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 - the name of a variable
API_KEY = "ANTHROPIC_API_KEY"
COMPACT_WINDOW = "CLAUDE_CODE_AUTO_COMPACT_WINDOW"
DISCOVERY = "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"
"""With it the model picker lists what ``GET /v1/models`` offers (real-clients.md 2.2)."""

CHOSEN_MODELS = ("ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "CLAUDE_CODE_SUBAGENT_MODEL")
SECRETS = (AUTH_TOKEN, API_KEY)

LEAST_WINDOW_TOKENS = 100_000
"""Below it Claude Code takes no notice of the variable."""

MAX_DIGITS = 18
"""Of a number of tokens; Python refuses to read those of thousands."""

BYPASSES = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")

_ALIASES = ("default", "best", "opus", "sonnet", "haiku", "fable", "opusplan")


class Mode(Enum):
    CODEXD = "codexd"
    ANTHROPIC = "anthropic"
    OTHER = "other"


def family_key(family: str, part: str = "") -> str:
    """The variable of a model family; ``part``: ``_NAME`` and ``_DESCRIPTION`` are what the model picker shows."""
    return f"ANTHROPIC_DEFAULT_{family.upper()}_MODEL{part}"


FAMILY_KEYS = tuple(family_key(family, part) for family in CLAUDE_IDS for part in ("", "_NAME", "_DESCRIPTION"))
NAME_KEYS = tuple(family_key(family, "_NAME") for family in CLAUDE_IDS)
OWN_KEYS = (BASE_URL, AUTH_TOKEN, API_KEY, *CHOSEN_MODELS, *FAMILY_KEYS, COMPACT_WINDOW, DISCOVERY)
"""Every name that codexd writes or removes."""

Wanted = dict[str, str | None]
"""Name -> value, or None: it has to go."""


def through_codexd(
    door: Door,
    settings: Settings,
    before: Mapping[str, Any],
    catalogue: Catalogue = BUILT_IN,
    *,
    window: int | None = None,
) -> Wanted:
    """The values that lead to codexd.

    Args:
        door: where it listens.
        settings: codexd's own.
        before: what the names hold without codexd.
        catalogue: that of the active account.
        window: the size in tokens at which the user's own ``autoCompactWindow`` compacts.
    """
    wanted: Wanted = {BASE_URL: door.url, AUTH_TOKEN: door.token, API_KEY: None}
    for family, model in CLAUDE_IDS.items():
        used = catalogue.choose(getattr(settings.models, family))
        wanted[family_key(family)] = model
        wanted[family_key(family, "_NAME")] = used
        wanted[family_key(family, "_DESCRIPTION")] = f"{family.capitalize()} through codexd (models.{family})"
    wanted |= {key: None for key in CHOSEN_MODELS if _is_foreign(before.get(key), catalogue)}
    limit = context_window(settings, catalogue)
    chosen = _number(before.get(COMPACT_WINDOW)) or window
    if chosen is None or not LEAST_WINDOW_TOKENS <= chosen <= limit:
        wanted[COMPACT_WINDOW] = str(limit)
    if before.get(DISCOVERY) is None:
        wanted[DISCOVERY] = "1"
    return wanted


def earlier_names(shown: Mapping[str, Any], settings: Settings) -> Wanted:
    """Of the names that the picker is ``shown`` those that were written when the account was offered other models."""
    candidates = {family_key(family, "_NAME"): getattr(settings.models, family) for family in CLAUDE_IDS}
    return {key: name for key, name in shown.items() if name in candidates[key]}


def to_anthropic(api_key: str | None, before: Mapping[str, Any]) -> Wanted:
    """The values that lead to Anthropic's own servers, with ``api_key`` or else with the login that Claude Code has."""
    wanted: Wanted = {BASE_URL: None, AUTH_TOKEN: None}
    if api_key is not None:
        wanted[API_KEY] = api_key
    families = [family for family in CLAUDE_IDS if _is_foreign(before.get(family_key(family)))]
    wanted |= {family_key(family, part): None for family in families for part in ("", "_NAME", "_DESCRIPTION")}
    return wanted | {key: None for key in CHOSEN_MODELS if _is_foreign(before.get(key), gpt=True)}


def to_other(api_url: str, api_key: str | None) -> Wanted:
    """The values that lead to another server with Anthropic's API. The bearer token needs no approval, unlike a key."""
    wanted: Wanted = {BASE_URL: api_url}
    if api_key is not None:
        wanted |= {AUTH_TOKEN: api_key, API_KEY: None}
    return wanted


def context_window(settings: Settings, catalogue: Catalogue = BUILT_IN) -> int:
    """Tokens that the smallest of the mapped models takes: a session may move between families."""
    used = (catalogue.choose(getattr(settings.models, family)) for family in CLAUDE_IDS)
    return min(catalogue.describe(slug).context_window for slug in used)


def is_codexds(model: Any, catalogue: Catalogue) -> bool:
    """Whether a model name is one of those that the picker shows through codexd, and Anthropic does not know."""
    if not isinstance(model, str):
        return False
    name = model.removesuffix("[1m]").removeprefix("claude-")
    return name == KILO or name.startswith("gpt-") or catalogue.find(name) is not None


def shows_key(values: Mapping[str, Any], door: Door) -> bool:
    """Whether there is the key that ``door`` asks for; without either variable it may come from elsewhere."""
    shown = [values[name] for name in SECRETS if values.get(name)]
    return door.key is None or not shown or door.key in shown


def find_mode(base_url: Any, door: Door) -> Mode:
    if not base_url:
        return Mode.ANTHROPIC
    return Mode.CODEXD if str(base_url).rstrip("/").lower() == door.url else Mode.OTHER


def show_value(name: str, value: Any) -> str:
    """``value`` for the user's eyes: no secret, and no password in an address."""
    text = value if isinstance(value, str) else json.dumps(value)
    if name in SECRETS:
        return text if text == NO_KEY else "(secret)"
    return hide_user_info(text)


def _is_foreign(model: Any, catalogue: Catalogue = BUILT_IN, *, gpt: bool = False) -> bool:
    """Whether a model name means nothing to the server; ``gpt``: neither do the names that only codexd knows."""
    if not isinstance(model, str) or not model:
        return False
    name = model.lower().removesuffix("[1m]")
    if name in _ALIASES or name.startswith("claude"):
        return False
    return gpt or not (name.startswith("gpt-") or find_family(name) or catalogue.find(name))


def _number(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= MAX_DIGITS else None
