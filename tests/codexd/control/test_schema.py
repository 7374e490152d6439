"""JSON Schemas of classes, and whether they say what the daemon does."""

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest
from attrs import field, frozen
from support.openrpc_schemas import Checker

from codexd.api.rules import Rule, between, filled, one_of
from codexd.control.dispatch import METHODS, read_params, to_json
from codexd.control.openrpc import describe
from codexd.control.schema import Schemas, describe_class, fields_of
from codexd.errors import RequestInvalid


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@frozen
class Leaf:
    size: float
    note: str | None = None


@frozen
class Tree:
    """A tree of ``Leaf``.

    It may hold
    others.
    """

    leaf: Leaf
    trees: tuple["Tree", ...] = ()


@frozen
class Oak(Tree):
    """The oldest."""


@frozen
class Params:
    word: str = field(validator=filled)
    level: str | None = field(default=None, validator=one_of(("low", "high")))
    count: int = field(default=5, validator=between(0, 9))
    items: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("type_", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (dict, {"type": "object"}),
        (Any, {}),
        (str | None, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (Sequence[Any], {"type": "array", "items": {}}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Literal["a", 1], {"enum": ["a", 1]}),
        (Colour, {"enum": ["red", "blue"]}),
        (Leaf, {"$ref": "#/components/schemas/Leaf"}),
    ],
)
def test_types(type_, schema):
    assert Schemas().of_type(type_) == schema


@pytest.mark.parametrize("type_", [bytes, tuple[int, str], Mapping[int, str], complex | None])
def test_what_json_cannot_say_is_a_mistake_of_the_table(type_):
    with pytest.raises(TypeError):
        Schemas().of_type(type_)


def test_each_class_is_described_once_also_one_that_holds_itself():
    schemas = Schemas()
    schemas.of_type(tuple[Tree, ...])
    assert schemas.components == {
        "Tree": {
            "title": "Tree",
            "type": "object",
            "description": "A tree of `Leaf`.\n\nIt may hold others.",
            "properties": {
                "leaf": {"$ref": "#/components/schemas/Leaf"},
                "trees": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}},
            },
            "required": ["leaf", "trees"],
        },
        "Leaf": {
            "title": "Leaf",
            "type": "object",
            "properties": {"size": {"type": "number"}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
            "required": ["size", "note"],
        },
    }


def test_of_a_sparse_class_what_has_a_default_may_be_missing():
    schemas = Schemas()
    schemas.refer(Tree, sparse=True)
    assert schemas.components["Tree"]["required"] == ["leaf"]


def test_two_classes_of_one_name_are_a_mistake_of_the_table():
    schemas, other = Schemas(), type("Leaf", (Leaf,), {})
    schemas.of_type(Leaf)
    with pytest.raises(TypeError, match="both have a Leaf"):
        schemas.of_type(other)


def test_rules_and_defaults_of_params():
    word, level, count, items = (Schemas().of_param(one) for one in fields_of(Params))
    assert word == {"type": "string", "minLength": 1}
    assert level == {"anyOf": [{"type": "string", "enum": ["low", "high"]}, {"type": "null"}], "default": None}
    assert count == {"type": "integer", "minimum": 0, "maximum": 9, "default": 5}
    assert items == {"type": "array", "items": {"type": "string"}}


def test_words_come_from_the_bases_too():
    assert describe_class(Oak) == "A tree of `Leaf`.\n\nIt may hold others.\n\nThe oldest."
    assert describe_class(Leaf) == ""


VALUES = [None, True, False, 0, 1, -1, 10**7, 1.5, -0.5, "", "x", "work@example.com", [], ["x"], [1], {}, {"a": 1}]
METHOD_NAMES = list(METHODS)


@pytest.fixture(scope="module")
def checker():
    return Checker(to_json(describe(METHODS.values())))


def candidates(checker, method):
    """Params of a method with one of them (or one that it has not) replaced, the required others as they should be."""
    described = checker.methods[method.name]["params"]
    required = {param["name"]: method.example[param["name"]] for param in described if param["required"]}
    for name in [*(param["name"] for param in described), "no_such"]:
        schema = next((param["schema"] for param in described if param["name"] == name), {})
        choices = [choice for form in schema.get("anyOf", [schema]) for choice in form.get("enum", [])]
        yield {key: value for key, value in required.items() if key != name}
        for value in VALUES + choices:
            yield required | {name: value}


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_the_daemon_takes_what_the_document_allows_and_nothing_else(checker, name):
    rules = {field.name: field.validator for field in fields_of(METHODS[name].params)}
    for params in candidates(checker, METHODS[name]):
        try:
            read_params(METHODS[name].params, params)
        except RequestInvalid as error:
            # What a validator that is no Rule looks for, no schema says.
            said = isinstance(rules.get(error.path), Rule | None)
            assert not (said and checker.accepts(name, params)), params
        else:
            assert checker.accepts(name, params), params
