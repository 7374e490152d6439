"""How Claude Code is pointed at codexd: the variables of its environment. Pure.

Claude Code takes them from ``env`` in its settings file, which overrides the shell's environment. Only the settings of
a project, ``--settings`` and an administrator's settings override that file (Claude Code 2.1.332).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from codexd.clients import settings_file
from codexd.clients.address import NO_KEY, Address, hide_user_info
from codexd.settings.schema import Settings
from codexd.translation.kilo.models import KILO
from codexd.translation.models.catalogue import BUILT_IN, Catalogue
from codexd.translation.models.routes import CLAUDE_IDS, find_family

BASE_URL = "ANTHROPIC_BASE_URL"
AUTH_TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 - the name of a variable
API_KEY = "ANTHROPIC_API_KEY"
COMPACT_WINDOW = "CLAUDE_CODE_AUTO_COMPACT_WINDOW"
"""The window for every model; it wins over those in the settings, so codexd does not set it."""

WINDOW = settings_file.COMPACT_WINDOW
"""The key of the settings, beside ``env``, for the window of models that have none of their own."""
DISCOVERY = "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"
"""With it the model picker lists what ``GET /v1/models`` offers."""

DEFAULT_MODEL = "ANTHROPIC_DEFAULT_MODEL"
"""What the picker's default stands for. Without it, the picker shows the default with Anthropic's prices."""

CHOSEN_MODELS = ("ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "CLAUDE_CODE_SUBAGENT_MODEL")
SECRETS = (AUTH_TOKEN, API_KEY)

MIN_WINDOW_TOKENS = 100_000
"""Claude Code ignores a smaller window."""

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
OWN_KEYS = (BASE_URL, AUTH_TOKEN, API_KEY, DEFAULT_MODEL, *CHOSEN_MODELS, *FAMILY_KEYS, COMPACT_WINDOW, DISCOVERY)
"""Every variable that codexd writes or removes."""

PERMISSION_MODE = "permissions.defaultMode"
"""A key of the settings: what Claude Code does before an action. Without it, auto mode: a model decides."""

AUTO, ASK = "auto", "default"
"""Values of ``PERMISSION_MODE``."""

Wanted = dict[str, str | int | None]
"""Name -> value; None: remove it."""


def window_key(model: str) -> str:
    """The key of the settings, beside ``env``, for the window of one model."""
    return f"{settings_file.MODEL_SETTINGS}.{model}.{WINDOW}"


def describes_model(name: str) -> bool:
    """Whether the value is a name or a window of a model, which follows the model that is used."""
    return name in NAME_KEYS or name == WINDOW or name.startswith(f"{settings_file.MODEL_SETTINGS}.")


def own_names(settings: Settings, catalogue: Catalogue, written: Iterable[str] = ()) -> tuple[str, ...]:
    """Everything that codexd may write, or has ``written``."""
    windows = map(window_key, find_windows(settings, catalogue))
    return tuple(dict.fromkeys((*OWN_KEYS, PERMISSION_MODE, WINDOW, *windows, *written)))


def through_codexd(
    address: Address,
    settings: Settings,
    before: Mapping[str, Any],
    catalogue: Catalogue = BUILT_IN,
    *,
    asks_first: bool = False,
) -> Wanted:
    """The values that point Claude Code at codexd.

    Args:
        address: codexd's.
        settings: codexd's.
        before: the values without codexd.
        catalogue: the active account's.
        asks_first: Claude Code is to ask its user before an action, not a model.
    """
    wanted: Wanted = {BASE_URL: address.url, AUTH_TOKEN: address.token, API_KEY: None}
    for family, model in CLAUDE_IDS.items():
        used = catalogue.choose(getattr(settings.models, family))
        wanted[family_key(family)] = model
        wanted[family_key(family, "_NAME")] = name_family(family, used)
        wanted[family_key(family, "_DESCRIPTION")] = f"{family.capitalize()} through codexd (models.{family})"
    if not before.get(DEFAULT_MODEL) or _is_unknown(before[DEFAULT_MODEL], catalogue):
        wanted[DEFAULT_MODEL] = "opus"
    wanted |= {key: None for key in CHOSEN_MODELS if _is_unknown(before.get(key), catalogue)}
    wanted |= _choose_windows(find_windows(settings, catalogue), before)
    if before.get(DISCOVERY) is None:
        wanted[DISCOVERY] = "1"
    return wanted | ({PERMISSION_MODE: ASK} if asks_first else {})


def name_family(family: str, model: str) -> str:
    """A family's name in the model picker, as ``GET /v1/models`` has it."""
    return f"{family.capitalize()} on {model} (Codex)"


def find_windows(settings: Settings, catalogue: Catalogue = BUILT_IN) -> dict[str, int]:
    """The context window, in tokens, of every model name that Claude Code's picker shows."""
    families = {name: catalogue.choose(getattr(settings.models, family)) for family, name in CLAUDE_IDS.items()}
    plain = {f"claude-{model.slug}": model.slug for model in catalogue.listed}
    return {name: catalogue.describe(slug).context_window for name, slug in (families | plain).items()}


def _choose_windows(windows: Mapping[str, int], before: Mapping[str, Any]) -> Wanted:
    """The windows to set: the smallest for all models, and a larger one for each that has it.

    A window that the user chose stays if the model has room for it.
    """
    limit = min(windows.values())
    wanted: Wanted = {}
    if before.get(COMPACT_WINDOW) is not None and not _fits(before[COMPACT_WINDOW], limit):
        wanted[COMPACT_WINDOW] = None
    is_own = _fits(before.get(WINDOW), limit)
    if not is_own:
        wanted[WINDOW] = limit
    for name, window in windows.items():
        chosen = before.get(window_key(name))
        is_larger = window > limit and not is_own
        if not _fits(chosen, window) and (is_larger or chosen is not None):
            wanted[window_key(name)] = window
    return wanted


def _fits(chosen: Any, window: int) -> bool:
    """Whether Claude Code would accept ``chosen`` tokens, and the model has that much room."""
    return MIN_WINDOW_TOKENS <= (_number(chosen) or 0) <= window


def earlier_names(shown: Mapping[str, Any], settings: Settings) -> Wanted:
    """The ``shown`` names that codexd may have written when the account was offered other models."""

    def may_be_ours(family: str, name: Any) -> bool:
        models = getattr(settings.models, family)
        return name in models or name in [name_family(family, model) for model in models]

    keys = {family_key(family, "_NAME"): family for family in CLAUDE_IDS}
    return {key: name for key, name in shown.items() if may_be_ours(keys[key], name)}


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
