import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codexd.simulator.checks_schema import find_schema_problem
from codexd.translation.reading.schema import explain_root, is_strict, to_parameters

few = settings(deadline=None, max_examples=200)
EMPTY = {"type": "object", "properties": {}}
STRING = {"type": "string"}
NUMBER = {"type": "number"}


def with_property(schema):
    return {"type": "object", "properties": {"p": schema}}


@pytest.mark.parametrize(
    ("schema", "parameters"),
    [
        (None, EMPTY),
        ({}, EMPTY),
        (True, EMPTY),
        (False, EMPTY),
        ([], EMPTY),
        ("x", EMPTY),
        ({"type": "array", "items": {}}, EMPTY),
        ({"type": "object"}, EMPTY),
        ({"type": None, "properties": {"a": STRING}}, {"type": "object", "properties": {"a": STRING}}),
        ({"type": ["object", "null"], "properties": {"a": STRING}}, {"type": "object", "properties": {"a": STRING}}),
        ({"properties": {"a": STRING}}, {"type": "object", "properties": {"a": STRING}}),
        ({"type": "object", "properties": None}, EMPTY),
        ({"type": "object", "properties": []}, EMPTY),
        pytest.param({**EMPTY, "required": None, "description": None}, EMPTY, id="required-is-null"),
        ({**EMPTY, "$schema": "s", "$id": "i", "$comment": "c"}, EMPTY),
        ({**EMPTY, "not": {"required": ["a"]}, "enum": [{}]}, EMPTY),
        ({**EMPTY, "anyOf": 5, "oneOf": [], "allOf": [True]}, EMPTY),
        ({**EMPTY, "additionalProperties": False}, {**EMPTY, "additionalProperties": False}),
        ({**EMPTY, "additionalProperties": STRING}, {**EMPTY, "additionalProperties": STRING}),
    ],
    ids=json.dumps,
)
def test_the_root_is_an_object_with_properties(schema, parameters):
    assert to_parameters(schema) == parameters


@pytest.mark.parametrize(
    ("schema", "repaired"),
    [
        pytest.param({"type": "array"}, {"type": "array", "items": {}}, id="array-without-items"),
        ({"type": ["string", "array"]}, {"type": ["string", "array"], "items": {}}),
        ({"type": "array", "items": None}, {"type": "array", "items": {}}),
        ({"type": "array", "prefixItems": [STRING]}, {"type": "array", "items": {"anyOf": [STRING]}}),
        (
            {"type": "array", "prefixItems": [STRING, NUMBER], "items": False},
            {"type": "array", "maxItems": 2, "items": {"anyOf": [STRING, NUMBER]}},
        ),
        ({"type": "array", "items": [STRING, NUMBER]}, {"type": "array", "items": {"anyOf": [STRING, NUMBER]}}),
        ({"type": 5, "enum": "x", "minLength": "3", "required": "a"}, {}),
        ({"type": "object", "required": ["a", 5]}, {"type": "object", "required": ["a"]}),
        ({"type": "array", "items": {"type": "array"}}, {"type": "array", "items": {"type": "array", "items": {}}}),
        ({"type": "object", "properties": None}, EMPTY),
        ({"type": "string", "enum": None, "description": None}, STRING),
        (
            {"type": "object", "properties": {"a": {"type": "array"}}, "required": None},
            {"type": "object", "properties": {"a": {"type": "array", "items": {}}}},
        ),
        (True, {}),
        (False, {"not": {}}),
        ({"anyOf": [True, {"type": "array"}]}, {"anyOf": [{}, {"type": "array", "items": {}}]}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": False}, STRING),
        ({"const": None}, {"const": None}),
        ({"type": ["string", "null"], "default": None}, {"type": ["string", "null"], "default": None}),
    ],
    ids=json.dumps,
)
def test_faults_below_the_root_are_repaired(schema, repaired):
    assert to_parameters(with_property(schema)) == with_property(repaired)


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [STRING, NUMBER]},
        {"oneOf": [STRING, {"type": "object", "properties": {"a": STRING}, "required": ["a"]}]},
        {"allOf": [{"minLength": 1}], "not": {"const": "x"}},
        {"type": ["string", "null"], "format": "date", "pattern": "^a", "minLength": 1, "maxLength": 5},
        {"type": "integer", "minimum": 0, "exclusiveMaximum": 10, "multipleOf": 2, "default": 4, "examples": [2]},
        {"type": "object", "patternProperties": {"^x": STRING}, "dependentRequired": {"a": ["b"]}},
        {"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}, "else": {"required": ["c"]}},
        {"$ref": "#/$defs/node"},
        {"enum": ["a", None, 1]},
        {
            "type": "object",
            "properties": {"properties": STRING, "type": STRING, "nullable": STRING, "required": STRING},
        },
    ],
    ids=json.dumps,
)
def test_the_meaning_stays(schema):
    root = {
        **with_property(schema),
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        "definitions": {"x": STRING},
    }
    assert to_parameters(root) == root
    assert json.dumps(to_parameters(root)["properties"]) == json.dumps(root["properties"])


A = {"type": "object", "properties": {"a": STRING, "k": STRING}, "required": ["a", "k"]}
B = {"type": "object", "properties": {"b": NUMBER, "k": NUMBER}, "required": ["b", "k"]}
BOTH = {"a": STRING, "k": {"anyOf": [STRING, NUMBER]}, "b": NUMBER}


@pytest.mark.parametrize(
    ("schema", "parameters"),
    [
        ({"anyOf": [A, A]}, A),
        (
            {"type": "object", "properties": {"k": STRING}, "anyOf": [B, B]},
            {"type": "object", "properties": {"k": STRING, "b": NUMBER}, "required": ["k", "b"]},
        ),
        ({"anyOf": [A, B]}, {"type": "object", "properties": BOTH, "required": ["k"]}),
        ({"oneOf": [A, B]}, {"type": "object", "properties": BOTH, "required": ["k"]}),
        (
            {"allOf": [A, B]},
            {"type": "object", "properties": {**BOTH, "k": {"allOf": [STRING, NUMBER]}}, "required": ["a", "k", "b"]},
        ),
        (
            {"type": "object", "properties": {"o": STRING}, "required": ["o"], "anyOf": [A, B]},
            {"type": "object", "properties": {"o": STRING, **BOTH}, "required": ["o", "k"]},
        ),
        (
            {"type": "object", "properties": {"a": STRING}, "anyOf": [{"required": ["a"]}, {"required": []}]},
            {"type": "object", "properties": {"a": STRING}},
        ),
        ({"anyOf": [A, True]}, {"type": "object", "properties": A["properties"]}),
        ({"anyOf": [{"properties": 5, "required": 5}, {"required": [{}, 1, "x"]}]}, EMPTY),
    ],
    ids=json.dumps,
)
def test_alternatives_at_the_root_become_one_object(schema, parameters):
    assert to_parameters(schema) == parameters


def test_a_reference_at_the_root_is_followed():
    definitions = {
        "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["next"]},
        "b": B,
    }
    by_ref = to_parameters({"$ref": "#/$defs/node", "$defs": definitions})
    assert by_ref == {**definitions["node"], "$defs": definitions}
    by_union = to_parameters({"oneOf": [{"$ref": "#/$defs/node"}, {"$ref": "#/$defs/b"}], "$defs": definitions})
    assert by_union == {
        "type": "object",
        "properties": {**definitions["node"]["properties"], **B["properties"]},
        "$defs": definitions,
    }


SCHEMAS = st.recursive(
    st.booleans()
    | st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "array", "object", None, ["array", "null"]]),
            "required": st.none(),
            "description": st.none() | st.text(max_size=3),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", ["object", "null"], None]),
            "properties": st.none() | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "required": st.none() | st.lists(st.sampled_from("abc"), max_size=2),
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "additionalProperties": inner,
            "nullable": st.booleans(),
            "$defs": st.dictionaries(st.sampled_from("xy"), inner, max_size=2),
            "$schema": st.text(max_size=3),
            "const": st.none(),
        },
    ),
    max_leaves=8,
)


@few
@given(SCHEMAS)
def test_a_repaired_schema_is_accepted_and_stays_as_it_is(schema):
    before = copy.deepcopy(schema)
    parameters = to_parameters(schema)
    assert schema == before
    assert find_schema_problem(parameters, name="function 'f'", strict=False) is None
    assert json.dumps(to_parameters(parameters)) == json.dumps(parameters)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["object", "array", "#/$defs/a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "required", "items", "anyOf", "allOf", "$defs", "$ref", "a", "nullable"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@few
@given(JUNK)
def test_any_json_gives_an_object_with_properties(junk):
    parameters = to_parameters(junk)
    assert parameters["type"] == "object"
    assert isinstance(parameters["properties"], dict)
    assert is_strict(junk) in (True, False)


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "object", "properties": {"a": STRING}, "required": ["a"], "additionalProperties": False}, True),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": STRING}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {"a": STRING}, "required": ["a"]}, False),
        (
            {
                "type": "object",
                "properties": {"a": {"anyOf": [EMPTY]}},
                "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "array", "prefixItems": []}},
                "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
        (STRING, True),
    ],
)
def test_is_strict(schema, strict):
    assert is_strict(schema) is strict


@pytest.mark.parametrize("target", [5, "x", None, True, ["a"]])
def test_a_definition_that_is_no_schema_is_not_followed(target):
    schema = {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "object", "properties": {"b": {}}}], "$defs": {"a": target}}
    explain_root(schema)
    assert to_parameters(schema)["type"] == "object"
