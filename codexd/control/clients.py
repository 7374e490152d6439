"""What ``claude.*`` and ``codex.*`` share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from codexd.api import clients as api
from codexd.clients.address import Address, ProofAnswer, ProofRequest, find_address
from codexd.clients.set_up import MakeWanted, SetUp, carry_out, plain_values, prepare
from codexd.clients.settings_file import Content, check_writable
from codexd.clients.undo import FILE_NAME, UndoFile, UndoRecord
from codexd.control.method import Control
from codexd.errors import ClientFileRefused, FileUnreadable, FileUnwritable, RequestInvalid, RequestNotFound
from codexd.files import find_remedy

log = logging.getLogger("codexd.clients")

CLIENT_FILE_ERRORS = (ClientFileRefused, FileUnreadable, FileUnwritable)

SIMULATED_NOTE = "This codexd is simulated; its answers are made up."
ANY_PORT_NOTE = "server.port is 0, so codexd listens on another port after each restart. Set it to a fixed port."

Show = Callable[[str, Any], str]
"""Returns a setting's value as shown to users, with secrets hidden."""


def find_folder(control: Control, config_dir: str | None, variable: str, below_home: str) -> Path:
    """``config_dir``, or the folder in the daemon's environment ``variable``, or ``below_home`` in the home folder."""
    environ = control.environ
    if config_dir is not None:
        return Path(config_dir)
    if environ.get(variable):
        return Path(environ[variable]).expanduser().absolute()
    if not environ.get("HOME"):
        raise RequestInvalid("config_dir", "is required: HOME is not set in the daemon's environment")
    return Path(environ["HOME"]) / below_home


def find_undo_file(control: Control) -> UndoFile:
    return UndoFile(control.places.state_dir / FILE_NAME)


def find_own_address(control: Control) -> Address:
    return find_address(control.addresses, control.settings)


def find_notes(control: Control) -> list[str]:
    """What the user should know about this codexd before a client uses it."""
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
    """The change, applied unless ``dry_run``, and the path of the backup.

    Raises:
        ClientFileRefused, FileUnreadable, FileUnwritable
    """
    change = prepare(content, kept, names, make_wanted)
    if change.is_needed:
        check_writable(content)
    if dry_run:
        return change, None
    file = find_undo_file(control)
    try:
        return change, carry_out(change, file)
    except OSError as error:
        raise unwritable(file.path, error) from None


def to_set_up(
    change: SetUp, backup: Path | None, mode: Enum, show: Show, *, dry_run: bool, notes: Iterable[str]
) -> api.ClientSetUp:
    """``change`` for the reply. ``mode``: where the client then sends its requests."""
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
    """The value of each name after the change."""
    return plain_values(change.content, {**change.now, **change.plan.targets})


def _edits_of(change: SetUp, show: Show) -> tuple[api.ClientEdit, ...]:
    before, after = plain_values(change.content, change.now), plain_values(change.content, change.plan.targets)

    def shown(name: str, values: dict[str, Any]) -> str | None:
        return show(name, values[name]) if name in values else None

    return tuple(api.ClientEdit(name, shown(name, before), shown(name, after)) for name in change.plan.targets)


def last_written(content: Content, kept: UndoRecord, name: str) -> Any:
    """The value that codexd wrote for ``name``, or None."""
    entry = kept.entries.get(name)
    return None if entry is None or entry.wrote is None else content.format.parse(entry.wrote)


def to_proof(control: Control, sent: ProofRequest, answer: ProofAnswer) -> api.ClientProof:
    model_used = account = None
    if answer.request_id is not None:
        try:
            request = control.requests.find(answer.request_id).info
        except RequestNotFound:
            pass
        else:
            model_used, account = request.model_used, request.account
    took = f"{answer.duration_ms / 1000:.1f} s"
    message = answer.problem or f"{model_used or sent.model} answered in {took}."
    return api.ClientProof(
        ok=answer.problem is None,
        message=message,
        model=sent.model,
        model_used=model_used,
        account=account,
        status=answer.status,
        duration_ms=answer.duration_ms,
        request=answer.request_id,
    )


def unwritable(path: Path, error: OSError) -> FileUnwritable:
    reason = f"{path} can't be written ({error.strerror or error}); nothing was changed."
    return FileUnwritable(f"{reason} {find_remedy(error)}".rstrip())
