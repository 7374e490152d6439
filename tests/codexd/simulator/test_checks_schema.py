"""The backend's rules for JSON schemas, in its words."""

from typing import Any

import pytest

from codexd.simulator.checks_schema import find_schema_problem

STRING = {"type": "string"}
NESTED = {"type": "object", "properties": {"a": {"anyOf": [STRING, {"type": "array"}]}}}
CLOSED = {"type": "object", "required": ["a"], "additionalProperties": False}


def having(schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


def find(schema: Any, *, strict: bool = False) -> str | None:
    return find_schema_problem(schema, name="function 'f'", strict=strict)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        (None, "got 'type: \"None\"'."),
        ({"type": "object"}, "In context=(), object schema missing properties."),
        ({**having({}), "required": "a"}, "'a' is not of type 'array'."),
        ({**having({}), "required": [1]}, "1 is not of type 'string'."),
        ({**having({}), "required": ["a", "a"]}, "['a', 'a'] has non-unique elements."),
        (having({"prefixItems": [{}]}), "In context=('properties', 'a'), 'prefixItems' is not permitted."),
        (NESTED, "In context=('properties', 'a', 'anyOf', '1'), array schema missing items."),
        (having({"type": "any"}), "'any' is not valid under any of the given schemas."),
        (having({"minimum": 0, "exclusiveMinimum": True}), "True is not of type 'number'."),
        (having({"anyOf": []}), "[] should be non-empty."),
        (having({"pattern": r"^[\p{L}]+$"}), r"'^[\\p{L}]+$' is not a 'regex'."),
        (having({"pattern": "(?<year>a)"}), "'(?<year>a)' is not a 'regex'."),
        (having({"patternProperties": {"[": {}}}), "'[' is not a 'regex'."),
        (having({"items": 5}), "5 is not of type 'object', 'boolean'."),
    ],
    ids=repr,
)
def test_what_a_schema_must_not_be(schema: Any, problem: str) -> None:
    found = find(schema)
    assert found is not None
    assert found.startswith("Invalid schema for function 'f': ")
    assert found.endswith(problem)


@pytest.mark.parametrize(
    ("pattern", "refused"),
    [
        (r"^(?!\.)a+$", True),
        ("(?<=a)b", True),
        (r"\\(?=a)", True),
        (r"\(?=a", False),
        ("[(?=)]", False),
        ("[[a]", False),
    ],
)
def test_look_around(pattern: str, refused: bool) -> None:
    message = "Invalid JSON schema: regex lookaround is not supported. Found at $.properties.a.pattern."
    assert find(having({"pattern": pattern})) == (message if refused else None)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        (STRING, None),
        ({"type": "string", "format": "date"}, None),
        ({"$ref": "#"}, None),
        ({}, "In context=('properties', 'a'), schema must have a 'type' key."),
        ({"type": "string", "format": "uri"}, "In context=('properties', 'a'), 'uri' is not a valid format."),
        ({"type": "string", "default": "x"}, "In context=('properties', 'a'), 'default' is not permitted."),
        ({"$ref": "#", "title": "t"}, "In context=('properties', 'a'), $ref cannot have keywords {'title'}."),
        ({"oneOf": [STRING]}, "In context=('properties', 'a'), 'oneOf' is not permitted."),
        (
            {"type": "object", "properties": {}},
            "In context=('properties', 'a'), 'additionalProperties' is required to be supplied and to be false.",
        ),
    ],
    ids=repr,
)
def test_strict_mode(schema: Any, problem: str | None) -> None:
    found = find({**having(schema), **CLOSED}, strict=True)
    assert found == (problem and f"Invalid schema for function 'f': {problem}")


def test_strict_mode_requires_every_property() -> None:
    found = find({**having(STRING), **CLOSED, "required": []}, strict=True)
    assert found is not None
    assert found.endswith("Missing 'a'.")


def test_deep_schemas() -> None:
    deep: dict[str, Any] = STRING
    for _ in range(190):
        deep = {"type": "array", "items": deep}
    assert find(having(deep)) == "Invalid schema for function 'f': schema is too complex."
