"""Every bound has its number in one file, and status shows what is in use."""

import ast
from pathlib import Path

import httpx
from support.harness import start_daemon

from codexd import bounds

ROOT = Path(__file__).parents[2]
OWN_NUMBERS = ("bounds.py", "simulator/")
BOUNDED = {"deque": "maxlen", "lru_cache": "maxsize", "OrderedDict": None, "CapacityLimiter": 0, "Semaphore": 0}
"""What keeps things or lets a number of them through, and the argument that is its bound."""


def find_own_numbers(tree):
    """The calls whose bound is a number of their own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (where := BOUNDED.get(ast.unparse(node.func).rpartition(".")[2])) is not None:
            given = [each.value for each in node.keywords if each.arg == where]
            if isinstance(where, int):
                given = node.args[where : where + 1]
            yield from (ast.unparse(node) for value in given if isinstance(value, ast.Constant) and value.value)


def test_no_queue_or_cache_has_a_number_of_its_own():
    found = {}
    for path in sorted((ROOT / "codexd").rglob("*.py")):
        name = path.relative_to(ROOT / "codexd").as_posix()
        if not name.startswith(OWN_NUMBERS):
            found |= {f"{name}: {call}": None for call in find_own_numbers(ast.parse(path.read_text()))}
    assert list(found) == []


def test_the_check_finds_what_it_looks_for():
    tree = ast.parse("deque(maxlen=5)\nfunctools.lru_cache(maxsize=2)\ntrio.CapacityLimiter(3)\ndeque(maxlen=bounds.A)")
    assert len(list(find_own_numbers(tree))) == 3


def test_every_number_is_positive_and_used():
    source = "\n".join(path.read_text() for path in (ROOT / "codexd").rglob("*.py"))
    numbers = {name: value for name, value in vars(bounds).items() if name.isupper()}
    assert all(value > 0 for value in numbers.values())
    unused = [name for name in numbers if f"bounds.{name}" not in source and name not in ("KIB", "MIB", "JSON_VALUES")]
    assert unused == []


async def test_status_shows_what_is_in_use(tmp_path, nursery):
    daemon = await start_daemon(nursery, tmp_path)
    before = {each["name"]: each for each in (await daemon.call("daemon.status"))["bounds"]}
    tool = {"name": "find", "description": "", "input_schema": {"type": "object", "title": str(tmp_path)}}
    body = {"model": "gpt-5.5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "tools": [tool]}
    async with httpx.AsyncClient() as http:
        assert (await http.post(f"{daemon.address}/v1/messages", json=body)).status_code == 200
        assert (await http.post(f"{daemon.address}/v1/nothing", json=body)).status_code == 404
    after = {each["name"]: each for each in (await daemon.call("daemon.status"))["bounds"]}
    grown = {name for name, each in after.items() if each["used"] > before[name]["used"]}
    assert {"requests kept", "refusals kept", "log entries kept", "sessions", "tool schemas remembered"} <= grown
    assert all(0 <= each["used"] <= each["limit"] for each in after.values())
    assert after["bodies of running requests"]["used"] == 0
