"""The settings file and the environment over it, and what they ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from codexd.clients.address import hide_user_info
from codexd.doctor.finding import Finding, end, note, ok, problem, shell, warning
from codexd.errors import SettingInvalid
from codexd.files import explain, read_foreign
from codexd.paths import APP_NAME, Places
from codexd.settings.load import NO_FILE, Document, Loaded, load, show
from codexd.settings.schema import DEFAULTS, ENVIRON_PREFIX, SCHEMA, Settings, is_loopback

PREDECESSOR_PREFIX = "CODEX_CLAUDE_PROXY_"
PREDECESSOR_NAMES = (
    *(name for item in SCHEMA.values() for name in item.environ if name.startswith(PREDECESSOR_PREFIX)),
    f"{PREDECESSOR_PREFIX}ADMIN_TOKEN",
)

SHORT_KEY_CHARACTERS = 16
"""A key with fewer can be guessed, which matters once other machines can reach codexd."""

_MISPLACED = ("settings.toml", "config.toml", "codexd.toml", "settings.json", "settings.yaml")


@frozen
class Configuration:
    """The settings file and the environment as found.

    ``problem``: why the file can't be read. ``invalid``: a line for each wrong name or value; ``loaded`` is None then.
    ``misplaced``: files that look like settings and are not read.
    """

    file: Path
    exists: bool
    environ: Mapping[str, str] = field(repr=False)
    loaded: Loaded | None
    problem: str | None = None
    invalid: tuple[str, ...] = ()
    misplaced: tuple[Path, ...] = ()
    tables: Mapping[str, Any] = field(factory=dict, repr=False)

    @property
    def settings(self) -> Settings:
        """The settings, or the defaults if they can't be read."""
        return self.loaded.settings if self.loaded else DEFAULTS


NOT_READ = Configuration(Path("settings.toml"), exists=False, environ={}, loaded=None)
"""For what can't be looked at."""


def look(places: Places, environ: Mapping[str, str]) -> Configuration:
    """Read the settings file, and combine it with ``environ`` as a codexd that is started in this shell would."""
    file, document, unreadable = places.settings, NO_FILE, None
    exists = os.path.lexists(file)
    try:
        document = Document.parse(read_foreign(file).decode("utf-8-sig"))
    except FileNotFoundError:
        pass
    except OSError as error:
        unreadable = explain(error, file)
    except UnicodeDecodeError:
        unreadable = f"{file} is not UTF-8 text."
    misplaced = () if exists else tuple(filter(os.path.isfile, _list_misplaced(places, environ)))
    try:
        loaded = load(document, file=str(file), environ=environ, flags={})
    except SettingInvalid as error:
        lines = tuple(str(error).splitlines())
        return Configuration(file, exists, environ, None, unreadable, lines, misplaced, document.tables)
    return Configuration(file, exists, environ, loaded, unreadable, (), misplaced, document.tables)


def _list_misplaced(places: Places, environ: Mapping[str, str]) -> Iterator[Path]:
    home = environ.get("HOME")
    folders = [places.config_dir, places.state_dir]
    if home:
        base = Path(environ.get("XDG_CONFIG_HOME") or Path(home) / ".config")
        folders += [base / APP_NAME, base, Path(home) / f".{APP_NAME}", Path(home)]
    for folder in dict.fromkeys(folders):
        names = _MISPLACED if folder.name in (APP_NAME, f".{APP_NAME}", places.config_dir.name) else ("codexd.toml",)
        yield from (folder / name for name in names if folder / name != places.settings)


# -- checking -------------------------------------------------------------------------------------


def check_settings(found: Configuration, *, daemon_runs: bool) -> Iterator[Finding]:
    """The file, every wrong name and value, and what the environment overrides."""
    edit = "codexctl settings edit" if daemon_runs else shell("${EDITOR:-vi}", found.file)
    if found.problem:
        yield problem("settings_unreadable", found.file, found.problem, shell("ls -l", found.file))
    for line in found.invalid:
        name = line.split()[0].rstrip(":")
        remedy = f"unset {name}" if "(environment)" in line else _unset_variable(line) or edit
        yield problem("setting_invalid", name, hide_user_info(end(line)), remedy)
    for path in found.misplaced:
        text = f"{path} is not read. codexd's settings belong in {found.file}."
        yield warning(
            "settings_misplaced", path, text, shell("mv -n", path, found.file) if path.suffix == ".toml" else None
        )
    yield from _check_environment(found)
    if found.loaded and not found.problem:
        count = len(found.loaded.in_file)
        text = (
            f"{found.file} sets {count} of {len(SCHEMA)} settings."
            if found.exists
            else "Every setting is at its default."
        )
        yield ok("settings_valid", found.file, text)
        yield from _check_values(found.loaded.settings)


def _unset_variable(line: str) -> str | None:
    _, found, rest = line.partition("(environment ")
    return f"unset {rest.partition(')')[0]}" if found else None


def _check_environment(found: Configuration) -> Iterator[Finding]:
    for name, source in (found.loaded.sources if found.loaded else {}).items():
        if source.startswith("environment "):
            variable, item = source.removeprefix("environment "), SCHEMA[name]
            value = hide_user_info(show(name, item.read(found.settings)))
            yield note(
                "setting_from_environment",
                variable,
                f"{variable} sets {name} = {value} in this shell, whatever the settings file says. A codexd that is "
                "started elsewhere, as by a service, does not see it.",
            )
    for variable in found.environ:
        if variable.startswith(PREDECESSOR_PREFIX) and variable not in PREDECESSOR_NAMES:
            known = ", ".join(PREDECESSOR_NAMES)
            yield note("variable_unknown", variable, f"{variable} means nothing to codexd. It reads {known}.")
        if variable.upper().startswith(ENVIRON_PREFIX) and not variable.startswith(ENVIRON_PREFIX):
            yield warning(
                "variable_in_small_letters",
                variable,
                f"{variable} is ignored: names of variables are case-sensitive.",
                f'export {variable.upper()}="${variable}"; unset {variable}',
            )


def _check_values(settings: Settings) -> Iterator[Finding]:
    host, key = settings.server.host, settings.server.api_key
    if not is_loopback(host):
        yield note("open_to_machines", "server.host", f"Other machines can reach codexd at {host} with the API key.")
        if key is not None and len(key) < SHORT_KEY_CHARACTERS:
            yield warning(
                "key_too_short",
                "server.api_key",
                f"server.api_key has only {len(key)} characters, and other machines can try to guess it.",
                'codexctl settings set server.api_key "$(openssl rand -hex 24)"',
            )
    for name in ("upstream.backend_url", "upstream.auth_url"):
        item = SCHEMA[name]
        url = item.read(settings)
        if url == item.default:
            continue
        parts = urlsplit(url)
        yield note("other_server", name, f"{name} is {hide_user_info(url)}: your login is sent there, not to OpenAI.")
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            yield warning(
                "server_without_tls",
                name,
                f"{name} has no TLS, so everyone on the way can read your tokens.",
                f"codexctl settings unset {name}",
            )


def check_pending(listed: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Which changes the running daemon has not applied. ``listed``: what it answered to ``settings.list``."""
    for item in listed["settings"] if listed else ():
        if item["restart_pending"]:
            text = f"{item['name']} has been changed, and the running codexd still uses what was set before."
            yield warning("restart_needed", item["name"], text, "codexctl restart")


def list_values(found: Configuration, listed: Mapping[str, Any] | None) -> Iterator[tuple[str, Any, str]]:
    """Name, value and source of each setting that is not at its default, as the daemon says if it runs.

    ``listed``: what it answered to ``settings.list``. Secrets are hidden.
    """
    if listed:
        yield from ((each["name"], each["value"], each["source"]) for each in listed["settings"] if _is_set(each))
        return
    for name, source in (found.loaded.sources if found.loaded else {}).items():
        item = SCHEMA[name]
        yield name, "set" if item.secret else item.read(found.settings), source


def _is_set(listed: Mapping[str, Any]) -> bool:
    return bool(listed["source"] != "default")


def list_secrets(found: Configuration) -> Iterator[str]:
    """The values of secret settings, wherever they stand and whether or not they are valid."""
    for item in SCHEMA.values():
        if not item.secret:
            continue
        yield from (found.environ[name] for name in item.environ if found.environ.get(name))
        group, key = item.name.split(".")
        table = found.tables.get(group)
        if isinstance(table, dict) and table.get(key):
            yield str(table[key])
