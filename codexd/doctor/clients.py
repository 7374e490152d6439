"""Claude Code and the Codex CLI: installed, set up for this codexd, and whether something wins over that."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from codexd.clients import claude_code, codex_cli
from codexd.clients.address import Address
from codexd.clients.claude_code import AUTH_TOKEN, BASE_URL, BYPASSES, SECRETS
from codexd.clients.overrides import find_codex_overrides, find_overrides, in_file, read_claude_sources, shell
from codexd.clients.set_up import plain_values, read_values
from codexd.clients.settings_file import ENV_IN_JSON, TOML, read_settings
from codexd.doctor.finding import Finding, find_command, note, ok, problem, warning
from codexd.doctor.finding import shell as command_line
from codexd.errors import ClientFileRefused
from codexd.settings.schema import is_loopback

VERSION_TIMEOUT_S = 10.0
_VERSION = re.compile(r"\d+\.\d+[\w.-]*")

HERE = "codexd"
"""The mode of a client that sends its requests to this codexd."""


@frozen
class Client:
    """A program that codexd can set up. ``name`` is for people, ``command`` what they type."""

    name: str
    command: str

    @property
    def kind(self) -> str:
        return self.command

    @property
    def set_up(self) -> str:
        return f"codexctl {self.command} proxy"


CLAUDE, CODEX = Client("Claude Code", "claude"), Client("The Codex CLI", "codex")


@frozen
class Installed:
    """Where a program is, and its version; None if it did not say it."""

    path: str
    version: str | None


@frozen
class SetUp:
    """How a client is set up: the parts of ``claude.status`` and ``codex.status`` that matter here.

    ``mode``: codexd, anthropic, openai or other; None if ``problem`` says why its file can't be read.
    """

    path: str
    mode: str | None
    base_url: str | None
    address: str
    overridden_by: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str | None = None
    shows_key: bool = field(default=True)

    @classmethod
    def of_status(cls, status: Mapping[str, Any]) -> SetUp:
        """From a running daemon's ``claude.status`` or ``codex.status``."""
        return cls(
            path=status["path"],
            mode=status["mode"],
            base_url=status["base_url"],
            address=status.get("address", ""),  # an older daemon may not say this and the rest yet
            overridden_by=tuple(status.get("overridden_by", ())),
            notes=tuple(status.get("notes", ())),
            problem=status.get("problem"),
        )


# -- looking --------------------------------------------------------------------------------------


def find_program(name: str, environ: Mapping[str, str]) -> Installed | None:
    """The program on the PATH, which is run with ``--version``."""
    path = shutil.which(name, path=environ.get("PATH"))
    if path is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - the user's own program
            [path, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return Installed(path, None)
    found = _VERSION.search(done.stdout)
    return Installed(path, found[0] if found and done.returncode == 0 else None)


def read_claude(folder: Path, working_dir: Path | None, environ: Mapping[str, str], address: Address) -> SetUp:
    """How Claude Code is set up, without a running daemon. ``folder`` holds its settings."""
    path = folder / "settings.json"
    try:
        content = read_settings(path, ENV_IN_JSON)
    except ClientFileRefused as refused:
        return SetUp(str(path), None, None, address.url, problem=str(refused))
    values = plain_values(content, read_values(content, (BASE_URL, *SECRETS, *BYPASSES)))
    mode, key = claude_code.find_mode(values.get(BASE_URL), address), address.key
    sources = [
        *read_claude_sources(content.path, working_dir),
        in_file(content.path, values),
        shell({name: value for name, value in environ.items() if name == BASE_URL or name in BYPASSES}),
    ]
    wanted = {BASE_URL: values.get(BASE_URL)}
    if key and mode is claude_code.Mode.CODEXD:
        wanted[AUTH_TOKEN] = key
    return SetUp(
        path=str(path),
        mode=mode.value,
        base_url=claude_code.show_value(BASE_URL, values[BASE_URL]) if values.get(BASE_URL) else None,
        address=address.url,
        overridden_by=tuple(find_overrides(sources, content.path, wanted)),
        shows_key=claude_code.shows_key(values, address),
    )


def read_codex(folder: Path, address: Address) -> SetUp:
    """How the Codex CLI is set up, without a running daemon. ``folder`` holds its ``config.toml``."""
    path = folder / "config.toml"
    try:
        content = read_settings(path, TOML)
    except ClientFileRefused as refused:
        return SetUp(str(path), None, None, address.url, problem=str(refused))
    config = tomllib.loads(content.settings_text)
    held = config.get(codex_cli.TABLES)
    tables, provider = held if isinstance(held, dict) else {}, config.get(codex_cli.PROVIDER)
    base_url, table = codex_cli.base_url_of(provider, tables), tables.get(str(provider))
    return SetUp(
        path=str(path),
        mode=codex_cli.find_mode(provider, tables, address).value,
        base_url=codex_cli.show_value(base_url) if base_url else None,
        address=address.url,
        overridden_by=tuple(find_codex_overrides(content.path, config)),
        shows_key=not isinstance(table, dict) or codex_cli.shows_key(table, address),
    )


def find_folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path | None:
    """The folder of a client's settings; None if the home folder is unknown."""
    try:
        if environ.get(variable):
            return Path(environ[variable]).expanduser().absolute()
        return (Path(environ.get("HOME") or Path.home()) / below_home).absolute()
    except (RuntimeError, OSError):  # a relative path, and the current folder is gone
        return None


# -- checking -------------------------------------------------------------------------------------


def check_client(
    client: Client, installed: Installed | None, set_up: SetUp | None, environ: Mapping[str, str], start: str | None
) -> Iterator[Finding]:
    """Whether the client is there and its requests come here. ``start``: what starts codexd, if it does not run."""
    if installed is None:
        yield note(f"{client.kind}_not_installed", client.command, f"{client.name} is not on the PATH.")
    elif installed.version is None:
        text = f"{client.name} is installed as {installed.path}, but `{client.command} --version` fails."
        yield warning(f"{client.kind}_broken", installed.path, text, f"{client.command} --version")
    else:
        yield ok(f"{client.kind}_installed", client.command, f"{client.name} {installed.version} is installed.")
    if set_up is not None and (installed is not None or set_up.mode == HERE):
        yield from _check_set_up(client, set_up, environ, start)


def _check_set_up(client: Client, set_up: SetUp, environ: Mapping[str, str], start: str | None) -> Iterator[Finding]:
    kind, path = client.kind, set_up.path
    if set_up.problem:
        yield problem(f"{kind}_settings_unreadable", path, set_up.problem, command_line("${EDITOR:-vi}", path))
        return
    if set_up.mode != HERE:
        yield _describe_elsewhere(client, set_up, environ)
        return
    in_own_file = f"{AUTH_TOKEN} is set in {path} "  # a wrong key in the file that codexd writes itself
    for reason in set_up.overridden_by:
        if not reason.startswith(in_own_file):
            yield problem(f"{kind}_bypassed", path, reason, _undo(reason, environ))
    if not set_up.shows_key:
        text = f"{path} does not have the current key (setting server.api_key), so codexd refuses its requests."
        yield problem(f"{kind}_key_wrong", path, text, client.set_up)
    for text in set_up.notes:
        yield warning(f"{kind}_note", path, text, find_command(text))
    if start is not None:
        text = f"{client.name} sends its requests to codexd, which does not run, so it can't work."
        yield problem(f"{kind}_without_codexd", path, text, start)
    elif not set_up.overridden_by:
        yield ok(f"{kind}_set_up", path, f"{client.name} is set up for codexd at {set_up.address}.")


def _describe_elsewhere(client: Client, set_up: SetUp, environ: Mapping[str, str]) -> Finding:
    kind, path = client.kind, set_up.path
    if client is CLAUDE and environ.get(BASE_URL, "").rstrip("/") == set_up.address:
        text = f"{client.name} is set up for codexd by {BASE_URL} in this shell only."
        return ok(f"{kind}_set_up_in_shell", BASE_URL, text)
    host = urlsplit(set_up.base_url).hostname if set_up.base_url else None
    if host and is_loopback(host) and ("/v1" in (set_up.base_url or "") or client is CLAUDE):
        text = f"{client.name} sends its requests to {set_up.base_url}, but codexd listens at {set_up.address}."
        return warning(f"{kind}_stale", path, text, client.set_up)
    where = f"uses {set_up.base_url}" if set_up.base_url else "does not use codexd"
    return note(f"{kind}_elsewhere", path, f"{client.name} {where}.", client.set_up)


def _undo(reason: str, environ: Mapping[str, str]) -> str | None:
    """The command against a variable of this shell that wins over the settings."""
    name = reason.split(maxsplit=1)[0]
    return f"unset {name}" if "in the environment of this shell" in reason and name in environ else None
