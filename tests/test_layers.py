"""The import law: two lists, one of our own layers and one of third parties. A new module must find its row in both."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path.relative_to(ROOT).as_posix() for name in ("codexd", "codexctl") for path in (ROOT / name).rglob("*.py")
)

LAYERS: list[tuple[str, ...]] = [
    # From the ground up. A module imports from its own room and from the layers below, and from nowhere else.
    ("codexd.__init__",),
    (
        "codexd.bounds",
        "codexd.descriptors",
        "codexd.errors",
        "codexd.files",
        "codexd.jsontext",
        "codexd.memory",
        "codexd.output",
        "codexd.paths",
        "codexd.rpc",
        "codexd.strict",
    ),
    ("codexd.api",),
    ("codexd.supervisor",),
    ("codexd.settings",),
    ("codexd.translation",),
    ("codexd.accounts", "codexd.clients", "codexd.record"),
    ("codexd.upstream",),
    ("codexd.turns",),
    ("codexd.control",),
    ("codexd.doctor", "codexd.web"),
    ("codexd.simulator",),
    ("codexd.service",),
    ("codexd.assembly", "codexd.daemon", "codexd.start"),
    ("codexd.__main__",),
]
GROUND = 1
"""The number of the ground floor in the list."""

BESIDE = {
    # Within one layer: who may import whom. The ground floor is one room.
    "codexd.daemon": ("codexd.assembly",),
    "codexd.start": ("codexd.assembly", "codexd.daemon"),
}
CODEXCTL_MAY = ("codexctl", "codexd.__version__", "codexd.files", "codexd.paths", "codexd.rpc")
ITS_DOCTOR = "codexctl/commands/doctor.py"
"""It also imports ``codexd.doctor``, when it runs: it must work without a daemon, and needs the daemon's parsers."""

ONLY_BY = {
    # Who alone may import it.
    "codexd.doctor": ("codexd.doctor", "codexctl.commands.doctor"),
    "codexd.simulator": ("codexd.simulator", "codexd.assembly"),
    "codexd.daemon": ("codexd.start",),
    "codexd.start": ("codexd.__main__",),
}

IO = {"time", "os", "random", "socket"}
"""Modules of the standard library that a pure room leaves alone."""
VALUES, JSON = {"attrs", "cattrs"}, {"orjson"}
WEB = {"h11", "quart", "quart_trio", "hypercorn", "werkzeug"}
PURE = VALUES | JSON

THIRD_PARTIES: list[tuple[str, set[str], set[str]]] = [
    # The first row that fits counts: path, packages allowed, modules of the standard library forbidden.
    ("codexd/__init__.py", set(), IO),
    ("codexd/__main__.py", set(), IO),
    ("codexd/bounds.py", set(), IO),
    ("codexd/memory.py", set(), IO),
    ("codexd/descriptors.py", {"attrs", "trio"}, IO),
    ("codexd/errors.py", {"attrs"}, IO),
    ("codexd/files.py", set(), {"time", "random", "socket"}),
    ("codexd/jsontext.py", JSON, IO),
    ("codexd/output.py", set(), {"time", "random", "socket"}),
    ("codexd/paths.py", {"platformdirs"}, {"time", "random", "socket"}),
    ("codexd/rpc.py", set(), IO),
    ("codexd/strict.py", VALUES, IO),
    ("codexd/supervisor.py", PURE | {"trio"}, {"socket"}),
    ("codexd/api/", PURE, IO),
    ("codexd/settings/live.py", PURE, {"time", "random", "socket"}),
    ("codexd/settings/edit.py", PURE | {"tomlkit"}, IO),
    ("codexd/settings/", PURE, IO),
    ("codexd/translation/tokens.py", PURE | {"splintr", "imagesize"}, IO),
    ("codexd/translation/reading/media.py", PURE | {"PIL"}, IO),
    ("codexd/translation/", PURE, IO),
    ("codexd/accounts/choosing/picker.py", PURE | {"trio"}, {"random", "socket"}),
    ("codexd/accounts/choosing/", {"attrs"}, IO),
    ("codexd/accounts/limits/windows.py", {"attrs"}, IO),
    ("codexd/accounts/limits/cooldown.py", {"attrs"}, IO),
    ("codexd/accounts/sign_in/values.py", {"attrs"}, IO),
    ("codexd/accounts/sign_in/", PURE | {"trio", "httpx"}, {"random"}),
    ("codexd/accounts/model.py", {"attrs"}, IO),
    ("codexd/accounts/outages.py", {"attrs"}, IO),
    ("codexd/accounts/", PURE | {"trio"}, {"socket"}),
    ("codexd/clients/", PURE | {"trio", "httpx", "tomlkit"}, {"random", "socket"}),
    ("codexd/record/", PURE | {"trio"}, {"random", "socket"}),
    ("codexd/upstream/proxies.py", PURE | {"httpx", "socksio"}, {"os", "random", "socket"}),
    ("codexd/upstream/pool.py", {"trio", "httpx", "httpcore"}, {"os", "random", "socket"}),
    ("codexd/upstream/", PURE | {"trio", "httpx"}, {"random", "socket"}),
    ("codexd/turns/retry.py", {"attrs"}, IO),
    ("codexd/turns/", PURE | {"trio"}, {"random", "socket"}),
    ("codexd/control/", PURE | {"trio"}, {"random"}),
    ("codexd/doctor/finding.py", {"attrs"}, IO),
    ("codexd/doctor/daemons.py", {"attrs"}, IO),
    ("codexd/doctor/bundle.py", {"attrs"}, IO),
    ("codexd/doctor/network.py", {"attrs", "httpx", "trio"}, {"random", "socket"}),
    ("codexd/doctor/ports.py", {"attrs"}, {"time", "random"}),
    ("codexd/doctor/", {"attrs"}, {"time", "random", "socket"}),
    ("codexd/web/compression.py", {"backports", "compression"}, IO),
    ("codexd/web/", PURE | {"trio"} | WEB, set()),
    ("codexd/simulator/faults.py", {"attrs"}, {"time", "os", "socket"}),
    ("codexd/simulator/damage.py", {"attrs"}, IO),
    ("codexd/simulator/", PURE | {"trio", "httpx", "imagesize", "jsonschema", "PIL"} | WEB, set()),
    ("codexd/start.py", {"trio"}, set()),
    ("codexd/service/waiter.py", set(), {"time", "random"}),
    ("codexd/service/lifecycle.py", {"attrs", "trio"}, IO),
    ("codexd/service/", {"attrs", "trio"}, {"random"}),
    ("codexd/assembly.py", PURE | {"trio", "httpx"}, set()),
    ("codexd/daemon.py", PURE | {"trio", "httpx"}, set()),
    ("codexctl/render/qr.py", {"segno"}, IO),
    ("codexctl/top/screen.py", {"prompt_toolkit"}, set()),
    ("codexctl/shell/__init__.py", set(), set()),
    ("codexctl/shell/", {"prompt_toolkit"}, set()),
    ("codexctl/", set(), set()),
]


def imports_of(path):
    """The dotted names that a file imports, ``from a import b`` as ``a.b``."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def is_ours(name):
    return name.partition(".")[0] in ("codexd", "codexctl")


def is_within(name, rooms):
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def room_of(name):
    """The room of a dotted name, and the number of its layer."""
    rooms = [(room, number) for number, layer in enumerate(LAYERS) for room in layer if is_within(name, [room])]
    return rooms[0] if rooms else ("codexd.__init__", 0)


def test_every_module_has_a_layer():
    tops = {path.removesuffix(".py").split("/")[1] for path in FILES if path.startswith("codexd/")}
    known = {room.split(".")[1] for layer in LAYERS for room in layer}
    assert tops == known


@pytest.mark.parametrize("path", [path for path in FILES if path.startswith("codexd/")])
def test_nothing_is_imported_from_above_or_beside(path):
    room, layer = room_of(path.removesuffix(".py").replace("/", "."))
    for name in filter(is_ours, imports_of(path)):
        other, below = room_of(name)
        beside = LAYERS[GROUND] if layer == GROUND else BESIDE.get(room, ())
        assert below < layer or other == room or other in beside, f"{path} imports {name}: {other} is not below {room}"


@pytest.mark.parametrize("path", [path for path in FILES if path.startswith("codexctl/")])
def test_codexctl_knows_the_daemon_by_its_socket_only(path):
    may = (*CODEXCTL_MAY, "codexd.doctor") if path == ITS_DOCTOR else CODEXCTL_MAY
    for name in filter(is_ours, imports_of(path)):
        assert is_within(name, may), f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES)
def test_some_rooms_have_one_door(path):
    for room, importers in ONLY_BY.items():
        if any(is_within(name, [room]) for name in imports_of(path)):
            dotted = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            assert is_within(dotted, importers), f"{path} imports {room}"


@pytest.mark.parametrize("path", FILES)
def test_third_parties(path):
    row = next((row for row in THIRD_PARTIES if path.startswith(row[0])), None)
    assert row is not None, f"{path} has no row"
    _, allowed, forbidden = row
    for name in imports_of(path):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names:
            assert top not in forbidden, f"{path} imports {top}: this room is pure"
        elif not is_ours(name):
            assert top in allowed, f"{path} imports {top}, which this room may not"
