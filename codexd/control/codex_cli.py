"""``codex.*``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from codexd.api import clients as api
from codexd.clients import codex_cli, toml_text
from codexd.clients.address import Address, as_codex_cli, ask
from codexd.clients.codex_cli import CHATGPT_URL, PROVIDER, TABLES, Mode, table_of
from codexd.clients.set_up import MakeWanted, adopt, plain_values, read_values
from codexd.clients.settings_file import TOML, Content, read_settings
from codexd.clients.undo import UndoRecord
from codexd.control.method import Call, Control
from codexd.control.set_up import (
    change_file,
    find_folder,
    find_kept_file,
    find_own_door,
    judge,
    notes_of,
    tell,
    values_after,
    wrote,
)
from codexd.errors import ClientFileRefused

FILE = "config.toml"
PROFILES = "*.config.toml"
"""The CLI's ``--profile NAME`` lays ``NAME.config.toml`` over the file."""

MAX_LOGIN_BYTES = 1024 * 1024

RESTART_NOTE = (
    "A session of the Codex CLI that is running takes this up when it is started anew. From then on `codexctl accounts "
    "switch` holds from its next request on, in the middle of a session."
)
SESSIONS_NOTE = (
    "Sessions that began before stay with their own provider: `codex resume` lists those of codexd only, and opens an "
    "older one by its id."
)
SIGNED_IN_NOTE = (
    "/status shows the limits of codexd's active account, beside the name of the Codex CLI's own login. That login is "
    "not used; apps, plugins and cloud tasks of ChatGPT are out of reach while this is set."
)
NO_LOGIN_NOTE = (
    "The Codex CLI is not signed in with ChatGPT, and need not be; but only when it is does its /status ask for "
    "limits. `codexctl quota` shows them always."
)
RESET_NOTE = (
    "A session of the Codex CLI that is running takes this up when it is started anew. Sessions that began through "
    "codexd can be resumed while it is set up with `codexctl codex proxy`."
)
SIGNED_IN_SINCE_NOTE = "The Codex CLI is signed in now: after another `codexctl codex proxy` its /status shows limits."
SIGNED_OUT_SINCE_NOTE = (
    "The Codex CLI is signed out now and asks for a login; `codexctl codex proxy` sets it up without."
)
STALE_NOTE = "{url} is where codexd listened before; `codexctl codex proxy` sets its address of now, {now}."
KEY_NOTE = (
    "The file does not have the key of now (setting server.api_key), so codexd refuses what the Codex CLI asks; "
    "`codexctl codex proxy` puts it in."
)
MODEL_NOTE = "{name} says model = {model}, which codexd does not know: it takes models.default instead, {used}."
PROFILE_NOTE = "With the profile in {names} the Codex CLI goes past codexd, for it sets a model_provider of its own."


@frozen
class Place:
    """The CLI's folder, and what its file says."""

    content: Content
    folder: Path
    config: dict[str, Any]

    @property
    def tables(self) -> dict[str, Any]:
        found = self.config.get(TABLES)
        return found if isinstance(found, dict) else {}

    @property
    def signed_in(self) -> bool:
        """By the file: a login in the system's key ring is not seen, and not needed."""
        return codex_cli.has_chatgpt_login(_read_text(self.folder / "auth.json"))

    def names(self, kept: UndoRecord) -> tuple[str, ...]:
        """Every name that codexd may write."""
        return CHATGPT_URL, PROVIDER, table_of(codex_cli.choose_provider(tuple(kept.entries), self.tables))


async def codex_status(call: Call, params: api.ClientPlace) -> api.CodexStatus:
    control, folder = call.control, _find_folder(call.control, params.config_dir)
    door = find_own_door(control)
    try:
        place = _read_place(folder)
        kept = find_kept_file(control).find(place.content.path)
        values = plain_values(place.content, read_values(place.content, place.names(kept)))
    except ClientFileRefused as refused:
        return api.CodexStatus(str(folder / FILE), True, None, None, door.url, (), False, False, (), str(refused))
    provider = place.config.get(PROVIDER)
    mode = codex_cli.find_mode(provider, place.tables, door)
    base_url = codex_cli.base_url_of(provider, place.tables)
    return api.CodexStatus(
        path=str(place.content.path),
        exists=place.content.text is not None,
        mode=mode.value,
        base_url=base_url and codex_cli.show_value(base_url),
        address=door.url,
        values=tuple(api.ClientValue(name, codex_cli.show_value(value)) for name, value in values.items()),
        signed_in=place.signed_in,
        can_reset=bool(kept.entries),
        notes=tuple(_status_notes(control, place, kept, door, mode)),
        problem=None,
    )


async def codex_proxy(call: Call, params: api.ClientChange) -> api.ClientSetUp:
    control = call.control
    place, door = _read_place(_find_folder(control, params.config_dir)), find_own_door(control)
    signed_in = place.signed_in
    notes = [RESTART_NOTE, SESSIONS_NOTE, SIGNED_IN_NOTE if signed_in else NO_LOGIN_NOTE]
    notes += [*_file_notes(control, place), *notes_of(control)]
    kept = _recognise(place, find_kept_file(control).find(place.content.path))
    provider = codex_cli.choose_provider(tuple(kept.entries), place.tables)
    wanted = codex_cli.through_codexd(door, provider, signed_in=signed_in)
    done = _change(control, place, kept, lambda _: wanted, dry_run=params.dry_run, notes=notes)
    if params.dry_run:
        return done
    model = place.config.get("model")
    question = as_codex_cli(door, model if isinstance(model, str) else control.settings.models.default[0])
    return evolve(done, proof=judge(control, question, await ask(door, question)))


async def codex_reset(call: Call, params: api.ClientChange) -> api.ClientSetUp:
    control, place = call.control, _read_place(_find_folder(call.control, params.config_dir))
    kept = _recognise(place, find_kept_file(control).find(place.content.path))
    return _change(control, place, kept, lambda _: {}, dry_run=params.dry_run, notes=(RESET_NOTE,))


def _change(
    control: Control, place: Place, kept: UndoRecord, make_wanted: MakeWanted, *, dry_run: bool, notes: Iterable[str]
) -> api.ClientSetUp:
    change, backup = change_file(control, place.content, kept, place.names(kept), make_wanted, dry_run=dry_run)
    after = values_after(change)
    tables = place.tables | {
        name.removeprefix(f"{TABLES}."): value for name, value in after.items() if name.startswith(f"{TABLES}.")
    }
    mode = codex_cli.find_mode(after.get(PROVIDER), tables, find_own_door(control))
    return tell(change, backup, mode, lambda _, value: codex_cli.show_value(value), dry_run=dry_run, notes=notes)


def _recognise(place: Place, kept: UndoRecord) -> UndoRecord:
    """A file that leads to a codexd although nothing is remembered: the state was lost."""
    provider = place.config.get(PROVIDER)
    table = place.tables.get(provider) if isinstance(provider, str) else None
    if kept.entries or not isinstance(table, dict) or not codex_cli.is_ours(table):
        return kept
    own = {PROVIDER: provider, table_of(str(provider)): table}
    url = str(place.config.get(CHATGPT_URL, ""))
    if url == str(table["base_url"]).removesuffix("/v1") + "/backend-api":
        own |= {CHATGPT_URL: url}
    return adopt(place.content, kept, own)


def _read_place(folder: Path) -> Place:
    content = read_settings(folder / FILE, TOML)
    return Place(content, folder, tomllib.loads(content.settings_text))


def _find_folder(control: Control, config_dir: str | None) -> Path:
    return find_folder(control, config_dir, "CODEX_HOME", ".codex")


def _status_notes(control: Control, place: Place, kept: UndoRecord, door: Address, mode: Mode) -> list[str]:
    notes = _file_notes(control, place)
    provider = place.config.get(PROVIDER)
    url = codex_cli.base_url_of(provider, place.tables)
    if mode is Mode.OTHER and provider is not None and wrote(place.content, kept, PROVIDER) == provider:
        notes.append(STALE_NOTE.format(url=url, now=door.url))
    if mode is Mode.CODEXD:
        table = place.tables[str(provider)]
        if not codex_cli.shows_key(table, door):
            notes.append(KEY_NOTE)
        expects_login = bool(table.get("requires_openai_auth"))
        if place.signed_in and not expects_login:
            notes.append(SIGNED_IN_SINCE_NOTE)
        elif expects_login and not place.signed_in:
            notes.append(SIGNED_OUT_SINCE_NOTE)
    return notes


def _file_notes(control: Control, place: Place) -> list[str]:
    """What is in the CLI's files, is not codexd's, and has to do with it."""
    notes = []
    model, used = place.config.get("model"), control.settings.models.default[0]
    if codex_cli.is_unknown_model(model, control.settings):
        notes.append(MODEL_NOTE.format(name=place.content.path.name, model=model, used=used))
    own = (None, place.config.get(PROVIDER), codex_cli.NAME)
    others = [name for name, provider in _find_profiles(place) if provider not in own]
    if others:
        notes.append(PROFILE_NOTE.format(names=", ".join(others)))
    return notes


def _find_profiles(place: Place) -> Iterator[tuple[str, Any]]:
    """Each profile with the provider that it sets: in a file of its own, or in a table, as older CLIs have them."""
    for path in sorted(place.folder.glob(PROFILES)):
        try:
            yield path.name, toml_text.find(_read_text(path), (PROVIDER,))
        except ValueError:
            continue  # it is not ours to mend, and no profile as it is
    tables = place.config.get("profiles")
    for name, table in (tables if isinstance(tables, dict) else {}).items():
        yield f"profiles.{name}", table.get(PROVIDER) if isinstance(table, dict) else None


def _read_text(path: Path) -> str:
    """Of a file of the CLI's that is not edited; nothing where it can't be read."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_LOGIN_BYTES:
            return ""
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
