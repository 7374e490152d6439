"""``claude.*``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve

from codexd import jsontext
from codexd.api import clients as api
from codexd.api.params import NoParams
from codexd.clients import claude_code
from codexd.clients.address import Address, as_claude_code, ask
from codexd.clients.claude_code import BASE_URL, BYPASSES, FAMILY_KEYS, OWN_KEYS, Mode
from codexd.clients.set_up import MakeWanted, adopt, plain_values, read_values
from codexd.clients.settings_file import ENV_IN_JSON, Content, read_settings
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
    unwritable,
    values_after,
    wrote,
)
from codexd.errors import ClientFileRefused
from codexd.files import write_atomic
from codexd.translation.models.routes import Catalogue

RUN_SETTINGS = "claude-run.json"

AUTO_MODE_NOTE = (
    "Claude Code's auto mode asks Anthropic's servers whether a tool call is safe. Through codexd there is no such "
    "check, so it asks you each time; `claude --permission-mode acceptEdits` asks less often."
)
RESTART_NOTE = "A Claude Code that is running takes this up when it is started anew."
BYPASS_NOTE = "{names} in the file leads Claude Code past every base URL. Take it out for codexd to be used."
STALE_NOTE = "{url} is where codexd listened before; `codexctl claude proxy` sets its address of now, {now}."

KEY_NOTE = (
    "The file does not have the key of now (setting server.api_key), so codexd refuses what Claude Code asks; "
    "`codexctl claude proxy` puts it in."
)

MODEL_NOTE = (
    "The file says model = {model}, as Claude Code wrote it when you chose that; Anthropic's servers do not know it. "
    "Choose another with /model in Claude Code."
)


async def claude_status(call: Call, params: api.ClientPlace) -> api.ClaudeStatus:
    control, path = call.control, _settings_path(call.control, params.config_dir)
    door = find_own_door(control)
    try:
        content = read_settings(path, ENV_IN_JSON)
        values = plain_values(content, read_values(content, OWN_KEYS))
        kept = find_kept_file(control).find(content.path)
    except ClientFileRefused as refused:
        return api.ClaudeStatus(str(path), True, None, None, door.url, (), False, (), str(refused))
    base_url, mode = values.get(BASE_URL), claude_code.find_mode(values.get(BASE_URL), door)
    notes = _file_notes(content)
    if mode is Mode.OTHER and _led_here(content, kept, base_url):
        notes = (*notes, STALE_NOTE.format(url=base_url, now=door.url))
    if mode is Mode.CODEXD and not claude_code.shows_key(values, door):
        notes = (*notes, KEY_NOTE)
    if mode is Mode.ANTHROPIC:
        notes = (*notes, *_model_notes(control, content))
    return api.ClaudeStatus(
        path=str(path),
        exists=content.text is not None,
        mode=mode.value,
        base_url=None if base_url is None else claude_code.show_value(BASE_URL, base_url),
        address=door.url,
        values=tuple(api.ClientValue(name, claude_code.show_value(name, value)) for name, value in values.items()),
        can_reset=bool(kept.entries),
        notes=notes,
        problem=None,
    )


async def claude_proxy(call: Call, params: api.ClientChange) -> api.ClientSetUp:
    control = call.control
    content = read_settings(_settings_path(control, params.config_dir), ENV_IN_JSON)
    door, window = find_own_door(control), _own_window(content)
    make_wanted = partial(
        claude_code.through_codexd, door, control.settings, catalogue=_catalogue(control), window=window
    )
    notes = (RESTART_NOTE, AUTO_MODE_NOTE, *_file_notes(content), *notes_of(control))
    done = _change(control, content, make_wanted, dry_run=params.dry_run, notes=notes)
    if params.dry_run:
        return done
    question = as_claude_code(door)
    return evolve(done, proof=judge(control, question, await ask(door, question)))


async def claude_direct(call: Call, params: api.ClaudeDirect) -> api.ClientSetUp:
    content = read_settings(_settings_path(call.control, params.config_dir), ENV_IN_JSON)
    make_wanted = partial(claude_code.to_anthropic, params.api_key)
    return _change(call.control, content, make_wanted, dry_run=params.dry_run, notes=(RESTART_NOTE,))


async def claude_set(call: Call, params: api.ClaudeSet) -> api.ClientSetUp:
    content = read_settings(_settings_path(call.control, params.config_dir), ENV_IN_JSON)
    wanted = claude_code.to_other(params.api_url, params.api_key)
    notes = (RESTART_NOTE, *_file_notes(content))
    return _change(call.control, content, lambda _: wanted, dry_run=params.dry_run, notes=notes)


async def claude_reset(call: Call, params: api.ClientChange) -> api.ClientSetUp:
    content = read_settings(_settings_path(call.control, params.config_dir), ENV_IN_JSON)
    return _change(call.control, content, lambda _: {}, dry_run=params.dry_run, notes=(RESTART_NOTE,))


async def claude_environment(call: Call, _params: NoParams) -> api.ClaudeEnvironment:
    control = call.control
    wanted = claude_code.through_codexd(find_own_door(control), control.settings, {}, _catalogue(control))
    variables = {name: value for name, value in wanted.items() if value is not None}
    remove = tuple(name for name in OWN_KEYS if name not in variables) + BYPASSES
    path = control.places.state_dir / RUN_SETTINGS
    # An empty text in a later settings file is the only way to take a variable out of an earlier one.
    env = variables | dict.fromkeys(remove, "")
    _write_state(path, {"env": env})
    return api.ClaudeEnvironment(variables, remove, str(path))


def _change(
    control: Control, content: Content, make_wanted: MakeWanted, *, dry_run: bool, notes: Iterable[str]
) -> api.ClientSetUp:
    door = find_own_door(control)
    kept = _recognise(control, content, find_kept_file(control).find(content.path), door)
    change, backup = change_file(control, content, kept, OWN_KEYS, make_wanted, dry_run=dry_run)
    mode = claude_code.find_mode(values_after(change).get(BASE_URL), door)
    if mode is Mode.ANTHROPIC:
        notes = (*notes, *_model_notes(control, content))
    return tell(change, backup, mode, claude_code.show_value, dry_run=dry_run, notes=notes)


def _recognise(control: Control, content: Content, kept: UndoRecord, door: Address) -> UndoRecord:
    """A file that leads to this daemon although nothing is remembered: set up by hand, or the state was lost."""
    base_url = plain_values(content, read_values(content, (BASE_URL,))).get(BASE_URL)
    if kept.entries or claude_code.find_mode(base_url, door) is not Mode.CODEXD:
        return kept
    wanted = claude_code.through_codexd(door, control.settings, {}, _catalogue(control))
    shown = plain_values(content, read_values(content, claude_code.NAME_KEYS))
    return adopt(content, kept, wanted | claude_code.earlier_names(shown, control.settings))


def _settings_path(control: Control, config_dir: str | None) -> Path:
    """Claude Code's: ``CLAUDE_CONFIG_DIR``, else ``~/.claude``."""
    return find_folder(control, config_dir, "CLAUDE_CONFIG_DIR", ".claude") / "settings.json"


def _catalogue(control: Control) -> Catalogue:
    return control.accounts.catalogues.of(control.store.active)


def _own_window(content: Content) -> int | None:
    window = json.loads(content.settings_text).get("autoCompactWindow")
    return window if isinstance(window, int) and not isinstance(window, bool) else None


def _led_here(content: Content, kept: UndoRecord, base_url: Any) -> bool:
    """Whether ``claude.proxy`` wrote ``base_url``, and not ``claude.set``, which writes no models."""
    return wrote(content, kept, BASE_URL) == base_url and any(wrote(content, kept, key) for key in FAMILY_KEYS)


def _file_notes(content: Content) -> tuple[str, ...]:
    past = plain_values(content, read_values(content, BYPASSES))
    return (BYPASS_NOTE.format(names=", ".join(past)),) if past else ()


def _model_notes(control: Control, content: Content) -> tuple[str, ...]:
    model = json.loads(content.settings_text).get("model")
    return (MODEL_NOTE.format(model=model),) if claude_code.is_codexds(model, _catalogue(control)) else ()


def _write_state(path: Path, value: Any) -> None:
    try:
        write_atomic(path, jsontext.dumps(value))
    except OSError as error:
        raise unwritable(path, error) from None
