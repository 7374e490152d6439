"""The service that starts codexd, as codexctl found it: it knows the managers, this only judges. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

from codexd.doctor.finding import Finding, find_command, note, ok, problem

NAMES = ("systemd", "launchd", "codexd")
INSTALL, RESTART = "codexctl service install", "codexctl service restart"


@frozen
class Service:
    """``manager``: systemd or launchd, or None if neither can be used, for the ``reason``.

    ``state`` is the manager's own word. ``runs``: the command line of the service. ``files``: the texts of its files by
    their paths, which go into the bundle. ``problems`` and ``notes``: sentences.
    """

    manager: str | None
    reason: str = ""
    installed: bool = False
    state: str = ""
    runs: str | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(factory=dict, repr=False)


def check_service(found: Service | None, status: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Whether the service is installed and in order. ``status``: the running daemon's ``daemon.status``."""
    started = (status or {}).get("service") or {}
    if started.get("manager"):
        unit = started["unit"] or "a service"
        yield ok("runs_as_service", unit, f"The running codexd was started by {started['manager']} as {unit}.")
    if found is None:
        return
    if found.manager is None:
        text = _begin_large(found.reason.partition("\n")[0])
        yield note("no_service_manager", "service", text, "codexctl service status")
    elif not found.installed:
        if not started.get("manager"):
            text = "codexd is not installed as a service, so it ends when you close its terminal or log out."
            yield note("service_not_installed", found.manager, text, INSTALL)
    else:
        for text in found.problems:
            yield problem("service_problem", found.manager, _begin_large(text), find_command(text))
        for text in found.notes:
            yield note("service_note", found.manager, _begin_large(text), find_command(text))
        if not found.problems:
            text = f"codexd is installed as a service of {found.manager} ({found.state}), which runs {found.runs}."
            yield ok("service", found.manager, text)


def _begin_large(text: str) -> str:
    """``text`` as a sentence of its own. Names, such as systemd or codexd.socket, stay as they are."""
    first = text.split(" ", 1)[0]
    is_name = first.startswith(NAMES) or "/" in first
    return text if is_name else f"{text[:1].upper()}{text[1:]}"
