"""Any JSON at any place of a request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]


def json_values(*words: str, names: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    """Small values, with ``words`` and ``names`` of fields that mean something where they land."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from(["", "x", "user", *words]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["type", "text", "name", "content", "id", *names]), inner, max_size=3)
        ),
        max_leaves=6,
    )


def list_paths(node: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in a value but the whole."""
    if path:
        yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in children:
        yield from list_paths(child, (*path, name))


def put(body: Any, path: Path, value: Any) -> Any:
    """A copy of ``body`` with ``value`` at ``path``."""
    changed = json.loads(json.dumps(body))  # a deep copy would share what stands in it twice
    node = changed
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = value
    return changed
