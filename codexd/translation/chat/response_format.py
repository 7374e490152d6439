"""``response_format`` of a Chat request. Source: anthropic-translation.md 6.1."""

from __future__ import annotations

import re
from typing import Any

from codexd.translation.fields import Fields
from codexd.translation.losses import LossKind
from codexd.translation.pairing import Item
from codexd.translation.schema import explain_root, is_object, is_strict, to_parameters

JSON_LINE: Item = {
    "type": "message",
    "role": "developer",
    "content": [{"type": "input_text", "text": "Answer with a JSON object."}],
}

_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")
_MAX_NAME_CHARS = 64


def read_format(body: Fields) -> dict[str, Any] | None:
    """``text.format`` of the upstream body, or None.

    Raises:
        RequestInvalid: names the field.
    """
    wanted = body.optional_object("response_format")
    if wanted is None:
        return None
    match wanted.string("type"):
        case "text":
            return None
        case "json_object":
            return {"type": "json_object"}
        case "json_schema":
            return _read_schema(wanted.object("json_schema"))
        case _:
            raise wanted.wrong("type", "must be text, json_object or json_schema")


def _read_schema(wanted: Fields) -> dict[str, Any]:
    name = _ILLEGAL.sub("_", wanted.string("name"))[:_MAX_NAME_CHARS]
    if not name:
        raise wanted.wrong("name", "must not be empty")
    schema = wanted.get("schema")
    if schema is not None and not is_object(schema):
        raise wanted.wrong("schema", "must be an object at its root: the backend writes no other JSON")
    if explain_root(schema):
        wanted.lose(
            LossKind.APPROXIMATED, "schema", "alternatives at its root are one object with all their properties"
        )
    repaired = to_parameters(schema)
    made: dict[str, Any] = {"type": "json_schema", "name": name, "schema": repaired}
    if description := wanted.optional_string("description"):
        made["description"] = description
    if wanted.get("strict") is not None:
        made["strict"] = _read_strict(wanted, repaired)
    return made


def _read_strict(wanted: Fields, schema: dict[str, Any]) -> bool:
    strict = wanted.boolean("strict")
    if strict and not is_strict(schema):
        note = "false: the schema lacks what the backend's strict mode asks for"
        wanted.lose(LossKind.APPROXIMATED, "strict", note)
        return False
    return strict
