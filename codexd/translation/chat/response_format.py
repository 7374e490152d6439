"""``response_format`` of a Chat request. Source: anthropic-translation.md 6.1."""

from __future__ import annotations

import re
from typing import Any

from codexd.translation.reading.fields import Fields
from codexd.translation.reading.fitting import fit_answer_schema, fit_strict
from codexd.translation.reading.pairing import Item

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
    name = _ILLEGAL.sub("_", wanted.filled_string("name"))[:_MAX_NAME_CHARS]
    schema = fit_answer_schema(wanted)
    made: dict[str, Any] = {"type": "json_schema", "name": name, "schema": schema}
    if description := wanted.optional_string("description"):
        made["description"] = description
    if wanted.get("strict") is not None:
        made["strict"] = fit_strict(wanted, schema, asked=wanted.boolean("strict"))
    return made
