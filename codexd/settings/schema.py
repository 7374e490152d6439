"""Every setting: name, type, default, choices, meaning and unit.

This is the only list of settings. ``load`` uses it to read the TOML file, the environment and the command line;
``codexctl settings``, its completion and the dashboard show it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlsplit

import attrs
from attrs import Factory, field, frozen

from codexd.settings import LOG_LEVELS

EFFORT_CHOICES = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
BY_CATALOGUE = "catalogue"
ENVIRON_PREFIX = "CODEXD_"
NOT_SETTINGS = ("CODEXD_HOME", "CODEXD_SOCKET")
"""Environment variables that move codexd's files (``codexd.paths``)."""

Check = Callable[[Any], str | None]
"""Returns what is wrong with a value, or None."""


def _port(value: int) -> str | None:
    return None if 0 <= value <= 65535 else "must be from 0 to 65535 (0: any free port)"


_NAME = r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*"
_IPV6 = r"\[[0-9a-f:.]+\]"
_HOST_NAME = re.compile(rf"{_NAME}\.?", re.IGNORECASE)
_HOST_IN_URL = re.compile(rf"{_NAME}|{_IPV6}", re.IGNORECASE)
_ORIGIN = re.compile(rf"[a-z][a-z0-9+.-]*://(?:{_NAME}|{_IPV6})(?::[0-9]{{1,5}})?", re.IGNORECASE)


def _host(value: str) -> str | None:
    if not value:
        return "must not be empty"
    if _is_address(_without_brackets(value)) or (len(value) <= 253 and _HOST_NAME.fullmatch(value)):
        return None
    return "must be a host name or an IP address, without http:// and without a port"


def _without_brackets(host: str) -> str:
    """An IPv6 address has brackets in a URL only."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _url(value: str) -> str | None:
    problem = "must be an http:// or https:// URL"
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as wrong:  # the port, or the brackets of an IPv6 address
        return f"{problem} ({wrong})"
    return None if parts.scheme in ("http", "https") and parts.hostname and _is_printable_ascii(value) else problem


def _positive(value: float) -> str | None:
    return None if value > 0 else "must be more than 0"


def _from_one_to(maximum: int) -> Check:
    return lambda value: None if 0 < value <= maximum else f"must be more than 0 and at most {maximum}"


def _header(value: str | None) -> str | None:
    """For values that are sent in an HTTP header."""
    if value is None or _is_printable_ascii(value):
        return _filled(value)
    return "must be printable ASCII without spaces"


def _is_printable_ascii(value: str) -> bool:
    return all("!" <= letter <= "~" for letter in value)


def _filled(value: str | tuple[str, ...] | None) -> str | None:
    return None if value is None or (value and all(value)) else "must not be empty"


def _host_names(value: tuple[str, ...]) -> str | None:
    wrong = next((name for name in value if not _HOST_IN_URL.fullmatch(name)), None)
    return None if wrong is None else f"{wrong!r} is not a bare host name, without scheme, port, path or wildcard"


def _origins(value: tuple[str, ...]) -> str | None:
    wrong = next((origin for origin in value if not _ORIGIN.fullmatch(origin)), None)
    return None if wrong is None else f"{wrong!r} is not an origin such as app://obsidian.md: a scheme and a host"


def setting(
    default: Any,
    meaning: str,
    *,
    unit: str | None = None,
    choices: tuple[str, ...] | None = None,
    environ: tuple[str, ...] = (),
    check: Check | None = None,
    secret: bool = False,
    restart: bool = False,
    converter: Callable[[Any], Any] | None = None,
) -> Any:
    """A field of the schema. Its metadata becomes the fields of ``Setting``."""
    metadata = {
        "meaning": meaning,
        "unit": unit,
        "choices": choices,
        "environ": environ,
        "check": check,
        "secret": secret,
        "restart_needed": restart,
    }
    return field(default=default, metadata=metadata, converter=converter)


@frozen
class ServerSettings:
    host: str = setting(
        "127.0.0.1",
        "Address that the HTTP proxy listens on",
        environ=("CODEXD_HOST", "HOST"),
        check=_host,
        restart=True,
        converter=_without_brackets,
    )
    port: int = setting(8081, "Port of the HTTP proxy", environ=("CODEXD_PORT", "PORT"), check=_port, restart=True)
    api_key: str | None = setting(
        None,
        "Key that every model request must carry; required if server.host is not a loopback address",
        check=_header,
        secret=True,
    )
    allowed_hosts: tuple[str, ...] = setting(
        (), "Further names in the Host header that are let in, such as host.docker.internal", check=_host_names
    )
    allowed_origins: tuple[str, ...] = setting(
        (), "Origins of apps and web pages that may send model requests, such as app://obsidian.md", check=_origins
    )


@frozen
class UpstreamSettings:
    backend_url: str = setting(
        "https://chatgpt.com/backend-api",
        "Base URL of the backend",
        environ=("CODEXD_BACKEND_URL",),
        check=_url,
        restart=True,
    )
    auth_url: str = setting(
        "https://auth.openai.com",
        "Base URL of the sign-in server",
        environ=("CODEXD_AUTH_URL",),
        check=_url,
        restart=True,
    )
    connect_timeout: float = setting(15.0, "Longest wait for a connection", unit="s", check=_positive)
    first_event_timeout: float = setting(
        90.0, "Longest wait for the first bytes of an answer, once the request is sent", unit="s", check=_positive
    )
    idle_timeout: float = setting(300.0, "Longest silence between upstream bytes", unit="s", check=_positive)
    client_version: str = setting(
        "0.171.0", "Level of the Codex protocol that codexd implements; the version header", check=_header
    )


@frozen
class ModelSettings:
    """Each setting is one upstream model, or a list of them in order of preference."""

    opus: tuple[str, ...] = setting(
        ("gpt-5.5", "gpt-6.1-sol", "gpt-6.2-sol"), "Models behind Claude Opus names", check=_filled
    )
    sonnet: tuple[str, ...] = setting(
        ("gpt-5.5", "gpt-6-sol", "gpt-6.1-terra"), "Models behind Claude Sonnet names", check=_filled
    )
    fable: tuple[str, ...] = setting(
        ("gpt-5.5", "gpt-6-sol", "gpt-6.1-terra"), "Models behind Claude Fable names", check=_filled
    )
    haiku: tuple[str, ...] = setting(
        ("gpt-5.4-mini", "gpt-6-luna", "gpt-5.6-luna", "gpt-5.5"), "Models behind Claude Haiku names", check=_filled
    )
    codex: tuple[str, ...] = setting(
        ("gpt-5.3-codex", "gpt-5.5", "gpt-6.2-sol"), "Models behind the name codex", check=_filled
    )
    default: tuple[str, ...] = setting(
        ("gpt-5.5", "gpt-6-sol", "gpt-6.1-terra"), "Models behind any other name", check=_filled
    )
    fast: str = setting(
        "as-asked",
        "When to use the faster, dearer service tier",
        choices=("as-asked", BY_CATALOGUE),
    )
    aliases: Mapping[str, str] = setting(
        Factory(lambda: MappingProxyType({})), "Exact name or glob -> upstream model; checked first"
    )

    @cached_property
    def families(self) -> Mapping[str, tuple[str, ...]]:
        """Family (or ``default``) -> upstream models in order of preference."""
        others = ("fast", "aliases")
        return {item.name: getattr(self, item.name) for item in attrs.fields(type(self)) if item.name not in others}


@frozen
class ReasoningSettings:
    """The effort for requests that don't specify one."""

    opus: str = setting("high", "Reasoning effort of Claude Opus names", choices=EFFORT_CHOICES)
    sonnet: str = setting("medium", "Reasoning effort of Claude Sonnet names", choices=EFFORT_CHOICES)
    fable: str = setting("medium", "Reasoning effort of Claude Fable names", choices=EFFORT_CHOICES)
    haiku: str = setting("low", "Reasoning effort of Claude Haiku names", choices=EFFORT_CHOICES)


@frozen
class RotationSettings:
    enabled: bool = setting(
        False,
        "Rotate between several accounts; if off, only the active account is ever used",
        environ=("CODEX_CLAUDE_PROXY_ENABLE_MULTI_ACCOUNT_ROTATION",),
    )
    strategy: str = setting(
        "sticky", "How rotation chooses an account", choices=("sticky", "round-robin", "most-remaining")
    )


@frozen
class KiloSettings:
    enabled: bool = setting(
        False, "Allow the third-party route behind the model name kilo", environ=("CODEX_CLAUDE_PROXY_ENABLE_KILO",)
    )
    model: str = setting("minimax/minimax-m2.5:free", "Model behind the name kilo", check=_filled)
    url: str = setting("https://api.kilo.ai/api/openrouter", "Base URL of the Kilo route", check=_url)


@frozen
class TranslationSettings:
    strict: bool = setting(False, "Refuse a request whose translation would drop a field")


@frozen
class LogSettings:
    level: str = setting("info", "Lowest level that is logged", choices=LOG_LEVELS)
    history: int = setting(10_000, "Log entries kept in memory", unit="entries", check=_from_one_to(1_000_000))


@frozen
class UsageSettings:
    retention_days: int = setting(90, "How long usage history is kept", unit="days", check=_from_one_to(36_500))


@frozen
class Settings:
    server: ServerSettings = field(factory=ServerSettings)
    upstream: UpstreamSettings = field(factory=UpstreamSettings)
    models: ModelSettings = field(factory=ModelSettings)
    reasoning: ReasoningSettings = field(factory=ReasoningSettings)
    rotation: RotationSettings = field(factory=RotationSettings)
    kilo: KiloSettings = field(factory=KiloSettings)
    translation: TranslationSettings = field(factory=TranslationSettings)
    log: LogSettings = field(factory=LogSettings)
    usage: UsageSettings = field(factory=UsageSettings)


DEFAULTS = Settings()


@frozen
class Setting:
    """One line of the schema. ``name`` is dotted; ``environ`` lists its environment variables by precedence.

    ``restart_needed``: a change takes effect at the next start.
    """

    name: str
    type: Any
    default: Any
    meaning: str
    unit: str | None
    choices: tuple[str, ...] | None
    environ: tuple[str, ...]
    check: Check | None
    secret: bool
    restart_needed: bool

    def read(self, settings: Settings) -> Any:
        """The setting's value in ``settings``."""
        group, key = self.name.split(".")
        return getattr(getattr(settings, group), key)


def replace_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """``settings`` with these ``values``, by dotted name."""
    groups: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        group, key = name.split(".")
        groups.setdefault(group, {})[key] = value
    return attrs.evolve(
        settings, **{group: attrs.evolve(getattr(settings, group), **own) for group, own in groups.items()}
    )


def _read_schema() -> Iterator[Setting]:
    for group in attrs.fields(attrs.resolve_types(Settings)):
        for item in attrs.fields(attrs.resolve_types(cast("type[attrs.AttrsInstance]", group.type))):
            name = f"{group.name}.{item.name}"
            own = ENVIRON_PREFIX + name.replace(".", "_").replace("-", "_").upper()
            default = getattr(getattr(DEFAULTS, group.name), item.name)
            metadata = {**item.metadata, "environ": (own, *item.metadata["environ"])}
            yield Setting(name=name, type=item.type, default=default, **metadata)


SCHEMA: Mapping[str, Setting] = {item.name: item for item in _read_schema()}


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # A socket that listens on :: sees a client of 127.0.0.1 as ::ffff:127.0.0.1.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
