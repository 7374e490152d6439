import pytest

from codexd import bounds
from codexd.errors import MAX_MESSAGE_CHARS, RequestInvalid
from codexd.translation.reading.fields import (
    MAX_MODEL_CHARS,
    Fields,
    parse_body,
    read_model,
)

VALUE = {
    "string": "x",
    "empty": "",
    "null": None,
    "true": True,
    "number": 5,
    "float": 1.5,
    "object": {"inner": {"a": 1}},
    "objects": [{"a": 1}, {"b": 2}],
    "mixed": [{"a": 1}, "x"],
    "strings": ["a", "b"],
}
ROOT = Fields(VALUE, "")
INNER = Fields(VALUE, "messages[3]")


@pytest.mark.parametrize(
    ("reader", "name", "value"),
    [
        ("string", "string", "x"),
        ("string", "empty", ""),
        ("optional_string", "string", "x"),
        ("optional_string", "null", None),
        ("optional_string", "absent", None),
        ("boolean", "true", True),
        ("boolean", "null", False),
        ("boolean", "absent", False),
        ("integer", "number", 5),
        ("objects", "null", []),
        ("objects", "absent", []),
        ("strings", "strings", ["a", "b"]),
        ("strings", "absent", []),
        ("optional_object", "null", None),
        ("optional_object", "absent", None),
        ("get", "float", 1.5),
        ("get", "absent", None),
    ],
)
def test_reading(reader, name, value):
    assert getattr(ROOT, reader)(name) == value


@pytest.mark.parametrize(
    ("reader", "name", "problem"),
    [
        ("string", "absent", "required"),
        ("string", "null", "required"),
        ("string", "number", "must be a string"),
        ("optional_string", "object", "must be a string"),
        ("boolean", "number", "must be true or false"),
        ("boolean", "string", "must be true or false"),
        ("integer", "absent", "required"),
        ("integer", "null", "required"),
        ("integer", "true", "must be a whole number"),
        ("integer", "float", "must be a whole number"),
        ("integer", "string", "must be a whole number"),
        ("object", "absent", "required"),
        ("object", "null", "required"),
        ("object", "strings", "must be an object"),
        ("optional_object", "string", "must be an object"),
        ("objects", "object", "must be a list"),
        ("objects", "empty", "must be a list"),
        ("strings", "mixed", "must be a list of strings"),
        ("strings", "string", "must be a list of strings"),
    ],
)
def test_problems_name_the_path(reader, name, problem):
    with pytest.raises(RequestInvalid) as root:
        getattr(ROOT, reader)(name)
    with pytest.raises(RequestInvalid) as inner:
        getattr(INNER, reader)(name)
    assert str(root.value) == f"{name}: {problem}"
    assert str(inner.value) == f"messages[3].{name}: {problem}"
    assert (inner.value.path, inner.value.problem) == (f"messages[3].{name}", problem)


def test_paths_grow():
    assert ROOT.object("object").object("inner") == Fields({"a": 1}, "object.inner")
    assert INNER.objects("objects") == [
        Fields({"a": 1}, "messages[3].objects[0]"),
        Fields({"b": 2}, "messages[3].objects[1]"),
    ]
    with pytest.raises(RequestInvalid, match=r"^mixed\[1\]: must be an object$"):
        ROOT.objects("mixed")


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[%b]}' % b",".join([b"{}"] * bounds.JSON_VALUES),
        b'{"a":[%b]}' % b",".join([b'{"b":[1]}'] * (bounds.JSON_VALUES // 3 + 1)),
        b"{%b}" % b",".join(b'"%d":1' % number for number in range(bounds.JSON_VALUES + 1)),
        b"[" * (bounds.JSON_SEPARATORS + 1),
    ],
    ids=["one list", "small objects", "one object", "not even parsed"],
)
def test_a_body_of_too_many_values_is_refused(body):
    with pytest.raises(RequestInvalid, match=f"{bounds.JSON_VALUES} values"):
        parse_body(body)


def test_what_a_string_holds_are_no_values():
    text = "[,{" * bounds.JSON_VALUES
    assert parse_body(b'{"a":"%b"}' % text.encode()).get("a") == text


def test_the_name_of_a_model_has_a_limit():
    assert read_model(Fields({"model": "m" * MAX_MODEL_CHARS}, "")) == "m" * MAX_MODEL_CHARS
    with pytest.raises(RequestInvalid, match="longer than"):
        read_model(Fields({"model": "m" * (MAX_MODEL_CHARS + 1)}, ""))


def test_an_error_does_not_repeat_all_that_a_client_wrote():
    error = RequestInvalid("p" * 10_000, "x" * 10_000)
    assert len(error.path) <= MAX_MESSAGE_CHARS + 1
    assert len(str(error)) <= 2 * MAX_MESSAGE_CHARS + 4
