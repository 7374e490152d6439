"""``claude.*``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve

from codexd.api import clients as api
from codexd.api.rules import NoParams
from codexd.clients import claude_code, overrides
from codexd.clients.address import Address, as_claude_code, send_proof
from codexd.clients.claude_code import (
    AUTH_TOKEN,
    AUTO,
    BASE_URL,
    BYPASSES,
    FAMILY_KEYS,
    OWN_KEYS,
    PERMISSION_MODE,
    Mode,
)
from codexd.clients.codex_cli import is_refused_model
from codexd.clients.set_up import MakeWanted, adopt, plain_values, prepare, read_values
from codexd.clients.settings_file import ENV_IN_JSON, Content, is_variable, read_settings
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
    unwritable,
    values_after,
)
from codexd.control.method import Call, Control, method
from codexd.errors import ClientFileRefused, FileUnwritable
from codexd.files import write_atomic
from codexd.translation.models.catalogue import Catalogue

RUN_SETTINGS = "claude-run.json"
EXAMPLE = {"config_dir": "/home/me/.claude", "working_dir": "/home/me/project", "dry_run": True}

AUTO_MODE_NOTE = (
    "In auto mode, its default, Claude Code lets a model decide whether an action is safe, and then runs it without "
    "asking you. Through codexd that model is {model} (models.haiku), and each checked action costs your plan one or "
    "two requests of about 35,000 tokens; only Anthropic's servers check for free, which Claude Code will tell you. "
    "`codexctl claude proxy --ask` makes Claude Code ask you instead."
)
ASK_NOTE = "Claude Code asks you before each action. Shift+Tab changes that for a session."
RESTART_NOTE = "Restart Claude Code for this to take effect."
STALE_NOTE = "{url} is where codexd used to listen; `codexctl claude proxy` sets its current address, {now}."

OUTDATED_NOTE = (
    "Out of date, because a setting models.* or what your account is offered has changed: {names}. `codexctl claude "
    "proxy` renews the names and windows of the models that Claude Code shows."
)
KEY_NOTE = (
    "The file does not have the current key (setting server.api_key), so codexd refuses Claude Code's requests; "
    "`codexctl claude proxy` adds it."
)

MODEL_NOTE = (
    "The file says model = {model}, which Claude Code wrote when you chose it. Anthropic's servers do not know this "
    "model; choose another with /model in Claude Code."
)
NOT_OFFERED_NOTE = (
    "The file says model = {model}, which Claude Code wrote when you chose it. The active account is not offered it; "
    "choose another with /model in Claude Code."
)


@method("claude.status", example={"config_dir": "/home/me/.claude"}, errors=CLIENT_FILE_ERRORS)
async def claude_status(call: Call, params: api.ClientPlace) -> api.ClaudeStatus:
    """How Claude Code is set up."""
    control, path = call.control, _settings_path(call.control, params.config_dir)
    address = find_own_address(control)
    try:
        content = read_settings(path, ENV_IN_JSON)
        kept = find_undo_file(control).find(content.path)
        values = plain_values(content, read_values(content, _own_names(control, kept)))
    except ClientFileRefused as refused:
        return api.ClaudeStatus(str(path), True, None, None, address.url, (), False, (), str(refused))
    base_url, mode = values.get(BASE_URL), claude_code.find_mode(values.get(BASE_URL), address)
    notes: tuple[str, ...] = ()
    if mode is Mode.OTHER and _pointed_here(content, kept, base_url):
        notes = (*notes, STALE_NOTE.format(url=base_url, now=address.url))
    if mode is Mode.CODEXD and not claude_code.shows_key(values, address):
        notes = (*notes, KEY_NOTE)
    if mode is Mode.CODEXD:
        notes = (*notes, *_outdated_notes(control, content, kept, address), *_offer_notes(control, content))
    if mode is Mode.ANTHROPIC:
        notes = (*notes, *_model_notes(control, content))
    overridden_by = _find_overrides(content, params, values, address)
    return api.ClaudeStatus(
        path=str(path),
        exists=content.text is not None,
        mode=mode.value,
        base_url=None if base_url is None else claude_code.show_value(BASE_URL, base_url),
        address=address.url,
        values=tuple(api.ClientValue(name, claude_code.show_value(name, value)) for name, value in values.items()),
        can_reset=bool(kept.entries),
        notes=notes,
        problem=None,
        takes_effect=not overridden_by,
        overridden_by=overridden_by,
        permission_mode=_permission_mode(values),
    )


@method("claude.proxy", example=EXAMPLE, errors=CLIENT_FILE_ERRORS)
async def claude_proxy(call: Call, params: api.ClaudeProxy) -> api.ClientSetUp:
    """Set Claude Code up to work through codexd, and prove it with a request."""
    control = call.control
    content = read_settings(_settings_path(control, params.config_dir), ENV_IN_JSON)
    address = find_own_address(control)
    kept = find_undo_file(control).find(content.path)
    asks_first = params.ask or last_written(content, kept, PERMISSION_MODE) is not None
    make_wanted = partial(
        claude_code.through_codexd, address, control.settings, catalogue=_catalogue(control), asks_first=asks_first
    )
    before = plain_values(content, read_values(content, (PERMISSION_MODE,)))
    mode = claude_code.ASK if asks_first else _permission_mode(before)
    notes = (RESTART_NOTE, *_permission_notes(control, mode), *find_notes(control))
    done = _change(control, content, make_wanted, params, notes=notes)
    if params.dry_run:
        return done
    request = as_claude_code(address)
    return evolve(done, proof=to_proof(control, request, await send_proof(address, request)))


@method("claude.direct", example=EXAMPLE, errors=CLIENT_FILE_ERRORS)
async def claude_direct(call: Call, params: api.ClaudeDirect) -> api.ClientSetUp:
    """Set Claude Code up to use Anthropic's servers."""
    content = read_settings(_settings_path(call.control, params.config_dir), ENV_IN_JSON)
    make_wanted = partial(claude_code.to_anthropic, params.api_key)
    return _change(call.control, content, make_wanted, params, notes=(RESTART_NOTE,))


@method("claude.set", example={"api_url": "https://gateway.example.com", **EXAMPLE}, errors=CLIENT_FILE_ERRORS)
async def claude_set(call: Call, params: api.ClaudeSet) -> api.ClientSetUp:
    """Set Claude Code up to use another server with Anthropic's API."""
    content = read_settings(_settings_path(call.control, params.config_dir), ENV_IN_JSON)
    wanted = claude_code.to_other(params.api_url, params.api_key)
    return _change(call.control, content, lambda _: wanted, params, notes=(RESTART_NOTE,))


@method("claude.reset", example=EXAMPLE, errors=CLIENT_FILE_ERRORS)
async def claude_reset(call: Call, params: api.ClientChange) -> api.ClientSetUp:
    """Put back what was in Claude Code's settings before codexd."""
    content = read_settings(_settings_path(call.control, params.config_dir), ENV_IN_JSON)
    return _change(call.control, content, lambda _: {}, params, notes=(RESTART_NOTE,))


@method("claude.environment", errors=(FileUnwritable,))
async def claude_environment(call: Call, _params: NoParams) -> api.ClaudeEnvironment:
    """What Claude Code needs to work through codexd with no file edited."""
    control, address = call.control, find_own_address(call.control)
    wanted = claude_code.through_codexd(address, control.settings, {}, _catalogue(control))
    variables = {name: str(value) for name, value in wanted.items() if value is not None and is_variable(name)}
    remove = (*(name for name in OWN_KEYS if name not in variables), *BYPASSES)
    path = control.places.state_dir / RUN_SETTINGS
    # Only an empty value in a later settings file unsets a variable of an earlier one.
    env = variables | dict.fromkeys(remove, "")
    text = json.dumps({"env": env})
    for name, value in wanted.items():
        if value is not None and not is_variable(name):
            text = ENV_IN_JSON.put(text, name, ENV_IN_JSON.dump(value))
    _write_state(path, text)
    overridden_by = overrides.find_overrides(
        overrides.read_claude_sources(path, None), path, {BASE_URL: address.url, **_checked_key(address)}
    )
    return api.ClaudeEnvironment(variables, remove, str(path), tuple(overridden_by))


def _change(
    control: Control, content: Content, make_wanted: MakeWanted, params: api.ClientChange, *, notes: Iterable[str]
) -> api.ClientSetUp:
    address = find_own_address(control)
    kept = _recognize(control, content, find_undo_file(control).find(content.path), address)
    change, backup = change_file(control, content, kept, _own_names(control, kept), make_wanted, dry_run=params.dry_run)
    after = values_after(change)
    mode = claude_code.find_mode(after.get(BASE_URL), address)
    if mode is Mode.ANTHROPIC:
        notes = (*notes, *_model_notes(control, content))
    done = to_set_up(change, backup, mode, claude_code.show_value, dry_run=params.dry_run, notes=notes)
    overridden_by = _find_overrides(content, params, after, address)
    return evolve(done, takes_effect=not overridden_by, overridden_by=overridden_by)


def _find_overrides(
    content: Content, params: api.ClientPlace, values: Mapping[str, Any], address: Address
) -> tuple[str, ...]:
    """What wins over the file, which sets ``values``."""
    bypasses = plain_values(content, read_values(content, tuple(BYPASSES)))
    working_dir = Path(params.working_dir) if params.working_dir else None
    sources = [
        *overrides.read_claude_sources(content.path, working_dir),
        overrides.in_file(content.path, {**values, **bypasses}),
        overrides.shell(params.environment),
    ]
    through_codexd = claude_code.find_mode(values.get(BASE_URL), address) is Mode.CODEXD
    key = _checked_key(address) if through_codexd else {}
    return tuple(overrides.find_overrides(sources, content.path, {BASE_URL: values.get(BASE_URL), **key}))


def _checked_key(address: Address) -> dict[str, str]:
    """The token, if codexd checks it."""
    return {AUTH_TOKEN: address.key} if address.key else {}


def _recognize(control: Control, content: Content, kept: UndoRecord, address: Address) -> UndoRecord:
    """Adopt a file that points to this daemon without an undo record: set up by hand, or the state was lost."""
    base_url = plain_values(content, read_values(content, (BASE_URL,))).get(BASE_URL)
    if kept.entries or claude_code.find_mode(base_url, address) is not Mode.CODEXD:
        return kept
    wanted = claude_code.through_codexd(address, control.settings, {}, _catalogue(control))
    shown = plain_values(content, read_values(content, claude_code.NAME_KEYS))
    return adopt(content, kept, wanted | claude_code.earlier_names(shown, control.settings))


def _settings_path(control: Control, config_dir: str | None) -> Path:
    """Claude Code's settings file, in ``CLAUDE_CONFIG_DIR``, else in ``~/.claude``."""
    return find_folder(control, config_dir, "CLAUDE_CONFIG_DIR", ".claude") / "settings.json"


def _catalogue(control: Control) -> Catalogue:
    return control.accounts.catalogues.of(control.store.active)


def _own_names(control: Control, kept: UndoRecord) -> tuple[str, ...]:
    return claude_code.own_names(control.settings, _catalogue(control), kept.entries)


def _pointed_here(content: Content, kept: UndoRecord, base_url: Any) -> bool:
    """Whether ``claude.proxy`` wrote ``base_url``, rather than ``claude.set``, which writes no models."""
    return last_written(content, kept, BASE_URL) == base_url and any(
        last_written(content, kept, key) for key in FAMILY_KEYS
    )


def _permission_mode(values: Mapping[str, Any]) -> str | None:
    mode = values.get(PERMISSION_MODE)
    return mode if isinstance(mode, str) else None


def _permission_notes(control: Control, mode: str | None) -> tuple[str, ...]:
    if mode == claude_code.ASK:
        return (ASK_NOTE,)
    checker = _catalogue(control).choose(control.settings.models.haiku)
    return (AUTO_MODE_NOTE.format(model=checker),) if mode in (None, AUTO) else ()


def _outdated_notes(control: Control, content: Content, kept: UndoRecord, address: Address) -> tuple[str, ...]:
    """Whether ``claude.proxy`` would now write other names or windows in place of its own."""
    catalogue = _catalogue(control)
    if catalogue.is_built_in:
        return ()
    make_wanted = partial(claude_code.through_codexd, address, control.settings, catalogue=catalogue)
    change = prepare(content, kept, _own_names(control, kept), make_wanted)
    outdated = [name for name in change.plan.targets if name in kept.entries and claude_code.describes_model(name)]
    return (OUTDATED_NOTE.format(names=", ".join(outdated)),) if outdated else ()


def _offer_notes(control: Control, content: Content) -> tuple[str, ...]:
    model, catalogue = _chosen_model(content), _catalogue(control)
    if not model or catalogue.is_built_in or not is_refused_model(model, control.settings, catalogue):
        return ()
    return (NOT_OFFERED_NOTE.format(model=model),)


def _chosen_model(content: Content) -> Any:
    """What Claude Code wrote when its user chose a model."""
    return json.loads(content.settings_text).get("model")


def _model_notes(control: Control, content: Content) -> tuple[str, ...]:
    model = _chosen_model(content)
    return (MODEL_NOTE.format(model=model),) if claude_code.is_codexd_model(model, _catalogue(control)) else ()


def _write_state(path: Path, text: str) -> None:
    try:
        write_atomic(path, text.encode())
    except OSError as error:
        raise unwritable(path, error) from None


METHODS = (claude_status, claude_proxy, claude_direct, claude_set, claude_reset, claude_environment)
