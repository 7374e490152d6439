"""What wins over the settings file that codexd edits, so that a client goes elsewhere although it is set up.

Claude Code takes each variable from the first of these that sets it: an administrator's settings, those of the project
(local before shared), the user's file, the shell (Claude Code 2.1.332). An ``apiKeyHelper`` wins over nothing: what it
prints goes into ``x-api-key``, beside the token in ``authorization``. A project of the Codex CLI can't choose the
provider, an administrator's ``managed_config.toml`` can (Codex CLI 0.171.0).
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from codexd import bounds
from codexd.clients.address import hide_user_info
from codexd.clients.claude_code import AUTH_TOKEN, BASE_URL, BYPASSES

CLAUDE_MANAGED = Path("/Library/Application Support/ClaudeCode" if sys.platform == "darwin" else "/etc/claude-code")
CODEX_MANAGED = Path("/etc/codex/managed_config.toml")

_TRUE = ("1", "true", "yes", "on")


@frozen
class Source:
    """One place that sets variables. ``name`` completes "is set in ..."; ``remedy`` says how to change it."""

    name: str
    variables: Mapping[str, Any]
    remedy: str


def shell(variables: Mapping[str, str]) -> Source:
    return Source("the environment of this shell", variables, "Unset it there")


def in_file(path: Path, variables: Mapping[str, Any]) -> Source:
    return Source(str(path), variables, "Remove it there")


def read_claude_sources(own: Path, working_dir: Path | None, managed: Path | None = None) -> list[Source]:
    """The settings that win over the file ``own``, the strongest first. Files that can't be read set nothing.

    Without ``working_dir``, ``own`` is a file for ``--settings``, which only an administrator's settings win over.
    """
    managed = CLAUDE_MANAGED if managed is None else managed
    dropped_in = sorted(managed.glob("managed-settings.d/*.json"), reverse=True)
    administrators = (*dropped_in, managed / "managed-settings.json")
    found = [Source(str(path), _read_env(path), "Only your administrator can change it") for path in administrators]
    if working_dir is not None:
        folder = working_dir / ".claude"
        projects = (folder / "settings.local.json", folder / "settings.json")
        found += [in_file(path, _read_env(path)) for path in projects if path.resolve() != own]
    return [source for source in found if source.variables]


def find_overrides(sources: Sequence[Source], own: Path, wanted: Mapping[str, Any]) -> list[str]:
    """Why Claude Code does not do what the file ``own`` says, in sentences.

    Args:
        sources: every place that sets variables, the strongest first; the file itself is one of them.
        own: the file.
        wanted: the base URL and, if it matters, the token that the file sets.
    """
    reasons = [
        f"{name} is set in {source.name}, so Claude Code uses {service} and ignores the base URL. {source.remedy}."
        for name, service in BYPASSES.items()
        if (source := _find_source(sources, name)) and str(source.variables[name]).strip().lower() in _TRUE
    ]
    source = _find_source(sources, BASE_URL)
    if source and source.name != str(own) and _trim(source.variables[BASE_URL]) != _trim(wanted.get(BASE_URL)):
        url = hide_user_info(str(source.variables[BASE_URL])) or "nothing, which stands for Anthropic's servers"
        reasons.append(f"{BASE_URL} is set to {url} in {source.name}, which wins over {own}. {source.remedy}.")
    source = _find_source(sources, AUTH_TOKEN)
    if wanted.get(AUTH_TOKEN) and source and source.variables[AUTH_TOKEN] != wanted[AUTH_TOKEN]:
        reasons.append(
            f"{AUTH_TOKEN} is set in {source.name} to another key than codexd's (setting server.api_key), so codexd "
            f"refuses the requests. {source.remedy}."
        )
    return reasons


def find_codex_overrides(own: Path, config: Mapping[str, Any], managed: Path = CODEX_MANAGED) -> list[str]:
    """Why the Codex CLI does not use the provider that its file ``own``, with the content ``config``, chooses."""
    reasons = []
    if isinstance(profile := config.get("profile"), str) and profile:
        reasons.append(
            f"{own} selects the profile {profile}. Today's Codex CLI does not start with such a line, and an older one "
            f"takes the profile's provider. Remove the line; `codex --profile {profile}` reads {profile}.config.toml."
        )
    provider = _read_toml(managed).get("model_provider")
    if provider is not None and provider != config.get("model_provider"):
        reasons.append(
            f"{managed} sets model_provider = {provider}, which wins over {own}. Only your administrator can change it."
        )
    return reasons


def _find_source(sources: Sequence[Source], name: str) -> Source | None:
    return next((source for source in sources if source.variables.get(name) is not None), None)


def _trim(url: Any) -> str:
    return str(url or "").rstrip("/").lower()


def _read_env(path: Path) -> Mapping[str, Any]:
    try:
        env = json.loads(_read_text(path) or "{}").get("env")
    except (ValueError, AttributeError, RecursionError):
        return {}
    return env if isinstance(env, dict) else {}


def _read_toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(_read_text(path))
    except (ValueError, RecursionError):
        return {}


def _read_text(path: Path) -> str:
    """The text of a file that codexd never edits; empty if it can't be read."""
    try:
        if not path.is_file() or path.stat().st_size > bounds.CLIENT_FILE_BYTES:
            return ""
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
