"""The headers of a Responses request that go to the backend in addition to codexd's own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from codexd.translation.backend import COMPACTION_TRIGGER, LITE_HEADER
from codexd.translation.models.catalogue import read_version
from codexd.translation.reading.fields import Fields

_RELAYED_UP = (
    "session-id",
    "thread-id",
    "x-client-request-id",
    "x-codex-turn-state",
    "x-codex-window-id",
    "x-codex-turn-metadata",
    "x-codex-beta-features",
    "x-codex-parent-thread-id",
    "x-openai-subagent",
    LITE_HEADER,
)
"""Headers of the Codex CLI that go to the backend. codexd itself sends those that name the client and the account."""

_HEADER_VALUE = re.compile(r"[\x20-\x7e]+")
_BETA_FEATURES, _COMPACTION = "x-codex-beta-features", "remote_compaction_v2"
"""The header that lists the beta features of a request, and the one that a compaction trigger needs."""

_AGENT_VERSION = re.compile(r"[^/]+/([0-9.]+)")
"""The start of the user agent of codex-rs, whatever the name: ``codex_exec/0.171.0``, ``Codex Desktop/0.171.0``."""


def is_header_value(text: str) -> bool:
    """Whether ``text`` may be sent in a header: printable ASCII, and not empty."""
    return _HEADER_VALUE.fullmatch(text) is not None


def make_headers(headers: Mapping[str, str], session: str, items: list[Fields], *, is_codex: bool) -> Mapping[str, str]:
    """The headers for a request with these ``items``; ``headers`` are the client's, ``session`` its conversation."""
    sent = _relay(headers, session) if is_codex else {"session-id": session}
    compacts = any(item.get("type") == COMPACTION_TRIGGER for item in items)
    return with_compaction(sent) if compacts else sent


def _relay(headers: Mapping[str, str], session: str) -> dict[str, str]:
    sent = {name: headers[name] for name in _RELAYED_UP if is_header_value(headers.get(name, ""))}
    agent = _AGENT_VERSION.match(headers.get("user-agent", ""))
    versions = [version for version in (headers.get("version", ""), agent[1] if agent else "") if read_version(version)]
    return {"session-id": session, **sent, **({"version": versions[0]} if versions else {})}


def with_compaction(headers: Mapping[str, str]) -> dict[str, str]:
    """``headers`` with the beta feature that a compaction trigger needs."""
    features = [name for name in headers.get(_BETA_FEATURES, "").split(",") if name.strip() != _COMPACTION]
    return {**headers, _BETA_FEATURES: ",".join(filter(None, [*features, _COMPACTION]))}
