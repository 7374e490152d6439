"""What the function tools of all client APIs share: a legal name, and in words what a schema can't say upstream."""

from __future__ import annotations

from codexd.translation.fields import Fields
from codexd.translation.losses import LossKind
from codexd.translation.schema import explain_root, has_tuple
from codexd.translation.tool_names import shorten


def legal_name(tool: Fields, name: str) -> str:
    """``name`` as the backend takes it."""
    short = shorten(name)
    if short != name:
        tool.lose(LossKind.RENAMED, "name", f"sent as {short}, and restored in answers")
    return short


def explain_schema(tool: Fields, key: str) -> str:
    """What the schema in the field ``key`` loses at its root, in words for the description; else empty."""
    schema = tool.get(key)
    if has_tuple(schema):
        tool.lose(LossKind.APPROXIMATED, key, "one schema for all items of a list: the backend takes no tuple")
    root = explain_root(schema)
    if root:
        tool.lose(LossKind.APPROXIMATED, key, "alternatives at its root are one object, and told in words")
    return root
