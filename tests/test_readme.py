"""The README's section for developers, held against the code: its walks, its layers, its links and paths."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from test_layers import LAYERS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
WALKS = dict(re.findall(r"^### ([^\n]+)\n\n```\n(.+?)```", README.partition("## Walks")[2], re.MULTILINE | re.DOTALL))
MAX_FILES = 15
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def read_steps(walk):
    """The indentation, the file and the functions of each line."""
    for line in walk.splitlines():
        indentation, path, names = re.match(r"( *)(\S+\.py) +(\S.*?)(?:  .*)?$", line).groups()
        yield len(indentation), path if path.startswith("codexctl/") else f"codexd/{path}", names.split(", ")


def functions_of(path):
    """The functions of a module, those of a class as ``Class.function`` and by their name alone."""
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, FUNCTIONS):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            for function in node.body:
                if isinstance(function, FUNCTIONS):
                    yield from (function.name, f"{node.name}.{function.name}")


def layer_of(path):
    room = ".".join(path.removesuffix(".py").split("/")[:2])
    return next((number for number, layer in enumerate(LAYERS) if room in layer), len(LAYERS))


def test_there_are_four_walks():
    assert len(WALKS) == 4


@pytest.mark.parametrize("title", WALKS)
def test_a_walk_names_what_there_is_and_never_goes_up(title):
    above = []
    for indentation, path, names in read_steps(WALKS[title]):
        missing = set(names) - set(functions_of(path))
        assert not missing, f"{path} has no {missing}"
        while above and above[-1][0] >= indentation:
            above.pop()
        assert not above or layer_of(path) <= layer_of(above[-1][1]), f"{path} is above {above[-1][1]}"
        above.append((indentation, path))
    assert len({path for _, path, _ in read_steps(WALKS[title])}) <= MAX_FILES


def test_the_table_of_layers_is_that_of_the_import_law():
    rows = re.findall(
        r"^\| *(\d*) *\| ((?:`[\w/]+` ?)+)\|", README.partition("## Layers")[2].partition("\n## ")[0], re.MULTILINE
    )
    listed = []
    for number, rooms in rows:
        names = {f"codexd.{room.rstrip('/')}" for room in re.findall(r"`([\w/]+)`", rooms)}
        if number:
            listed.append(names)
        else:
            listed[-1] |= names
    assert listed == [set(layer) for layer in LAYERS[1:]]


def test_links_and_paths_lead_somewhere():
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    paths = re.findall(r"`((?:codexd|codexctl|tests|\.ci)/[\w/.-]+)`", README)
    assert [path for path in [*links, *paths] if path and not (ROOT / path).exists()] == []
