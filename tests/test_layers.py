"""The import law: who may import what, and why. A new module must find its row here."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STDLIB_IO = {"time", "os", "random", "socket"}
VALUES = {"attrs", "cattrs"}
JSON = {"orjson"}
WEB = {"h11", "quart", "quart_trio", "hypercorn", "werkzeug"}

PURE = VALUES | JSON
LAW: list[tuple[str, set[str], set[str]]] = [
    # path (the first that fits counts), third-party packages allowed, standard modules forbidden
    ("codexd/rpc.py", set(), STDLIB_IO),
    ("codexd/errors.py", {"attrs"}, STDLIB_IO),
    ("codexd/api/", PURE, STDLIB_IO),
    ("codexd/settings/schema.py", PURE, STDLIB_IO),
    ("codexd/settings/load.py", PURE, STDLIB_IO),
    ("codexd/settings/edit.py", PURE | {"tomlkit"}, STDLIB_IO),
    ("codexd/settings/live.py", VALUES, {"time", "random", "socket"}),
    ("codexd/paths.py", {"platformdirs"}, {"time", "random", "socket"}),
    ("codexd/files.py", set(), {"time", "random", "socket"}),
    ("codexd/jsontext.py", JSON, STDLIB_IO),
    ("codexd/settings/__init__.py", set(), STDLIB_IO),
    ("codexd/translation/tokens.py", PURE | {"splintr", "imagesize"}, STDLIB_IO),
    ("codexd/translation/", PURE, STDLIB_IO),
    ("codexd/accounts/choosing/choose.py", {"attrs"}, STDLIB_IO),
    ("codexd/accounts/limits/windows.py", {"attrs"}, STDLIB_IO),
    ("codexd/accounts/describe.py", {"attrs"}, STDLIB_IO),
    ("codexd/accounts/model.py", {"attrs"}, STDLIB_IO),
    ("codexd/accounts/limits/cooldown.py", {"attrs"}, STDLIB_IO),
    ("codexd/accounts/sign_in/values.py", {"attrs"}, STDLIB_IO),
    ("codexd/accounts/choosing/rotation.py", {"attrs"}, STDLIB_IO),
    ("codexd/accounts/choosing/sessions.py", {"attrs"}, STDLIB_IO),
    ("codexd/accounts/sign_in/oauth.py", PURE | {"trio", "httpx"}, {"random", "socket"}),
    ("codexd/accounts/sign_in/device.py", PURE | {"trio", "httpx"}, {"random", "socket"}),
    ("codexd/accounts/", PURE | {"trio"}, {"socket"}),
    ("codexd/upstream/", PURE | {"trio", "httpx"}, {"random", "socket"}),
    ("codexd/record/", PURE | {"trio"}, {"random", "socket"}),
    ("codexd/supervisor.py", PURE | {"trio"}, {"socket"}),
    ("codexd/clients/json_text.py", {"attrs"}, STDLIB_IO),
    ("codexd/clients/claude_code.py", {"attrs"}, STDLIB_IO),
    ("codexd/clients/toml_text.py", {"attrs", "tomlkit"}, STDLIB_IO),
    ("codexd/clients/codex_cli.py", {"attrs"}, STDLIB_IO),
    ("codexd/clients/address.py", PURE | {"trio", "httpx"}, {"random", "socket"}),
    ("codexd/clients/", PURE, {"time", "random", "socket"}),
    ("codexd/control/", PURE | {"trio"}, {"random"}),
    ("codexd/turns/", PURE | {"trio"}, {"random", "socket"}),
    ("codexd/web/", PURE | {"trio", "httpx"} | WEB, set()),
    ("codexd/simulator/", PURE | {"trio", "httpx", "imagesize"} | WEB, set()),
    ("codexd/daemon.py", PURE | {"trio", "httpx"} | WEB, set()),
    ("codexd/assembly.py", PURE | {"trio", "httpx"} | WEB, set()),
    ("codexd/launch.py", PURE, {"os", "random", "socket"}),
    ("codexd/service.py", PURE | {"trio"}, STDLIB_IO),
    ("codexd/start.py", {"trio"}, {"time", "random", "socket"}),
    ("codexd/__main__.py", set(), STDLIB_IO),
    ("codexd/__init__.py", set(), STDLIB_IO),
    ("codexctl/top/screen.py", {"prompt_toolkit"}, set()),
    ("codexctl/shell/command.py", set(), set()),
    ("codexctl/shell/", {"prompt_toolkit"}, set()),
    ("codexctl/", set(), set()),
]
OWN: list[tuple[str, set[str]]] = [
    # of our own modules these may be imported
    ("codexd/rpc.py", set()),
    ("codexd/errors.py", set()),
    ("codexd/paths.py", set()),
    ("codexd/settings/schema.py", {"codexd.errors", "codexd.settings"}),
    ("codexd/translation/", {"codexd.errors", "codexd.jsontext", "codexd.translation"}),
    ("codexctl/", {"codexctl", "codexd.rpc", "codexd.paths", "codexd.__version__"}),
]

FILES = sorted(
    path.relative_to(ROOT).as_posix() for name in ("codexd", "codexctl") for path in (ROOT / name).rglob("*.py")
)


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


def is_within(name, allowed):
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed)


@pytest.mark.parametrize("path", FILES)
def test_third_parties(path):
    row = next((row for row in LAW if path.startswith(row[0])), None)
    assert row is not None, f"{path} has no row in the import law"
    _, allowed, forbidden = row
    for name in imports_of(path):
        top = name.partition(".")[0]
        if top in ("codexd", "codexctl"):
            continue
        if top in sys.stdlib_module_names:
            assert top not in forbidden, f"{path} imports {top}: this layer is pure"
        else:
            assert top in allowed, f"{path} imports {top}, which this layer may not"


@pytest.mark.parametrize("path", FILES)
def test_our_own(path):
    allowed = next((allowed for prefix, allowed in OWN if path.startswith(prefix)), None)
    if allowed is None:
        return
    for name in imports_of(path):
        if name.partition(".")[0] in ("codexd", "codexctl"):
            assert is_within(name, allowed), f"{path} imports {name}"


def test_only_start_imports_the_daemon():
    for path in FILES:
        if path != "codexd/start.py":
            assert not any(is_within(name, {"codexd.daemon"}) for name in imports_of(path)), path
