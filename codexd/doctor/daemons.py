"""The codexd that run: whether they answer, what they say of themselves, and the service that starts them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from codexd import __version__
from codexd.doctor.finding import Finding, end, find_command, note, ok, problem, shell, warning
from codexd.paths import RunningDaemon

Json = Mapping[str, Any]

RUNNING = "running"
"""The state of a task that is as it should be."""

KILO_ONLY = "kilo_only"
"""The ``state`` of serving if there is no account, and the model name kilo is allowed."""

START = "codexd"
"""The command that starts a daemon, unless a service does."""

INSTALL_SERVICE, RESTART_SERVICE = "codexctl service install", "codexctl service restart"
_RESTARTS = "codexctl restart"


@frozen
class Answers:
    """What the daemon at ``socket`` answered, by control method: ``daemon.status`` and others.

    ``socket_exists``: there is a file at its path. ``silence``: why there is no answer although something is there.
    ``running``: every noted daemon that answers; ``dead``: the notes of those that don't.
    """

    socket: Path
    socket_exists: bool
    results: Mapping[str, Any] = field(factory=dict, repr=False)
    silence: str | None = None
    running: tuple[RunningDaemon, ...] = ()
    dead: tuple[RunningDaemon, ...] = ()
    installation: Path | None = None
    """The folder of the program that the daemon runs from, where the system tells."""
    environ: Mapping[str, str] | None = field(default=None, repr=False)
    """The daemon's own variables that say how servers are reached (``network.NAMES``), where the system tells."""

    @property
    def status(self) -> Json | None:
        """``daemon.status``, or None if no daemon answers."""
        return self.results.get("daemon.status")

    @property
    def pids(self) -> frozenset[int]:
        own = {self.status["pid"]} if self.status else set()
        return frozenset(own | {daemon.pid for daemon in self.running})


@frozen
class Service:
    """``manager``: systemd or launchd, or None if neither can be used, for the ``reason``.

    ``listening``: whether the manager holds the sockets. ``state`` is its own word. ``runs``: the command line of the
    service. ``files``: the texts of its files by their paths, which go into the bundle. ``problems`` and ``notes``:
    sentences.
    """

    manager: str | None
    reason: str = ""
    installed: bool = False
    listening: bool = False
    state: str = ""
    runs: str | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(factory=dict, repr=False)


def check_daemons(answers: Answers, start: str = START) -> Iterator[Finding]:
    """Which daemons run, whether the one that codexctl talks to answers, and its version. ``start`` starts it."""
    status, socket = answers.status, answers.socket
    if status is not None:
        address = ", ".join(status["addresses"])
        mark = ", simulated" if status["simulated"] else ""
        yield ok("running", socket, f"codexd {status['version']} runs at {address} (pid {status['pid']}{mark}).")
        yield from _check_version(status)
        if status.get("faults"):
            text = f"The simulated backend goes wrong on purpose: {status['faults']}."
            yield note("faults_wanted", "--faults", text)
    elif answers.silence:
        yield problem("silent", socket, answers.silence, find_command(answers.silence))
    elif answers.socket_exists:
        text = "codexd does not run; an earlier one was killed and left its socket, which the next start replaces."
        yield warning("not_running", socket, text, start)
    else:
        yield warning("not_running", socket, "codexd does not run.", start)
    others = [each for each in answers.running if status is None or each.pid != status["pid"]]
    for other in others:
        shown = "Another codexd runs" if status is not None else "A codexd runs"
        command = shell("codexctl --socket", other.socket, "doctor")
        yield note("other_daemon", other.socket, f"{shown}: {other}, with its files in {other.home}.", command)
    if answers.dead:
        pids = ", ".join(str(each.pid) for each in answers.dead)
        yield note(
            "stale_notes", pids, f"Killed earlier, still noted as running: pid {pids}. The next start forgets it."
        )


def _check_version(status: Json) -> Iterator[Finding]:
    found = status["version"]
    if found == __version__:
        return
    older = _numbers(found) < _numbers(__version__)
    if older:
        text = f"codexd {found} still runs, but {__version__} is installed. A restart finishes the upgrade."
        yield warning("older_daemon", found, text, _RESTARTS)
    else:
        text = f"codexd {found} runs, which is newer than this codexctl {__version__}: another codexctl belongs to it."
        yield warning("newer_daemon", found, text, "type -a codexctl")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]


def check_state(answers: Answers) -> Iterator[Finding]:
    """What the daemon says of itself: whether it can serve a request, its problems, its tasks, its last failure.

    An older daemon leaves out what it does not know yet.
    """
    status = answers.status or {}
    serving = status.get("serving")
    if serving is not None:
        yield _judge_serving(serving)
    advice = serving["advice"] if serving else None
    for text in status.get("problems", ()):
        if not advises_same(advice, text):
            yield problem("daemon_problem", "codexd", text, find_command(text))
    for task in status.get("tasks", ()):
        yield from _check_task(task)
    if failure := status.get("last_failure"):
        text = end(f"The last request that failed: {failure['error'] or 'no reason is known'}")
        yield note("request_failed", failure["request"], text, f"codexctl why {failure['request']}")


def _judge_serving(serving: Json) -> Finding:
    account, state, reason, advice = (serving[name] for name in ("account", "state", "reason", "advice"))
    remedy = find_command(advice or "")
    if state == KILO_ONLY:
        return note("serving_kilo_only", state, f"Only requests for the model kilo can be served: {reason}.", remedy)
    if not serving["possible"]:
        text = f"No request can be served: {reason}. {advice or ''}".strip()
        return problem("not_serving", state, text, remedy)
    return ok("serving", account, f"Requests are served by {account}.")


def _check_task(task: Json) -> Iterator[Finding]:
    name, state, error, restarts = (task[name] for name in ("name", "state", "last_error", "restarts"))
    because = end(f" Its last error: {error}") if error else ""
    if state != RUNNING:
        yield problem("task_not_running", name, f'The task "{name}" is {state}.{because}', _RESTARTS)
    elif restarts:
        times = "once" if restarts == 1 else f"{restarts} times"
        text = f'The task "{name}" has failed and was restarted {times}.{because}'
        yield warning("task_restarted", name, text, "codexctl logs --level error")


def advises_same(advice: str | None, text: str) -> bool:
    """Whether the ``advice`` on serving says what the problem ``text`` says, which begins with the account's name."""
    _, _, rest = text.partition(": ")
    return bool(rest and advice and advice.startswith(rest))


# -- the service ----------------------------------------------------------------------------------


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
            yield note("service_not_installed", found.manager, text, INSTALL_SERVICE)
    else:
        for text in found.problems:
            yield problem("service_problem", found.manager, _begin_large(text), find_command(text))
        for text in found.notes:
            yield note("service_note", found.manager, _begin_large(text), find_command(text))
        if not found.problems:
            text = f"codexd is installed as a service of {found.manager} ({found.state}), which runs {found.runs}."
            yield ok("service", found.manager, text)


def _begin_large(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
