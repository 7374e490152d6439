"""The steps that install or uninstall a service: shown first, then taken, and taken back if one fails."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from codexctl.service.definition import hide_secrets, to_lines
from codexctl.service.manager import Finished, Machine
from codexd.files import PRIVATE, sync_folder, write_atomic


class Write(NamedTuple):
    """Write a file. ``before`` is the text that it replaces."""

    path: Path
    text: str
    before: str | None = None

    def difference(self) -> list[str]:
        """What changes, as lines of a diff; for a new file, its lines."""
        if self.before is None:
            return [f"+{line}" for line in to_lines(self.text)]
        before, after = to_lines(self.before), to_lines(self.text)
        return list(difflib.unified_diff(before, after, lineterm="", n=1))[2:]


class Remove(NamedTuple):
    """Delete a file whose text is ``before``."""

    path: Path
    before: str


class Move(NamedTuple):
    """Rename a file, to keep what is not ours."""

    path: Path
    target: Path


class MakeFolder(NamedTuple):
    """Create a folder that only the user can enter."""

    path: Path


class Run(NamedTuple):
    """Run a command; ``undo`` takes it back. With ``may_fail``, the next step follows even if it fails.

    ``advice`` says what to do if it fails.
    """

    command: tuple[str, ...]
    undo: tuple[str, ...] = ()
    may_fail: bool = False
    advice: str = ""

    def __str__(self) -> str:
        return shlex.join(self.command)


class Call(NamedTuple):
    """Something that codexctl does itself. It raises StepFailed.

    ``lasting`` says what stays so if a later step fails.
    """

    summary: str
    act: Callable[[], None]
    lasting: str = ""


Step: TypeAlias = Write | Remove | Move | MakeFolder | Run | Call


class StepFailed(Exception):
    """A step failed; the text says which one and why."""


def to_json(step: Step) -> dict[str, Any]:
    """``step`` for people and scripts."""
    words = _name(step)
    match step:
        case Write(path, _, before):
            action = "create" if before is None else "update"
            return {
                "action": action,
                "words": words,
                "path": str(path),
                "diff": hide_secrets("\n".join(step.difference())).splitlines(),
            }
        case Remove(path):
            return {"action": "remove", "words": words, "path": str(path)}
        case Move(path, target):
            return {"action": "move", "words": words, "path": str(path), "to": str(target)}
        case MakeFolder(path):
            return {"action": "make_folder", "words": words, "path": str(path)}
        case Run(command):
            return {"action": "run", "words": words, "command": list(command)}
        case Call():
            return {"action": "do", "words": words}


def take(
    steps: Sequence[Step],
    machine: Machine,
    report: Callable[[str], None],
    after_undo: Iterable[tuple[str, ...]] = (),
) -> None:
    """Take the steps in order. If one fails, all is taken back, and then the commands ``after_undo`` are run.

    Raises:
        StepFailed
    """
    last = [Run((), command) for command in after_undo][::-1]
    for number, step in enumerate(steps):
        report(_name(step))
        try:
            _take(step, machine)
        except KeyboardInterrupt:
            _take_back([*last, *steps[: number + 1]], machine)
            raise
        except (StepFailed, OSError) as error:
            why = str(error) if isinstance(error, StepFailed) else _explain(error)
            _take_back([step] if isinstance(step, Run) else [], machine)  # it may be half done
            left = _take_back([*last, *steps[:number]], machine)
            undone = (
                "\n".join(["What was done before it could not all be undone:", *left]) if left else "It was undone."
            )
            raise StepFailed(f"{why}\n{undone}" if number else why) from None


def _take(step: Step, machine: Machine) -> None:
    match step:
        case Write(path, text):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, text.encode(errors="surrogateescape"), PRIVATE)
        case Remove(path):
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
        case Move(path, target):
            path.rename(target)
        case MakeFolder(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        case Run(command, _, may_fail):
            done = machine.run(*command)
            if done.status and not may_fail:
                raise StepFailed(_say_failed(step, done))
        case Call(_, act):
            act()


def _take_back(steps: Sequence[Step], machine: Machine) -> list[str]:
    """Undo ``steps``, the last one first; what could not be undone."""
    left = []
    for step in reversed(steps):
        try:
            _undo(step, machine)
        except (StepFailed, OSError) as error:
            left.append(f"  {_name(step)}: {error}")
    return left


def _undo(step: Step, machine: Machine) -> None:
    match step:
        case Write(path, _, None):
            path.unlink(missing_ok=True)
            remove_empty([path.parent])
        case Write(path, _, before) | Remove(path, before):
            write_atomic(path, (before or "").encode(errors="surrogateescape"), PRIVATE)
        case Move(path, target):
            target.rename(path)
        case Run(_, undo) if undo:
            _take(Run(undo), machine)
        case Call(_, _, lasting) if lasting:
            raise StepFailed(lasting)


def remove_empty(folders: Iterable[Path]) -> None:
    """Delete those of ``folders`` that are empty."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _say_failed(step: Run, done: Finished) -> str:
    reason = " ".join((done.errors or done.output).split()) or f"exit status {done.status}"
    return f"`{step}` failed: {reason} {step.advice}".rstrip()


def _explain(error: OSError) -> str:
    return f"{error.filename} can't be changed: {error.strerror or error}."


def _name(step: Step) -> str:
    match step:
        case Write(path, _, before):
            return f"{'create' if before is None else 'update'} {path}"
        case Remove(path):
            return f"remove {path}"
        case Move(path, target):
            return f"move {path} to {target}"
        case MakeFolder(path):
            return f"create {path}"
        case Run():
            return str(step)
        case Call(summary):
            return summary
