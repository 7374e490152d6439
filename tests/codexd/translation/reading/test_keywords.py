"""The repair of schemas, against the metaschema that the backend uses."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.schemas import ANY_SCHEMA, KEYWORDS

from codexd.translation.reading import keywords
from codexd.translation.reading.keywords import Repair
from codexd.translation.reading.losses import LossKind

STRING = {"type": "string"}
few = settings(deadline=None, max_examples=300)


def repair(schema):
    """The repaired schema, and what the ledger gets, by path."""
    whole = Repair()
    return whole.repair(schema), {change.path: change.kind for change in whole.changes}


# -- one keyword at a time ------------------------------------------------------------------------

APPROXIMATED, DROPPED, COSMETIC = LossKind.APPROXIMATED, LossKind.DROPPED, LossKind.COSMETIC


def told(sentence, **schema):
    return {**schema, "description": sentence}


@pytest.mark.parametrize(
    ("schema", "repaired", "changes"),
    [
        (
            {"type": "string", "pattern": r"^[\p{L}\p{N}]+$"},
            told(r"Must match the regular expression ^[\p{L}\p{N}]+$.", type="string"),
            {".pattern": APPROXIMATED},
        ),
        (
            {"description": "An address", "pattern": r"^(?!\.)a+$", "format": "email"},
            {"description": "An address\nMust match the regular expression ^(?!\\.)a+$.", "format": "email"},
            {".pattern": APPROXIMATED},
        ),
        ({"pattern": 5}, {}, {".pattern": DROPPED}),
        ({"type": "any"}, {}, {".type": COSMETIC}),
        ({"type": ["string", "any"]}, {}, {".type": COSMETIC}),
        ({"type": "STRING"}, STRING, {".type": COSMETIC}),
        ({"type": ["int", "float", "null"]}, {"type": ["integer", "number", "null"]}, {".type": COSMETIC}),
        ({"type": ["string", "string"]}, {"type": ["string"]}, {}),
        ({"type": "date"}, told("The type is date."), {".type": APPROXIMATED}),
        ({"type": ["string", "date"]}, told('The type is ["string","date"].'), {".type": APPROXIMATED}),
        ({"type": []}, {}, {".type": DROPPED}),
        ({"type": {"a": 1}}, {}, {".type": DROPPED}),
        (
            {"type": "number", "minimum": 0, "exclusiveMinimum": True},
            {"type": "number", "exclusiveMinimum": 0},
            {".exclusiveMinimum": COSMETIC},
        ),
        ({"maximum": 9, "exclusiveMaximum": False}, {"maximum": 9}, {".exclusiveMaximum": COSMETIC}),
        ({"exclusiveMaximum": True}, {}, {".exclusiveMaximum": DROPPED}),
        ({"minLength": "3", "maxLength": -1, "minItems": 1.5, "maxItems": 2.0}, {"maxItems": 2.0}, {
            ".minLength": DROPPED, ".maxLength": DROPPED, ".minItems": DROPPED,
        }),
        ({"minimum": True, "multipleOf": 0, "uniqueItems": "yes"}, {}, {
            ".minimum": DROPPED, ".multipleOf": DROPPED, ".uniqueItems": DROPPED,
        }),
        ({"maximum": float("inf")}, {}, {".maximum": DROPPED}),
        ({"title": 5, "description": ["x"], "format": {}}, {}, {
            ".title": DROPPED, ".description": DROPPED, ".format": DROPPED,
        }),
        ({"examples": "x", "enum": "y"}, {}, {".examples": DROPPED, ".enum": DROPPED}),
        ({"anyOf": [], "oneOf": {}, "allOf": 5}, {}, {".anyOf": DROPPED, ".oneOf": DROPPED, ".allOf": DROPPED}),
        ({"$anchor": "1", "$id": "a#b", "$id2": "#"}, {"$id2": "#"}, {".$anchor": DROPPED, ".$id": DROPPED}),
        ({"$id": "a#", "$anchor": "a", "$ref": "#/x"}, {"$id": "a#", "$anchor": "a", "$ref": "#/x"}, {}),
        ({"$recursiveAnchor": True, "$vocabulary": {"a": 1}}, {}, {
            ".$recursiveAnchor": DROPPED, ".$vocabulary": DROPPED,
        }),
        ({"required": ["a", 5, "a"]}, {"required": ["a"]}, {".required": DROPPED}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}, {".nullable": COSMETIC}),
        ({"type": ["string"], "nullable": True}, {"type": ["string", "null"]}, {".nullable": COSMETIC}),
        ({"type": ["string", "null"], "nullable": "yes"}, {"type": ["string", "null"]}, {".nullable": COSMETIC}),
        ({"nullable": True}, {}, {".nullable": COSMETIC}),
        ({"dependentRequired": {"a": ["b", "b"]}}, {"dependentRequired": {"a": ["b"]}}, {}),
        ({"required": ["a", "a"]}, {"required": ["a"]}, {}),
        ({"dependentRequired": {"a": ["b"], "c": 5}}, {"dependentRequired": {"a": ["b"], "c": []}}, {
            ".dependentRequired": DROPPED,
        }),
        ({"dependencies": {"a": ["b", "b"], "c": {"type": "any"}}}, {"dependencies": {"a": ["b"], "c": {}}}, {
            ".dependencies.c.type": COSMETIC,
        }),
        (
            {"type": "object", "properties": {"a": {"type": "string", "required": True}, "b": {"required": False}}},
            {"type": "object", "properties": {"a": STRING, "b": {}}, "required": ["a"]},
            {".properties.a.required": COSMETIC, ".properties.b.required": COSMETIC},
        ),
        ({"properties": {"a": 5}, "items": "x", "not": []}, {"properties": {"a": {}}}, {
            ".properties.a": DROPPED, ".items": DROPPED, ".not": DROPPED,
        }),
        ({"properties": []}, {}, {".properties": DROPPED}),
        ({"required": None, "minLength": None, "anyOf": None}, {}, {}),
        (
            {"type": "array", "items": [STRING], "additionalItems": {"type": "number"}},
            {"type": "array", "items": {"anyOf": [STRING, {"type": "number"}]}},
            {".items": APPROXIMATED},
        ),
        ({"prefixItems": 5}, {}, {".prefixItems": DROPPED}),
        ({"x-order": 5, "anything": {"type": "any"}}, {"x-order": 5, "anything": {"type": "any"}}, {}),
    ],
    ids=repr,
)  # fmt: skip
def test_a_keyword(schema, repaired, changes):
    assert repair(schema) == (repaired, changes)


BAD = {"pattern": "(?!x)"}
TOLD = told("Must match the regular expression (?!x).")


@pytest.mark.parametrize(
    ("schema", "repaired", "path"),
    [
        ({"$defs": {"a": BAD}}, {"$defs": {"a": TOLD}}, ".$defs.a.pattern"),
        ({"items": BAD}, {"items": TOLD}, ".items.pattern"),
        ({"anyOf": [STRING, BAD]}, {"anyOf": [STRING, TOLD]}, ".anyOf[1].pattern"),
        ({"additionalProperties": BAD}, {"additionalProperties": TOLD}, ".additionalProperties.pattern"),
        ({"properties": {"pattern": BAD}}, {"properties": {"pattern": TOLD}}, ".properties.pattern.pattern"),
        ({"propertyNames": BAD}, {"propertyNames": TOLD}, ".propertyNames.pattern"),
        (
            {"patternProperties": {"(?!x)": {}, "^x": BAD}, "additionalProperties": False},
            told("A property whose name matches (?!x) must match {}.", patternProperties={"^x": TOLD}),
            ".patternProperties.(?!x)",
        ),
        (
            {"patternProperties": {"(?!x)": {}}, "additionalProperties": STRING},
            told("A property whose name matches (?!x) must match {}.", patternProperties={}),
            ".additionalProperties",
        ),
        ({"contains": BAD, "maxContains": 2}, {"contains": TOLD}, ".maxContains"),
        ({"not": BAD}, told('Must not match {"pattern":"(?!x)"}.'), ".not"),
        (
            {"if": BAD, "then": STRING, "else": {}},
            told('Must match {"if":{"pattern":"(?!x)"},"then":{"type":"string"},"else":{}}.'),
            ".if",
        ),
        ({"if": STRING, "then": BAD}, {"if": STRING, "then": TOLD}, ".then.pattern"),
        ({"oneOf": [STRING, BAD]}, {"anyOf": [STRING, TOLD]}, ".oneOf"),
        (
            {"oneOf": [BAD], "anyOf": [STRING], "allOf": [{}]},
            {"anyOf": [STRING], "allOf": [{}, {"anyOf": [TOLD]}]},
            ".oneOf",
        ),
    ],
    ids=repr,
)
def test_a_pattern_is_found_anywhere_and_nothing_gets_stricter_without_it(schema, repaired, path):
    found, changes = repair(schema)
    assert found == repaired
    assert changes[path] is APPROXIMATED


def test_what_is_told_is_bounded():
    found, _ = repair({"pattern": r"\p{L}" * 1000})
    assert len(found["description"]) < 400


def test_deep_schemas_end():
    deep = STRING
    for _ in range(150):
        deep = {"type": "array", "items": deep}
    found, changes = repair(deep)
    Draft202012Validator.check_schema(found)
    assert list(changes.values()) == [APPROXIMATED]


def test_large_schemas():
    wide = {"properties": {f"p{index}": dict(BAD) for index in range(20_000)}}
    found, changes = repair(wide)
    assert len(found["properties"]) == len(changes) == 20_000


# -- the metaschema -------------------------------------------------------------------------------

BY_THEMSELVES = {"type", "pattern", "required", "dependentRequired", "prefixItems", "const", "default"}


def test_every_keyword_of_the_metaschema_is_known():
    known = {*keywords.VALUES, *keywords.SUBSCHEMAS, *keywords.SUBSCHEMA_LISTS, *keywords.SUBSCHEMA_MAPS}
    assert set(KEYWORDS) - known == BY_THEMSELVES


@settings(deadline=None, max_examples=1000)
@given(ANY_SCHEMA)
def test_any_json_becomes_a_schema_that_the_metaschema_allows(schema):
    before = copy.deepcopy(schema)
    found, _ = repair(schema)
    Draft202012Validator.check_schema(found)
    assert repr(schema) == repr(before)
    again, nothing = repair(found)
    assert json.dumps(again) == json.dumps(found)
    assert not nothing


def keyword_values(schema):
    names = st.lists(st.sampled_from("abc"), max_size=3, unique=True)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "object", ["integer", "null"]]),
            "pattern": st.sampled_from(["^a+$", r"\d{2}"]),
            "minimum": st.integers() | st.floats(-9, 9),
            "maxLength": st.integers(0, 9),
            "required": names,
            "dependentRequired": st.dictionaries(st.sampled_from("ab"), names, max_size=2),
            "properties": st.dictionaries(st.sampled_from(["a", "type", "pattern"]), schema, max_size=3),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), schema, max_size=2),
            "$defs": st.dictionaries(st.sampled_from("ab"), schema, max_size=2),
            "items": schema,
            "anyOf": st.lists(schema, min_size=1, max_size=2),
            "oneOf": st.lists(schema, min_size=1, max_size=2),
            "not": schema,
            "if": schema,
            "additionalProperties": st.booleans() | schema,
            "enum": st.lists(st.none() | st.integers() | st.text(max_size=2), max_size=2),
            "default": st.none() | st.text(max_size=2),
            "format": st.sampled_from(["uri", "x"]),
            "$ref": st.just("#/$defs/a"),
            "x-own": st.lists(st.integers(), max_size=1),
        },
    )


@few
@given(st.recursive(st.just({}), keyword_values, max_leaves=12))
def test_a_schema_that_was_fine_stays(schema):
    Draft202012Validator.check_schema(schema)
    assert repair(schema) == (schema, {})
