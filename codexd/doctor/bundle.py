"""Everything that a bug report needs, as one text without secrets. Pure.

It is built for the eyes of its sender first: plain text, in sections, and it begins with what is in it and what is not.
Two nets catch secrets. The first knows them: tokens, keys, workspaces, the user's name and the machine's are replaced
wherever they stand. The second goes by shape (``codexd.record.redaction``, e-mail addresses, users in URLs).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from codexd.clients.address import hide_user_info
from codexd.doctor.finding import Report
from codexd.record.redaction import REDACTED, redact

MAX_LOG_ENTRIES, MAX_REQUESTS = 200, 50
MIN_SECRET_CHARACTERS = 4
"""Anything shorter would take half of the text with it."""

LOG_LEVEL = "info"
"""Entries below this level may describe content."""

REQUEST_FIELDS = (
    "id",
    "client",
    "path",
    "model",
    "model_used",
    "account",
    "state",
    "status",
    "started_at",
    "ttft_ms",
    "duration_ms",
    "tokens",
    "error_kind",
    "error",
    "upstream_status",
    "upstream_request_id",
)
"""The fields of a request that are shown. None has a prompt or an answer; a new one must be added here."""

SECRET_NAMES = re.compile(r"(?i)key|token|secret|password|credential|auth")
ENVIRON_NAMES = re.compile(
    r"(?i)CODEXD_|CODEX_|CLAUDE_|ANTHROPIC_|OPENAI_|XDG_|(?:HTTPS?|ALL|NO)_PROXY|SSL_CERT|NODE_EXTRA_CA|LANG|LC_|TERM"
    r"|HOST$|PORT$|SHELL$|DISPLAY$|WAYLAND_DISPLAY$|SSH_CONNECTION$|INVOCATION_ID$"
)
"""How the names of the variables begin that may matter; no other is written down."""

_SECRET_IN_PLIST = re.compile(r"(?i)(<key>[^<]*(?:key|token|secret|password)[^<]*</key>\s*<string>)[^<]*")

COMMON_NAMES = ("root", "localhost", "codexd", "codexctl", "codex", "claude")
"""Names of users and machines that say nothing of a person, and that the text needs as words."""

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")

HEAD = """\
codexd: a report for a bug report, made by `codexctl doctor --bundle` on {date}

Read it before you send it. It is plain text, and nothing has been sent anywhere.

In it: the findings of `codexctl doctor`, versions, the settings that differ from their defaults, the state of the
daemon and of its accounts, the last {requests} requests (models, times, tokens, errors), the last {entries} entries of
the log, the service's unit files, and variables of the environment that matter to codexd.

Not in it: tokens, keys and passwords; prompts and answers; e-mail addresses (an account is a mark such as
<email-1f3a>, the same one throughout); your user name in paths; the name of this machine.
"""


@frozen
class Identity:
    """What must not be in the text. ``secrets``: exact values; ``home``: the path of the user's home folder.

    ``salt``: random, so that nobody can find out an address by its mark.
    """

    secrets: tuple[str, ...] = field(repr=False)
    home: str
    user: str
    host: str
    salt: str = field(repr=False)


@frozen
class Contents:
    """The parts of the bundle. ``daemon``: results by control method; ``settings``: name, value, source.

    ``units``: the text of each unit file by its path.
    """

    report: Report
    versions: Mapping[str, str]
    settings: tuple[tuple[str, Any, str], ...]
    daemon: Mapping[str, Any] = field(factory=dict, repr=False)
    units: Mapping[str, str] = field(factory=dict)
    environ: Mapping[str, str] = field(factory=dict, repr=False)


def write_bundle(contents: Contents, identity: Identity) -> str:
    """The text of the bundle."""
    mask = Mask(identity)
    date = datetime.fromtimestamp(contents.report.checked_at, UTC).isoformat(timespec="seconds")
    head = HEAD.format(date=date, requests=MAX_REQUESTS, entries=MAX_LOG_ENTRIES)
    parts = [head]
    for title, lines in _list_sections(contents):
        shown = [mask.hide(line) for line in lines]
        parts.append("\n".join([f"== {mask.hide(title)} ==", *(shown or ["(nothing)"]), ""]))
    return "\n".join(parts)


class Mask:
    """Hides what ``identity`` names and what looks like a secret."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        known = {secret for secret in identity.secrets if len(secret) >= MIN_SECRET_CHARACTERS}
        longest_first = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._names = tuple(_name_patterns(identity))

    def hide(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        text = _EMAIL.sub(self._mark, hide_user_info(redact(text)))
        for pattern, shown in self._names:
            text = pattern.sub(shown, text)
        return text

    def _mark(self, found: re.Match[str]) -> str:
        address = found[0].replace("%40", "@").lower()
        return f"<email-{hashlib.sha256((self._identity.salt + address).encode()).hexdigest()[:4]}>"


def _name_patterns(identity: Identity) -> Iterator[tuple[re.Pattern[str], str]]:
    """Patterns for the user's home folder and name, and the machine's name, each with what is shown instead."""
    if identity.home not in ("", "/"):
        yield re.compile(rf"(?<![\w.-]){re.escape(identity.home.rstrip('/'))}(?![\w.-])"), "~"
    if identity.user not in ("", *COMMON_NAMES):
        yield re.compile(rf"(?<=/){re.escape(identity.user)}(?![\w.-])"), "<user>"
    for name in (identity.host, identity.host.split(".")[0]):
        if name and name not in COMMON_NAMES:
            yield re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])"), "<host>"


def find_secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """Values of the environment that are secret by the name of their variable, and the passwords of proxies."""
    for name, value in environ.items():
        if SECRET_NAMES.search(name) and ENVIRON_NAMES.match(name):
            yield value
        if "@" in value and "://" in value:
            yield from filter(None, _find_user_info(value))


def _find_user_info(url: str) -> Iterator[str | None]:
    try:
        parts = urlsplit(url)
        yield parts.password
        yield parts.username
    except ValueError:
        return


# -- sections -------------------------------------------------------------------------------------


def _list_sections(contents: Contents) -> Iterator[tuple[str, Iterable[str]]]:
    daemon = contents.daemon
    yield "Findings", _show_report(contents.report)
    yield "Versions", (f"{name}: {version}" for name, version in contents.versions.items())
    yield "Settings", (f"{name} = {value!r}  ({source})" for name, value, source in contents.settings)
    yield "Environment", _show_environ(contents.environ)
    if "daemon.status" in daemon:
        yield "Daemon", _show_json(daemon["daemon.status"])
    if "accounts.list" in daemon:
        hidden = ("email", "workspace")
        accounts = daemon["accounts.list"]["accounts"]
        yield "Accounts", (_line({key: each[key] for key in each if key not in hidden}) for each in accounts)
    for method in ("claude.status", "codex.status"):
        if method in daemon:
            yield f"Set-up ({method})", _show_json(daemon[method])
    if "requests.list" in daemon:
        yield "Requests", map(_show_request, daemon["requests.list"]["requests"][-MAX_REQUESTS:])
    if "logs.history" in daemon:
        yield "Log", map(_show_entry, daemon["logs.history"]["entries"][-MAX_LOG_ENTRIES:])
    for path, text in contents.units.items():
        yield path, _SECRET_IN_PLIST.sub(rf"\1{REDACTED}", text).splitlines()


def _show_report(report: Report) -> Iterator[str]:
    for section in report.sections:
        for finding in section.findings:
            yield f"{finding.level.value:8} {section.topic}/{finding.kind}: {finding.text}"


def _show_environ(environ: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(filter(ENVIRON_NAMES.match, environ)):
        value = REDACTED if SECRET_NAMES.search(name) else environ[name]
        yield f"{name}={value}"


def _show_request(request: Mapping[str, Any]) -> str:
    return _line({name: request[name] for name in REQUEST_FIELDS if request.get(name) is not None})


def _show_entry(entry: Mapping[str, Any]) -> str:
    at = datetime.fromtimestamp(entry["at"], UTC).isoformat(timespec="milliseconds")
    fields = _line(entry["fields"]) if entry["fields"] else ""
    return " ".join(filter(None, (at, entry["level"], entry["request"], entry["message"], fields)))


def _show_json(value: Any) -> list[str]:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str).splitlines()


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
