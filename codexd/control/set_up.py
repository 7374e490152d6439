"""What the methods that set a client up have in common."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from codexd.api import clients as api
from codexd.clients.address import Address, Answer, Question, find_address
from codexd.clients.set_up import MakeWanted, SetUp, carry_out, plain_values, prepare
from codexd.clients.settings_file import Content, check_writable
from codexd.clients.undo import FILE_NAME, UndoFile, UndoRecord
from codexd.control.method import Control
from codexd.errors import FileUnwritable, RequestInvalid, RequestNotFound

log = logging.getLogger("codexd.clients")

SIMULATED_NOTE = "This codexd is simulated: its answers are made up."
ANY_PORT_NOTE = "server.port is 0, so codexd will listen elsewhere after its next start. Set it to a fixed port."

Show = Callable[[str, Any], str]
"""A value for the user's eyes."""


def find_folder(control: Control, config_dir: str | None, variable: str, below_home: str) -> Path:
    """A client's folder: the caller's, else what ``variable`` of the daemon's environment says, else below the home."""
    environ = control.environ
    if config_dir is not None:
        return Path(config_dir)
    if environ.get(variable):
        return Path(environ[variable]).expanduser().absolute()
    if not environ.get("HOME"):
        raise RequestInvalid("config_dir", "is required: the daemon's environment names no home")
    return Path(environ["HOME"]) / below_home


def find_kept_file(control: Control) -> UndoFile:
    return UndoFile(control.places.state_dir / FILE_NAME)


def find_own_door(control: Control) -> Address:
    return find_address(control.addresses, control.settings)


def notes_of(control: Control) -> list[str]:
    """What is to be known of a codexd that a client is led to."""
    notes = [SIMULATED_NOTE] if control.simulated else []
    return notes + ([ANY_PORT_NOTE] if control.settings.server.port == 0 else [])


def change_file(
    control: Control,
    content: Content,
    kept: UndoRecord,
    names: tuple[str, ...],
    make_wanted: MakeWanted,
    *,
    dry_run: bool,
) -> tuple[SetUp, Path | None]:
    """The change, made unless ``dry_run``, and the path of the backup.

    Raises:
        ClientFileRefused, FileUnreadable, FileUnwritable
    """
    change = prepare(content, kept, names, make_wanted)
    if change.is_needed:
        check_writable(content)
    if dry_run:
        return change, None
    file = find_kept_file(control)
    try:
        return change, carry_out(change, file)
    except OSError as error:
        raise unwritable(file.path, error) from None


def tell(
    change: SetUp, backup: Path | None, mode: Enum, show: Show, *, dry_run: bool, notes: Iterable[str]
) -> api.ClientSetUp:
    """``change`` as the caller is told of it. ``mode``: where the client is led to after it."""
    if change.is_needed and not dry_run:
        log.info("client set up", extra={"fields": {"file": str(change.content.path), "mode": mode.value}})
    return api.ClientSetUp(
        path=str(change.content.path),
        mode=mode.value,
        dry_run=dry_run,
        changes=_edits_of(change, show),
        left=change.plan.left,
        backup=str(backup) if backup else None,
        notes=tuple(notes),
        proof=None,
    )


def values_after(change: SetUp) -> dict[str, Any]:
    """What the names hold once the change is made."""
    return plain_values(change.content, {**change.now, **change.plan.targets})


def _edits_of(change: SetUp, show: Show) -> tuple[api.ClientEdit, ...]:
    before, after = plain_values(change.content, change.now), plain_values(change.content, change.plan.targets)

    def shown(name: str, values: dict[str, Any]) -> str | None:
        return show(name, values[name]) if name in values else None

    return tuple(api.ClientEdit(name, shown(name, before), shown(name, after)) for name in change.plan.targets)


def wrote(content: Content, kept: UndoRecord, name: str) -> Any:
    """The value that codexd wrote for ``name``."""
    entry = kept.entries.get(name)
    return None if entry is None or entry.wrote is None else content.format.parse(entry.wrote)


def judge(control: Control, question: Question, answer: Answer) -> api.ClientProof:
    model_used = account = None
    if answer.request_id is not None:
        try:
            record = control.requests.find(answer.request_id)
        except RequestNotFound:
            pass
        else:
            model_used, account = record.model_used, record.account
    took = f"{answer.duration_ms / 1000:.1f} s"
    told = answer.problem or f"{model_used or question.model} answered in {took}."
    return api.ClientProof(
        ok=answer.problem is None,
        message=told,
        model=question.model,
        model_used=model_used,
        account=account,
        status=answer.status,
        duration_ms=answer.duration_ms,
        request=answer.request_id,
    )


def unwritable(path: Path, error: OSError) -> FileUnwritable:
    return FileUnwritable(f"{path} can't be written ({error.strerror or error}); nothing was changed.")
