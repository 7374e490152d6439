"""Stand-ins for systemctl, loginctl, journalctl and launchctl: small programs that remember what they were told.

They keep their state in ``state.json`` of the folder that they are in. ``fail``: by the beginning of a command line,
the error that it ends with. ``shown``: by the name of a unit, properties that it is to have.
"""

import json
import os
import sys
from pathlib import Path

PROGRAMS = ("systemctl", "loginctl", "journalctl", "launchctl")


class Programs:
    """The stand-ins in ``folder``, which belongs on the PATH."""

    def __init__(self, folder, names=PROGRAMS):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            script = folder / name
            script.write_text(f"#!{sys.executable} -IS\nimport sys\nsys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
                              "from support.service_managers import main\nsys.exit(main(sys.argv))\n")  # fmt: skip
            script.chmod(0o755)
        self.write(calls=[], fail={}, enabled=[], active=[], loaded=[], linger=False, environment={}, shown={})

    @property
    def state(self):
        return json.loads((self.folder / "state.json").read_bytes())

    def write(self, **values):
        path = self.folder / "state.json"
        before = json.loads(path.read_bytes()) if path.exists() else {}
        path.write_text(json.dumps(before | values))

    def calls(self, *but):
        """The command lines, without those that only ask, and without those that begin with one of ``but``."""
        asking = ("systemctl --user show", "journalctl", "launchctl print", *but)
        return [call for call in self.state["calls"] if not call.startswith(asking)]


def main(argv, environ=os.environ):
    programs = Programs.__new__(Programs)
    programs.folder = Path(argv[0]).parent
    state = programs.state
    line = " ".join([Path(argv[0]).name, *(each for each in argv[1:] if each != "--quiet")])
    state["calls"].append(line)
    status = 0
    if failing := next((text for start, text in state["fail"].items() if line.startswith(start)), None):
        print(failing, file=sys.stderr)
        status = 1
    else:
        status = _RUN[Path(argv[0]).name](state, argv[1:], environ) or 0
    programs.write(**state)
    return status


def _systemctl(state, arguments, environ):
    _user, verb, *rest = [each for each in arguments if each != "--quiet"]
    options = [each for each in rest if each.startswith("--")]
    units = [each for each in rest if not each.startswith("--")]
    folder = Path(environ["HOME"]) / ".config" / "systemd" / "user"
    match verb:
        case "show" if units:
            print("\n\n".join("\n".join(_describe(state, folder, unit)) for unit in units))
        case "show" if "--property=UnitPath" in options:
            print(
                f"{folder}.control /run/user/1/systemd/user.control /run/user/1/systemd/generator {folder} /etc/systemd/user"
            )
        case "show":
            print("Version=252")
        case "show-environment":
            print("\n".join(f"{name}={value}" for name, value in state["environment"].items()))
        case "daemon-reload":
            state["loaded"] = sorted(each.name for each in folder.glob("codexd.*") if each.is_file())
        case "reset-failed":
            pass
        case _:
            return _change(state, verb, units, "--now" in options)
    return 0


def _change(state, verb, units, now):
    unknown = set(units) - set(state["loaded"])
    if unknown and verb != "stop":
        print(f"Unit {min(unknown)} could not be found.", file=sys.stderr)
        return 1
    if verb == "enable":
        state["enabled"] = sorted({*state["enabled"], *units})
    if verb == "disable":
        state["enabled"] = sorted({*state["enabled"]} - {*units})
    if verb in ("start", "restart") or (verb == "enable" and now):
        state["active"] = sorted({*state["active"], *units})
    if verb == "stop" or (verb == "disable" and now):
        state["active"] = sorted({*state["active"]} - {*units})
    return 0


def _describe(state, folder, unit):
    loaded = unit in state["loaded"]
    active = unit in state["active"]
    yield f"Id={unit}"
    yield f"LoadState={'loaded' if loaded else 'not-found'}"
    yield f"ActiveState={'active' if active else 'inactive'}"
    yield f"SubState={'running' if active else 'dead'}"
    yield "Result=success"
    yield f"UnitFileState={'enabled' if unit in state['enabled'] else 'disabled' if loaded else ''}"
    yield f"FragmentPath={folder / unit if loaded else ''}"
    yield f"DropInPaths={' '.join(map(str, sorted(folder.glob(f'{unit}.d/*.conf'))))}"
    yield "NeedDaemonReload=no"
    if unit.endswith(".service"):
        yield f"MainPID={os.getppid() if active else 0}"
        yield "NRestarts=2"
    yield f"ActiveEnterTimestampMonotonic={1_000_000 if active else 0}"
    yield from (f"{name}={value}" for name, value in state["shown"].get(unit, {}).items())


def _loginctl(state, arguments, _environ):
    state["linger"] = arguments[0] == "enable-linger"


def _journalctl(_state, arguments, _environ):
    if "--output=json" in arguments:
        print(json.dumps({"__REALTIME_TIMESTAMP": "1796086300500000", "MESSAGE": "hello"}))
        print(json.dumps({"__REALTIME_TIMESTAMP": "1796086301500000", "MESSAGE": [104, 105, 255]}))
    else:
        print("its last words")


def _launchctl(state, arguments, _environ):
    verb, *rest = arguments
    match verb:
        case "print" if rest[0].count("/") == 1:
            return 0
        case "print" if state["loaded"]:
            running = "" if state["active"] == ["killed"] else "\tstate = running\n\tpid = 42\n"
            print(f"{rest[0]} = {{\n\tactive count = 1\n\truns = 3\n{running}\tpath = x\n}}")
        case "print":
            print("Could not find service", file=sys.stderr)
            return 113
        case "print-disabled":
            print(
                "\tdisabled services = {\n"
                + "".join(f'\t\t"{each}" => disabled\n' for each in state["enabled"])
                + "\t}"
            )
        case "bootstrap":
            state["loaded"] = [rest[1]]
        case "kill":
            state["active"] = ["killed"]
        case "kickstart":
            state["active"] = []
        case "bootout":
            state["loaded"] = []
    return 0


_RUN = {"systemctl": _systemctl, "loginctl": _loginctl, "journalctl": _journalctl, "launchctl": _launchctl}
