"""How Claude Code is pointed at codexd: the variables of its environment. Pure.

Claude Code takes them from ``env`` in its settings file, which overrides the shell's environment. Only the settings of
a project, ``--settings`` and an administrator's settings override that file (Claude Code 2.1.332).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from codexd.clients.address import NO_KEY, Address, hide_user_info
from codexd.settings.schema import Settings
from codexd.translation.kilo.models import KILO
from codexd.translation.models.catalogue import BUILT_IN, Catalogue
from codexd.translation.models.routes import CLAUDE_IDS, find_family

BASE_URL = "ANTHROPIC_BASE_URL"
AUTH_TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 - the name of a variable
API_KEY = "ANTHROPIC_API_KEY"
COMPACT_WINDOW = "CLAUDE_CODE_AUTO_COMPACT_WINDOW"
DISCOVERY = "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"
"""With it the model picker lists what ``GET /v1/models`` offers."""

CHOSEN_MODELS = ("ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "CLAUDE_CODE_SUBAGENT_MODEL")
SECRETS = (AUTH_TOKEN, API_KEY)

MIN_WINDOW_TOKENS = 100_000
"""Claude Code ignores a smaller ``COMPACT_WINDOW``."""

MAX_DIGITS = 18
"""The most digits of a number of tokens: Python refuses to parse a number with thousands of digits."""

BYPASSES: Mapping[str, str] = {
    "CLAUDE_CODE_USE_BEDROCK": "Amazon Bedrock",
    "CLAUDE_CODE_USE_VERTEX": "Google Vertex AI",
    "CLAUDE_CODE_USE_FOUNDRY": "Microsoft Foundry",
    "CLAUDE_CODE_USE_MANTLE": "Amazon Bedrock (Mantle)",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS": "Claude Platform on AWS",
    "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD": "Claude Platform on Google Cloud",
    "CLAUDE_CODE_USE_GATEWAY": "a Claude gateway",
}
"""Variables that make Claude Code use another service, whatever the base URL."""

_ALIASES = ("default", "best", "opus", "sonnet", "haiku", "fable", "opusplan")


class Mode(Enum):
    CODEXD = "codexd"
    ANTHROPIC = "anthropic"
    OTHER = "other"


def family_key(family: str, part: str = "") -> str:
    """The variable for a model family. ``part``: ``_NAME`` or ``_DESCRIPTION``, for the texts in the model picker."""
    return f"ANTHROPIC_DEFAULT_{family.upper()}_MODEL{part}"


FAMILY_KEYS = tuple(family_key(family, part) for family in CLAUDE_IDS for part in ("", "_NAME", "_DESCRIPTION"))
NAME_KEYS = tuple(family_key(family, "_NAME") for family in CLAUDE_IDS)
OWN_KEYS = (BASE_URL, AUTH_TOKEN, API_KEY, *CHOSEN_MODELS, *FAMILY_KEYS, COMPACT_WINDOW, DISCOVERY)
"""Every variable that codexd writes or removes."""

PERMISSION_MODE = "permissions.defaultMode"
"""A setting, not a variable: what Claude Code does before an action. Without it, auto mode: a model decides."""

AUTO, ASK = "auto", "default"
"""Values of ``PERMISSION_MODE``."""

FILE_KEYS = (*OWN_KEYS, PERMISSION_MODE)
"""Every name in the file that codexd writes or removes."""

Wanted = dict[str, str | None]
"""Name -> value; None: remove it."""


def through_codexd(
    address: Address,
    settings: Settings,
    before: Mapping[str, Any],
    catalogue: Catalogue = BUILT_IN,
    *,
    window: int | None = None,
    asks_first: bool = False,
) -> Wanted:
    """The values that point Claude Code at codexd.

    Args:
        address: codexd's.
        settings: codexd's.
        before: the values without codexd.
        catalogue: the active account's.
        window: the user's own ``autoCompactWindow``, in tokens.
        asks_first: Claude Code is to ask its user before an action, not a model.
    """
    wanted: Wanted = {BASE_URL: address.url, AUTH_TOKEN: address.token, API_KEY: None}
    for family, model in CLAUDE_IDS.items():
        used = catalogue.choose(getattr(settings.models, family))
        wanted[family_key(family)] = model
        wanted[family_key(family, "_NAME")] = used
        wanted[family_key(family, "_DESCRIPTION")] = f"{family.capitalize()} through codexd (models.{family})"
    wanted |= {key: None for key in CHOSEN_MODELS if _is_unknown(before.get(key), catalogue)}
    limit = context_window(settings, catalogue)
    chosen = _number(before.get(COMPACT_WINDOW)) or window
    if chosen is None or not MIN_WINDOW_TOKENS <= chosen <= limit:
        wanted[COMPACT_WINDOW] = str(limit)
    if before.get(DISCOVERY) is None:
        wanted[DISCOVERY] = "1"
    return wanted | ({PERMISSION_MODE: ASK} if asks_first else {})


def earlier_names(shown: Mapping[str, Any], settings: Settings) -> Wanted:
    """The ``shown`` names that codexd may have written when the account was offered other models."""
    candidates = {family_key(family, "_NAME"): getattr(settings.models, family) for family in CLAUDE_IDS}
    return {key: name for key, name in shown.items() if name in candidates[key]}


def to_anthropic(api_key: str | None, before: Mapping[str, Any]) -> Wanted:
    """The values that point Claude Code at Anthropic, with ``api_key`` or its own login."""
    wanted: Wanted = {BASE_URL: None, AUTH_TOKEN: None}
    if api_key is not None:
        wanted[API_KEY] = api_key
    families = [family for family in CLAUDE_IDS if _is_unknown(before.get(family_key(family)), claude_only=True)]
    wanted |= {family_key(family, part): None for family in families for part in ("", "_NAME", "_DESCRIPTION")}
    return wanted | {key: None for key in CHOSEN_MODELS if _is_unknown(before.get(key), claude_only=True)}


def to_other(api_url: str, api_key: str | None) -> Wanted:
    """The values that point Claude Code at another server. Unlike an API key, a bearer token needs no approval."""
    wanted: Wanted = {BASE_URL: api_url}
    if api_key is not None:
        wanted |= {AUTH_TOKEN: api_key, API_KEY: None}
    return wanted


def context_window(settings: Settings, catalogue: Catalogue = BUILT_IN) -> int:
    """The smallest context window of the mapped models, in tokens, because a session may move between families."""
    used = (catalogue.choose(getattr(settings.models, family)) for family in CLAUDE_IDS)
    return min(catalogue.describe(slug).context_window for slug in used)


def is_codexd_model(model: Any, catalogue: Catalogue) -> bool:
    """Whether only codexd, and not Anthropic, knows the model name."""
    if not isinstance(model, str):
        return False
    name = model.removesuffix("[1m]").removeprefix("claude-")
    return name == KILO or name.startswith("gpt-") or catalogue.find(name) is not None


def shows_key(values: Mapping[str, Any], address: Address) -> bool:
    """Whether the values hold the key of ``address``, or no key at all: it may come from elsewhere."""
    shown = [values[name] for name in SECRETS if values.get(name)]
    return address.key is None or not shown or address.key in shown


def find_mode(base_url: Any, address: Address) -> Mode:
    if not base_url:
        return Mode.ANTHROPIC
    return Mode.CODEXD if str(base_url).rstrip("/").lower() == address.url else Mode.OTHER


def show_value(name: str, value: Any) -> str:
    """``value`` as shown to the user, without secrets or a password in a URL."""
    text = value if isinstance(value, str) else json.dumps(value)
    if name in SECRETS:
        return text if text == NO_KEY else "(secret)"
    return hide_user_info(text)


def _is_unknown(model: Any, catalogue: Catalogue = BUILT_IN, *, claude_only: bool = False) -> bool:
    """Whether the server does not know the model name. ``claude_only``: it knows only Claude's names."""
    if not isinstance(model, str) or not model:
        return False
    if claude_only and is_codexd_model(model, catalogue):
        return True
    name = model.lower().removesuffix("[1m]")
    if name in _ALIASES or name.startswith("claude"):
        return False
    return claude_only or not (name.startswith("gpt-") or find_family(name) or catalogue.find(name))


def _number(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= MAX_DIGITS else None
