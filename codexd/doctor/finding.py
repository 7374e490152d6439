"""What a check finds. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

_COMMAND = re.compile(r"`([a-z][^`]*)`")


class Level(Enum):
    """How bad a finding is, in ascending order."""

    OK = "ok"
    NOTE = "note"
    """Good to know; nothing has to be done."""
    WARNING = "warning"
    """It works, but something will go wrong, or is not as it should be."""
    PROBLEM = "problem"
    """Something does not work."""


@frozen
class Finding:
    """One thing that a check found.

    ``kind`` is a stable word for programs. ``about`` is what it concerns: a path, an account, a variable. ``text`` has
    one or two sentences, ``remedy`` the command that mends it, if there is one.
    """

    kind: str
    level: Level
    about: str
    text: str
    remedy: str | None = None


@frozen
class Section:
    """The findings about one ``topic``, a stable word; ``title`` is for people."""

    topic: str
    title: str
    findings: tuple[Finding, ...]


@frozen
class Report:
    """Everything that was found. ``checked_at`` is in seconds since the epoch."""

    version: str
    checked_at: float
    sections: tuple[Section, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether there is no problem. Warnings and notes don't count."""
        return all(finding.level is not Level.PROBLEM for section in self.sections for finding in section.findings)


def to_json(report: Report) -> dict[str, Any]:
    """The report as ``codexctl doctor --json`` prints it."""
    return {
        "ok": report.is_healthy,
        "version": report.version,
        "checked_at": report.checked_at,
        "sections": [
            {
                "topic": section.topic,
                "title": section.title,
                "findings": [asdict(finding) | {"level": finding.level.value} for finding in section.findings],
            }
            for section in report.sections
        ],
    }


def ok(kind: str, about: object, text: str) -> Finding:
    return Finding(kind, Level.OK, str(about), text)


def note(kind: str, about: object, text: str, remedy: str | None = None) -> Finding:
    return Finding(kind, Level.NOTE, str(about), text, remedy)


def warning(kind: str, about: object, text: str, remedy: str | None = None) -> Finding:
    return Finding(kind, Level.WARNING, str(about), text, remedy)


def problem(kind: str, about: object, text: str, remedy: str | None = None) -> Finding:
    return Finding(kind, Level.PROBLEM, str(about), text, remedy)


def find_command(text: str) -> str | None:
    """The first command that ``text`` advises, in backticks."""
    found = _COMMAND.search(text)
    return found[1] if found else None


def shell(program: str, *arguments: object) -> str:
    """A command line to copy."""
    return " ".join([program, *(shlex.quote(str(argument)) for argument in arguments)])


def end(text: str) -> str:
    """``text`` with a full stop, unless it ends a sentence already."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def list_paths(paths: Iterable[Path], limit: int = 3) -> str:
    """The first few of ``paths``, and how many more there are."""
    names = [str(path) for path in paths]
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
