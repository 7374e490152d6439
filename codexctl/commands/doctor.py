"""``codexctl doctor``: what is wrong with codexd and around it, whether or not it runs.

The checks need the daemon's own parsers, so this command alone imports a package of codexd, when it runs.
"""

from __future__ import annotations

import os
import pwd
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codexctl.client import ControlClient, NoDaemon, Refused
from codexctl.command import EXIT_REFUSED, EXIT_USAGE, Command, Invocation, Stop, Values, argument
from codexctl.commands.clients import SHELL_VARIABLES
from codexctl.daemons import choose_socket, find_noted, is_served
from codexctl.render import doctor as render_doctor
from codexctl.terminal import confirm, has_input_terminal
from codexd import __version__
from codexd.paths import Places, find_places, find_socket

if TYPE_CHECKING:
    from codexd.doctor.daemons import Answers, Service
    from codexd.doctor.report import Examined, Question

ANSWER_TIMEOUT_S = 10.0

QUESTION = "Also contact OpenAI's sign-in server and backend, to see whether they can be reached? No login is sent."
NOTHING_RUNS = (FileNotFoundError, ConnectionRefusedError, NotADirectoryError)
"""Why a connection to a socket fails that nobody serves."""


def _doctor(invocation: Invocation) -> None:
    from codexctl.service.installation import Interpreter, reinstall_command  # noqa: PLC0415 - see above

    try:
        from codexd.doctor.finding import to_json  # noqa: PLC0415 - see above
        from codexd.doctor.report import Question, examine  # noqa: PLC0415 - see above
    except ImportError as error:
        again = reinstall_command(Interpreter.current(invocation.environ))
        text = f"this installation is broken: {error}. Install codexd again with `{again}`."
        raise Stop(EXIT_REFUSED, text) from None
    given, environ = invocation.arguments, invocation.environ
    bundle = _check_bundle(given.bundle)
    network = _may_contact(invocation)
    answers = _ask(invocation, for_bundle=bundle is not None)
    question = Question(
        places=_find_places(environ, answers),
        environ=environ,
        answers=answers,
        now=time.time(),
        user=os.geteuid(),
        working_dir=_find_working_dir(),
        network=network,
        service=_look_at_service(environ),
        reinstall=reinstall_command(Interpreter.current(environ)),
    )
    examined = examine(question)
    if bundle is not None:
        _write_bundle(bundle, _make_bundle(examined, question))
    result = to_json(examined.report) | {"network": network, "bundle": None if bundle is None else str(bundle)}
    invocation.show(result, render_doctor.report)
    if not examined.report.is_healthy:
        raise Stop(EXIT_REFUSED)


def _may_contact(invocation: Invocation) -> bool:
    """Nothing is contacted unless the user wants it."""
    if invocation.arguments.network is not None:
        return bool(invocation.arguments.network)
    asks = not invocation.as_json and has_input_terminal() and sys.stdout.isatty()
    return asks and confirm(QUESTION)


def _find_working_dir() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:  # the folder was deleted
        return None


# -- the daemon -----------------------------------------------------------------------------------


def _find_places(environ: Mapping[str, str], answers: Answers) -> Places | None:
    """The places of the daemon that was asked, which may run with ``--home``; else those that ``environ`` names."""
    named = _try_places(environ)
    asked = next((each.home for each in answers.running if each.socket == answers.socket), None)
    if asked is None:
        return named
    default = _try_places({name: value for name, value in environ.items() if name != "CODEXD_HOME"})
    known = (places for places in (named, default) if places is not None and places.state_dir == asked)
    return next(known, Places(asked, asked, answers.socket))._replace(socket=answers.socket)


def _try_places(environ: Mapping[str, str]) -> Places | None:
    with suppress(RuntimeError, OSError):
        return find_places(environ)
    return None


def _ask(invocation: Invocation, *, for_bundle: bool) -> Answers:
    """What the daemon at the socket says, and which daemons are noted as running."""
    from codexd.doctor.daemons import Answers  # noqa: PLC0415 - see above

    socket = _find_socket(invocation)
    noted = find_noted()
    running = tuple(each for each in noted if is_served(each.socket))
    dead = tuple(each for each in noted if each not in running)
    make_answers = partial(Answers, socket, running=running, dead=dead)
    results: dict[str, Any] = {}
    try:
        with ControlClient(socket, reply_timeout_s=ANSWER_TIMEOUT_S) as client:
            for method, params in _list_calls(invocation.environ, for_bundle=for_bundle):
                with suppress(Refused):  # one that an older daemon does not know, or a file that it refuses
                    results[method] = client.call(method, params)
    except NoDaemon as error:
        if "daemon.status" not in results:
            is_silent = not isinstance(error.__context__, NOTHING_RUNS)
            exists = socket != Path(os.devnull) and os.path.lexists(socket)
            return make_answers(socket_exists=exists, silence=str(error) if is_silent else None)
    pid = results["daemon.status"]["pid"] if "daemon.status" in results else None
    return make_answers(
        socket_exists=True,
        results=results,
        installation=_find_installation(pid) if pid else None,
        environ=_read_environment(pid) if pid else None,
    )


def _list_calls(environ: Mapping[str, str], *, for_bundle: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    from codexd.doctor import bundle  # noqa: PLC0415 - see above
    from codexd.doctor.clients import find_folder  # noqa: PLC0415 - see above

    yield "daemon.status", {}
    yield "accounts.list", {}
    yield "settings.list", {}
    claude, codex = (
        find_folder(environ, *each) for each in (("CLAUDE_CONFIG_DIR", ".claude"), ("CODEX_HOME", ".codex"))
    )
    place: dict[str, Any] = {
        "environment": {name: value for name, value in environ.items() if name.startswith(SHELL_VARIABLES)}
    }
    if working_dir := _find_working_dir():
        place |= {"working_dir": str(working_dir)}
    if claude and codex:
        yield "claude.status", place | {"config_dir": str(claude)}
        yield "codex.status", {"config_dir": str(codex)}
    if for_bundle:
        yield "requests.list", {"limit": bundle.MAX_REQUESTS}
        yield "logs.history", {"limit": bundle.MAX_LOG_ENTRIES, "level": bundle.LOG_LEVEL}


def _find_socket(invocation: Invocation) -> Path:
    if invocation.socket != Path(os.devnull):
        return invocation.socket
    try:
        return choose_socket(invocation.environ, report=lambda _text: None)
    except (NoDaemon, RuntimeError, OSError):  # several run, or the home folder or the current one is unknown
        with suppress(RuntimeError, OSError):
            return find_socket(invocation.environ)
    return Path(os.devnull)


def _find_installation(pid: int) -> Path | None:
    """The folder of the program that runs as ``pid``, if the system tells."""
    try:
        program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    except OSError:
        return None
    return Path(program).parent if program.startswith("/") else None


def _read_environment(pid: int) -> dict[str, str] | None:
    """The variables of the process that say how servers are reached. The user's own processes tell them on Linux."""
    from codexd.doctor.network import NAMES  # noqa: PLC0415 - see above

    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    pairs = (variable.partition("=") for variable in variables)
    return {name: value for name, _, value in pairs if name in NAMES}


# -- the service ----------------------------------------------------------------------------------


def _look_at_service(environ: Mapping[str, str]) -> Service | None:
    """The service as codexctl's own reader finds it; None if the user's home folder is unknown."""
    from codexctl.service.inspection import inspect  # noqa: PLC0415 - the table of commands is loaded for a Tab press
    from codexctl.service.installation import Interpreter, find_installation  # noqa: PLC0415 - as above
    from codexctl.service.manager import NoManager, current_machine, find_manager  # noqa: PLC0415 - as above
    from codexd.doctor.daemons import Service  # noqa: PLC0415 - as above
    from codexd.files import explain  # noqa: PLC0415 - as above

    try:
        machine = current_machine(environ)
        installation = find_installation(Interpreter.current(machine.environ))
        manager = find_manager(machine, installation.executable if installation else Path("codexd"))
        found = inspect(machine, manager, installation)
    except NoManager as error:
        return Service(None, str(error))
    except OSError as error:
        return Service(None, explain(error))
    except RuntimeError:
        return None
    except Exception as error:  # noqa: BLE001 - the outermost door of a check, which must not cost the user the report
        return Service(None, f"The service could not be looked at ({type(error).__name__}).")
    return Service(
        found.manager,
        installed=found.installed,
        listening=found.state.listening,
        state=found.state.word,
        runs=found.runs,
        problems=found.problems,
        notes=found.notes,
        files={str(file.path): file.text for file in found.files if file.text},
    )


# -- the bundle -----------------------------------------------------------------------------------


def _check_bundle(path: Path | None) -> Path | None:
    """Raises Stop: the file exists. Known before the checks, so that nobody waits in vain."""
    if path is not None and os.path.lexists(path):
        raise Stop(EXIT_USAGE, f"{path} exists and is left as it is; choose another name")
    return path


def _make_bundle(examined: Examined, question: Question) -> str:
    from codexd.doctor import bundle, logins, settings  # noqa: PLC0415 - see above

    environ, answers = question.environ, question.answers
    found, accounts, installed = examined.configuration or settings.NOT_READ, examined.accounts, examined.installation
    hidden = [*bundle.find_secrets(environ)]
    hidden += list(logins.list_secrets(accounts)) if accounts else []
    hidden += list(settings.list_secrets(found))
    system = os.uname()
    versions = {"codexd": __version__, "python": sys.version.split()[0]}
    versions |= {"system": f"{system.sysname} {system.release} {system.machine}"}
    versions |= {name: version or "missing" for name, version in installed.packages.items()} if installed else {}
    contents = bundle.Contents(
        report=examined.report,
        versions=versions,
        settings=tuple(settings.list_values(found, answers.results.get("settings.list"))),
        daemon=answers.results,
        units=question.service.files if question.service else {},
        environ=environ,
    )
    identity = bundle.Identity(
        secrets=tuple(hidden),
        home=environ.get("HOME", ""),
        user=_find_user(),
        host=system.nodename,
        salt=os.urandom(16).hex(),
    )
    return bundle.write_bundle(contents, identity)


def _find_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user id without a name
        return ""


def _write_bundle(path: Path, text: str) -> None:
    """Raises Stop."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            path.unlink()
            raise
    except OSError as error:
        raise Stop(EXIT_REFUSED, f"{path} can't be written: {error.strerror or error}") from None


COMMANDS = (
    Command(
        ("doctor",),
        "Find out what is wrong, and what mends it",
        "codexctl doctor\ncodexctl doctor --network\ncodexctl doctor --bundle codexd-bundle.txt",
        _doctor,
        (
            argument(
                "--bundle",
                type=Path,
                metavar="FILE",
                help="also write everything that a bug report needs to FILE, as text without secrets",
                values=Values.FILES,
            ),
        ),
        alternatives=(
            argument(
                "--network",
                action="store_const",
                const=True,
                default=None,
                help="also see whether OpenAI's servers can be reached; no login is sent",
            ),
            argument(
                "--no-network",
                dest="network",
                action="store_const",
                const=False,
                default=None,
                help="contact no server, and don't ask",
            ),
        ),
        details=(
            "Checks the installation, files, settings, daemon, accounts, network, clients and service, whether or not "
            "codexd runs, and changes nothing. The exit status is 1 if there is a problem."
        ),
        needs_daemon=False,
    ),
)
