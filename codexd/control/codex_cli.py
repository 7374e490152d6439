"""``codex.*``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from codexd import bounds
from codexd.api import clients as api
from codexd.clients import codex_cli, toml_text
from codexd.clients.address import Address, as_codex_cli, send_proof
from codexd.clients.codex_cli import CHATGPT_URL, MODEL, PROVIDER, TABLES, Mode, table_of
from codexd.clients.overrides import find_codex_overrides
from codexd.clients.set_up import MakeWanted, adopt, plain_values, read_values
from codexd.clients.settings_file import TOML, Content, read_settings
from codexd.clients.undo import UndoRecord
from codexd.control.clients import (
    CLIENT_FILE_ERRORS,
    change_file,
    find_folder,
    find_notes,
    find_own_address,
    find_undo_file,
    last_written,
    to_proof,
    to_set_up,
    values_after,
)
from codexd.control.method import Call, Control, method
from codexd.errors import AccountError, ClientFileRefused, UpstreamError
from codexd.translation.models.catalogue import Catalogue

EXAMPLE = {"config_dir": "/home/me/.codex", "dry_run": True}

FILE = "config.toml"
PROFILES = "*.config.toml"
"""The CLI's ``--profile NAME`` loads ``NAME.config.toml`` on top of the file."""


RESTART_NOTE = (
    "Restart running sessions of the Codex CLI for this to take effect. After that, `codexctl accounts switch` "
    "applies to the next request, even in the middle of a session."
)
SESSIONS_NOTE = (
    "Earlier sessions keep their provider: `codex resume` lists only sessions that use codexd, and opens an older one "
    "by its id."
)
SIGNED_IN_NOTE = (
    "/status shows the limits of codexd's active account next to the name of the Codex CLI's own login. That login is "
    "not used; ChatGPT's apps, plugins and cloud tasks are unavailable with this setup."
)
NO_LOGIN_NOTE = (
    "The Codex CLI is not signed in with ChatGPT. It does not have to be, but its /status shows limits only if it is. "
    "`codexctl quota` always shows them."
)
RESET_NOTE = (
    "Restart running sessions of the Codex CLI for this to take effect. Sessions that used codexd can be resumed only "
    "while it is set up with `codexctl codex proxy`."
)
SIGNED_IN_SINCE_NOTE = "The Codex CLI is signed in now; run `codexctl codex proxy` again to see limits in its /status."
SIGNED_OUT_SINCE_NOTE = (
    "The Codex CLI is signed out now and asks for a login; run `codexctl codex proxy` again so that it needs none."
)
STALE_NOTE = "{url} is where codexd used to listen; `codexctl codex proxy` sets its current address, {now}."
KEY_NOTE = (
    "The file does not have the current key (setting server.api_key), so codexd refuses the Codex CLI's requests; "
    "`codexctl codex proxy` adds it."
)
REFUSED_NOTE = (
    "{name} says model = {model}, which the active account is not offered; choose another with /model, or let "
    "`codexctl codex proxy` set one."
)
MODEL_NOTE = "{name} says model = {model}, which codexd does not know; it uses models.default instead, {used}."
PROFILE_NOTE = "With the profile in {names} the Codex CLI bypasses codexd: the profile sets another model_provider."


@frozen
class Place:
    """The Codex CLI's folder and the content of its ``config.toml``."""

    content: Content
    folder: Path
    config: dict[str, Any]

    @property
    def tables(self) -> dict[str, Any]:
        found = self.config.get(TABLES)
        return found if isinstance(found, dict) else {}

    @property
    def signed_in(self) -> bool:
        """Checks only the file: a login in the system's keyring is not seen, and not needed."""
        return codex_cli.has_chatgpt_login(_read_text(self.folder / "auth.json"))

    def names(self, kept: UndoRecord) -> tuple[str, ...]:
        """Every name that codexd may write."""
        return MODEL, CHATGPT_URL, PROVIDER, table_of(codex_cli.choose_provider(tuple(kept.entries), self.tables))


@method("codex.status", example={"config_dir": "/home/me/.codex"}, errors=CLIENT_FILE_ERRORS)
async def codex_status(call: Call, params: api.ClientPlace) -> api.CodexStatus:
    """How the Codex CLI is set up."""
    control, folder = call.control, _find_folder(call.control, params.config_dir)
    address = find_own_address(control)
    try:
        place = _read_place(folder)
        kept = find_undo_file(control).find(place.content.path)
        values = plain_values(place.content, read_values(place.content, place.names(kept)))
    except ClientFileRefused as refused:
        return api.CodexStatus(str(folder / FILE), True, None, None, address.url, (), False, False, (), str(refused))
    provider = place.config.get(PROVIDER)
    mode = codex_cli.find_mode(provider, place.tables, address)
    overridden_by = tuple(find_codex_overrides(place.content.path, place.config))
    base_url = codex_cli.base_url_of(provider, place.tables)
    return api.CodexStatus(
        path=str(place.content.path),
        exists=place.content.text is not None,
        mode=mode.value,
        base_url=base_url and codex_cli.show_value(base_url),
        address=address.url,
        values=tuple(api.ClientValue(name, codex_cli.show_value(value)) for name, value in values.items()),
        signed_in=place.signed_in,
        can_reset=bool(kept.entries),
        notes=tuple(_status_notes(control, place, kept, address, mode)),
        problem=None,
        takes_effect=not overridden_by,
        overridden_by=overridden_by,
    )


@method("codex.proxy", example=EXAMPLE, errors=CLIENT_FILE_ERRORS)
async def codex_proxy(call: Call, params: api.ClientChange) -> api.ClientSetUp:
    """Set the Codex CLI up to work through codexd, and prove it with a request."""
    control = call.control
    place, address = _read_place(_find_folder(control, params.config_dir)), find_own_address(control)
    signed_in = place.signed_in
    notes = [RESTART_NOTE, SESSIONS_NOTE, SIGNED_IN_NOTE if signed_in else NO_LOGIN_NOTE]
    notes += [*_file_notes(control, place), *find_notes(control)]
    kept = _recognize(control, place, find_undo_file(control).find(place.content.path))
    provider = codex_cli.choose_provider(tuple(kept.entries), place.tables)
    catalogue = await _learn_models(control)

    def make_wanted(before: Mapping[str, Any]) -> dict[str, Any]:
        model = codex_cli.choose_model(before.get(MODEL), control.settings, catalogue)
        return codex_cli.through_codexd(address, provider, signed_in=signed_in, model=model)

    done = _change(control, place, kept, make_wanted, dry_run=params.dry_run, notes=notes)
    if params.dry_run:
        return done
    model = _read_place(place.folder).config.get(MODEL)  # what the CLI will send
    request = as_codex_cli(address, model if isinstance(model, str) else control.settings.models.default[0])
    return evolve(done, proof=to_proof(control, request, await send_proof(address, request)))


@method("codex.reset", example=EXAMPLE, errors=CLIENT_FILE_ERRORS)
async def codex_reset(call: Call, params: api.ClientChange) -> api.ClientSetUp:
    """Put back what was in the Codex CLI's settings before codexd."""
    control, place = call.control, _read_place(_find_folder(call.control, params.config_dir))
    kept = _recognize(control, place, find_undo_file(control).find(place.content.path))
    return _change(control, place, kept, lambda _: {}, dry_run=params.dry_run, notes=(RESET_NOTE,))


async def _learn_models(control: Control) -> Catalogue:
    """The active account's models; the built-in ones if they can't be learned now."""
    account, catalogues = control.store.active, control.accounts.catalogues
    if account is not None and catalogues.of(account).is_built_in:
        with suppress(AccountError, UpstreamError):
            await catalogues.fetch(account.id)
    return catalogues.of(account)


def _change(
    control: Control, place: Place, kept: UndoRecord, make_wanted: MakeWanted, *, dry_run: bool, notes: Iterable[str]
) -> api.ClientSetUp:
    change, backup = change_file(control, place.content, kept, place.names(kept), make_wanted, dry_run=dry_run)
    after = values_after(change)
    tables = place.tables | {
        name.removeprefix(f"{TABLES}."): value for name, value in after.items() if name.startswith(f"{TABLES}.")
    }
    mode = codex_cli.find_mode(after.get(PROVIDER), tables, find_own_address(control))
    done = to_set_up(change, backup, mode, lambda _, value: codex_cli.show_value(value), dry_run=dry_run, notes=notes)
    overridden_by = tuple(find_codex_overrides(place.content.path, {**place.config, PROVIDER: after.get(PROVIDER)}))
    return evolve(done, takes_effect=not overridden_by, overridden_by=overridden_by)


def _recognize(control: Control, place: Place, kept: UndoRecord) -> UndoRecord:
    """Adopt a file that points to a codexd without an undo record: the state was lost."""
    provider = place.config.get(PROVIDER)
    table = place.tables.get(provider) if isinstance(provider, str) else None
    if kept.entries or not isinstance(table, dict) or not codex_cli.is_ours(table):
        return kept
    own = {PROVIDER: provider, table_of(str(provider)): table}
    url = str(place.config.get(CHATGPT_URL, ""))
    if url == str(table["base_url"]).removesuffix("/v1") + "/backend-api":
        own |= {CHATGPT_URL: url}
    catalogue = control.accounts.catalogues.of(control.store.active)
    model = codex_cli.choose_model(None, control.settings, catalogue)
    return adopt(place.content, kept, own | ({MODEL: model} if model else {}))


def _read_place(folder: Path) -> Place:
    content = read_settings(folder / FILE, TOML)
    return Place(content, folder, tomllib.loads(content.settings_text))


def _find_folder(control: Control, config_dir: str | None) -> Path:
    return find_folder(control, config_dir, "CODEX_HOME", ".codex")


def _status_notes(control: Control, place: Place, kept: UndoRecord, address: Address, mode: Mode) -> list[str]:
    notes = _file_notes(control, place)
    model, catalogue = place.config.get(MODEL), control.accounts.catalogues.of(control.store.active)
    if model and not catalogue.is_built_in and codex_cli.is_refused_model(model, control.settings, catalogue):
        notes.append(REFUSED_NOTE.format(name=place.content.path.name, model=model))
    provider = place.config.get(PROVIDER)
    url = codex_cli.base_url_of(provider, place.tables)
    if mode is Mode.OTHER and provider is not None and last_written(place.content, kept, PROVIDER) == provider:
        notes.append(STALE_NOTE.format(url=url, now=address.url))
    if mode is Mode.CODEXD:
        table = place.tables[str(provider)]
        if not codex_cli.shows_key(table, address):
            notes.append(KEY_NOTE)
        expects_login = bool(table.get("requires_openai_auth"))
        if place.signed_in and not expects_login:
            notes.append(SIGNED_IN_SINCE_NOTE)
        elif expects_login and not place.signed_in:
            notes.append(SIGNED_OUT_SINCE_NOTE)
    return notes


def _file_notes(control: Control, place: Place) -> list[str]:
    """Notes on what the user wrote in the CLI's files, as far as it affects codexd."""
    notes = []
    model, used = place.config.get(MODEL), control.settings.models.default[0]
    if codex_cli.is_unknown_model(model, control.settings):
        notes.append(MODEL_NOTE.format(name=place.content.path.name, model=model, used=used))
    own = (None, place.config.get(PROVIDER), codex_cli.NAME)
    selected = place.config.get("profile")  # the overrides name it
    shown = (f"{selected}.config.toml", f"profiles.{selected}")
    others = [name for name, provider in _find_profiles(place) if provider not in own and name not in shown]
    if others:
        notes.append(PROFILE_NOTE.format(names=", ".join(others)))
    return notes


def _find_profiles(place: Place) -> Iterator[tuple[str, Any]]:
    """Each profile and the provider it sets. A profile is a file of its own, or a table for older CLIs."""
    for path in sorted(place.folder.glob(PROFILES)):
        try:
            yield path.name, toml_text.find(_read_text(path), (PROVIDER,))
        except ValueError:
            continue  # invalid TOML is not a profile, and not ours to fix
    tables = place.config.get("profiles")
    for name, table in (tables if isinstance(tables, dict) else {}).items():
        yield f"profiles.{name}", table.get(PROVIDER) if isinstance(table, dict) else None


def _read_text(path: Path) -> str:
    """The text of a CLI file that codexd never edits; empty if it can't be read."""
    try:
        if not path.is_file() or path.stat().st_size > bounds.LOGIN_BYTES:
            return ""
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


METHODS = (codex_status, codex_proxy, codex_reset)
