"""``claude.*``."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve

from codexd.api import clients as api
from codexd.api.params import NoParams
from codexd.clients import claude_code
from codexd.clients.claude_code import BASE_URL, BYPASSES, FAMILY_KEYS, OWN_KEYS, Door, Mode
from codexd.clients.kept import FILE_NAME, Kept, KeptFile
from codexd.clients.proof import MODEL, Answer, ask
from codexd.clients.set_up import MakeWanted, SetUp, adopt, carry_out, plain_values, prepare, read_values
from codexd.clients.settings_file import Content, check_writable, read_settings
from codexd.control.call import Call, Control
from codexd.errors import ClientFileRefused, FileUnwritable, RequestInvalid, RequestNotFound
from codexd.files import write_atomic
from codexd.translation import jsontext
from codexd.translation.models import Catalogue

log = logging.getLogger("codexd.clients")

RUN_SETTINGS = "claude-run.json"

AUTO_MODE_NOTE = (
    "Claude Code's auto mode asks Anthropic's servers whether a tool call is safe. Through codexd there is no such "
    "check, so it asks you each time; `claude --permission-mode acceptEdits` asks less often."
)
RESTART_NOTE = "A Claude Code that is running takes this up when it is started anew."
SIMULATED_NOTE = "This codexd is simulated: its answers are made up."
ANY_PORT_NOTE = "server.port is 0, so codexd will listen elsewhere after its next start. Set it to a fixed port."
BYPASS_NOTE = "{names} in the file leads Claude Code past every base URL. Take it out for codexd to be used."
STALE_NOTE = "{url} is where codexd listened before; `codexctl claude proxy` sets its address of now, {now}."


async def claude_status(call: Call, params: api.ClaudePlace) -> api.ClaudeStatus:
    control, path = call.control, _settings_path(call.control, params.config_dir)
    door = _door(control)
    try:
        content = read_settings(path)
        values = plain_values(read_values(content, OWN_KEYS))
        kept = _kept_file(control).find(content.path)
    except ClientFileRefused as refused:
        return api.ClaudeStatus(str(path), True, None, None, door.url, (), False, (), str(refused))
    base_url, mode = values.get(BASE_URL), claude_code.find_mode(values.get(BASE_URL), door)
    notes = _file_notes(content)
    if mode is Mode.OTHER and _led_here(kept, base_url):
        notes = (*notes, STALE_NOTE.format(url=base_url, now=door.url))
    return api.ClaudeStatus(
        path=str(path),
        exists=content.text is not None,
        mode=mode.value,
        base_url=None if base_url is None else claude_code.show_value(BASE_URL, base_url),
        address=door.url,
        values=tuple(api.ClaudeValue(name, claude_code.show_value(name, value)) for name, value in values.items()),
        can_reset=bool(kept.entries),
        notes=notes,
        problem=None,
    )


async def claude_proxy(call: Call, params: api.ClaudeChange) -> api.ClaudeSetUp:
    control = call.control
    content = read_settings(_settings_path(control, params.config_dir))
    door, window = _door(control), _own_window(content)
    catalogue = _catalogue(control)
    make_wanted = partial(claude_code.through_codexd, door, control.settings, catalogue=catalogue, window=window)
    notes = [RESTART_NOTE, AUTO_MODE_NOTE, *_file_notes(content)]
    notes += [SIMULATED_NOTE] if control.simulated else []
    notes += [ANY_PORT_NOTE] if control.settings.server.port == 0 else []
    done = _change(control, content, make_wanted, dry_run=params.dry_run, notes=tuple(notes))
    return done if params.dry_run else evolve(done, proof=_judge(control, await ask(door)))


async def claude_direct(call: Call, params: api.ClaudeDirect) -> api.ClaudeSetUp:
    content = read_settings(_settings_path(call.control, params.config_dir))
    make_wanted = partial(claude_code.to_anthropic, params.api_key)
    return _change(call.control, content, make_wanted, dry_run=params.dry_run, notes=(RESTART_NOTE,))


async def claude_set(call: Call, params: api.ClaudeSet) -> api.ClaudeSetUp:
    content = read_settings(_settings_path(call.control, params.config_dir))
    wanted = claude_code.to_other(params.api_url, params.api_key)
    notes = (RESTART_NOTE, *_file_notes(content))
    return _change(call.control, content, lambda _: wanted, dry_run=params.dry_run, notes=notes)


async def claude_reset(call: Call, params: api.ClaudeChange) -> api.ClaudeSetUp:
    content = read_settings(_settings_path(call.control, params.config_dir))
    return _change(call.control, content, lambda _: {}, dry_run=params.dry_run, notes=(RESTART_NOTE,))


async def claude_environment(call: Call, _params: NoParams) -> api.ClaudeEnvironment:
    control = call.control
    wanted = claude_code.through_codexd(_door(control), control.settings, {}, _catalogue(control))
    variables = {name: value for name, value in wanted.items() if value is not None}
    remove = tuple(name for name in OWN_KEYS if name not in variables) + BYPASSES
    path = control.places.state_dir / RUN_SETTINGS
    # An empty text in a later settings file is the only way to take a variable out of an earlier one.
    env = variables | dict.fromkeys(remove, "")
    _write_state(path, {"env": env})
    return api.ClaudeEnvironment(variables, remove, str(path))


def _change(
    control: Control, content: Content, make_wanted: MakeWanted, *, dry_run: bool, notes: tuple[str, ...]
) -> api.ClaudeSetUp:
    file = _kept_file(control)
    door = _door(control)
    kept = _recognise(control, content, file.find(content.path), door)
    change = prepare(content, kept, OWN_KEYS, make_wanted)
    if change.is_needed:
        check_writable(content)
    backup: Path | None = None
    if not dry_run:
        backup = _carry_out(change, file)
    after = plain_values({**change.now, **change.plan.targets}).get(BASE_URL)
    mode = claude_code.find_mode(after, door)
    if change.is_needed and not dry_run:
        log.info("Claude Code set up", extra={"fields": {"file": str(content.path), "mode": mode.value}})
    return api.ClaudeSetUp(
        path=str(content.path),
        mode=mode.value,
        dry_run=dry_run,
        changes=tuple(_edits(change)),
        left=change.plan.left,
        backup=str(backup) if backup else None,
        notes=notes,
        proof=None,
    )


def _recognise(control: Control, content: Content, kept: Kept, door: Door) -> Kept:
    """A file that leads to this daemon although nothing is remembered: set up by hand, or the state was lost."""
    base_url = plain_values(read_values(content, (BASE_URL,))).get(BASE_URL)
    if kept.entries or claude_code.find_mode(base_url, door) is not Mode.CODEXD:
        return kept
    wanted = claude_code.through_codexd(door, control.settings, {}, _catalogue(control))
    shown = plain_values(read_values(content, claude_code.NAME_KEYS))
    return adopt(content, kept, wanted | claude_code.earlier_names(shown, control.settings))


def _carry_out(change: SetUp, file: KeptFile) -> Path | None:
    try:
        return carry_out(change, file)
    except OSError as error:
        raise _unwritable(file.path, error) from None


def _edits(change: SetUp) -> list[api.ClaudeEdit]:
    before, after = plain_values(change.now), plain_values(change.plan.targets)
    return [api.ClaudeEdit(name, _shown(name, before), _shown(name, after)) for name in change.plan.targets]


def _shown(name: str, values: Mapping[str, Any]) -> str | None:
    return claude_code.show_value(name, values[name]) if name in values else None


def _judge(control: Control, answer: Answer) -> api.ClaudeProof:
    model_used = account = None
    if answer.request_id is not None:
        try:
            record = control.requests.find(answer.request_id)
        except RequestNotFound:
            pass
        else:
            model_used, account = record.model_used, record.account
    took = f"{answer.duration_ms / 1000:.1f} s"
    told = answer.problem or f"{model_used or MODEL} answered in {took}."
    return api.ClaudeProof(
        ok=answer.problem is None,
        message=told,
        model=MODEL,
        model_used=model_used,
        account=account,
        status=answer.status,
        duration_ms=answer.duration_ms,
        request=answer.request_id,
    )


def _settings_path(control: Control, config_dir: str | None) -> Path:
    """Claude Code's: ``CLAUDE_CONFIG_DIR``, else ``~/.claude``."""
    environ = control.environ
    if config_dir is not None:
        return Path(config_dir) / "settings.json"
    if environ.get("CLAUDE_CONFIG_DIR"):
        return Path(environ["CLAUDE_CONFIG_DIR"]).expanduser().absolute() / "settings.json"
    if not environ.get("HOME"):
        raise RequestInvalid("config_dir", "is required: the daemon's environment names no home")
    return Path(environ["HOME"]) / ".claude" / "settings.json"


def _door(control: Control) -> Door:
    return claude_code.find_door(control.addresses, control.settings)


def _catalogue(control: Control) -> Catalogue:
    return control.accounts.catalogues.of(control.store.active)


def _kept_file(control: Control) -> KeptFile:
    return KeptFile(control.places.state_dir / FILE_NAME)


def _own_window(content: Content) -> int | None:
    window = json.loads(content.object_text).get("autoCompactWindow")
    return window if isinstance(window, int) and not isinstance(window, bool) else None


def _led_here(kept: Kept, base_url: Any) -> bool:
    """Whether ``claude.proxy`` wrote ``base_url``, and not ``claude.set``, which writes no models."""
    return _wrote(kept, BASE_URL) == base_url and any(_wrote(kept, key) for key in FAMILY_KEYS)


def _wrote(kept: Kept, name: str) -> Any:
    entry = kept.entries.get(name)
    return None if entry is None or entry.wrote is None else json.loads(entry.wrote)


def _file_notes(content: Content) -> tuple[str, ...]:
    past = plain_values(read_values(content, BYPASSES))
    return (BYPASS_NOTE.format(names=", ".join(past)),) if past else ()


def _write_state(path: Path, value: Any) -> None:
    try:
        write_atomic(path, jsontext.dumps(value))
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> FileUnwritable:
    return FileUnwritable(f"{path} can't be written ({error.strerror or error}); nothing was changed.")
