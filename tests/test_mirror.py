"""The tests mirror the packages: a module with logic has a test file of its own name at the same place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path.relative_to(ROOT)
    for name in ("codexd", "codexctl")
    for path in (ROOT / name).rglob("*.py")
    if path.name != "__init__.py"
)
MIRRORED = ("codexd", "codexctl")

TESTED_ELSEWHERE = {
    # Assembly: every test that starts a whole daemon runs it.
    "codexd/assembly.py": "tests/codexd/test_daemon.py",
    # It needs a connection to talk on.
    "codexd/web/protocol.py": "tests/codexd/web/test_connection.py",
}


def has_logic(module):
    """Whether a function of it does something: a protocol's, which only has words and an ellipsis, does not."""
    functions = [node for node in ast.walk(ast.parse((ROOT / module).read_text())) if isinstance(node, FUNCTIONS)]
    return any(not isinstance(node, ast.Expr | ast.Pass) for function in functions for node in function.body)


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def find_tests(module):
    folder, name = ROOT / "tests" / module.parent, module.stem.strip("_")
    return [*folder.glob(f"test_{name}.py"), *folder.glob(f"test_{name}_*.py")]


@pytest.mark.parametrize("module", [str(module) for module in MODULES if has_logic(module)])
def test_a_module_with_logic_has_its_tests(module):
    if module in TESTED_ELSEWHERE:
        assert (ROOT / TESTED_ELSEWHERE[module]).exists()
    else:
        assert find_tests(Path(module)), f"{module} has no tests/{Path(module).parent}/test_{Path(module).stem}.py"


def test_every_folder_of_tests_mirrors_one_of_a_package():
    for name in MIRRORED:
        for folder in (ROOT / "tests" / name).rglob("*/"):
            if folder.is_dir() and folder.name != "__pycache__":
                assert (ROOT / folder.relative_to(ROOT / "tests")).is_dir(), folder
