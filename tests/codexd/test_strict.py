from __future__ import annotations

from collections.abc import Mapping

import pytest
from attrs import frozen

from codexd.errors import FileUnreadable
from codexd.strict import (
    load_versioned,
    make_converter,
    read_boolean,
    read_integer,
    read_number,
    read_string,
    structure,
)


@frozen
class Inner:
    name: str
    count: int = 0
    share: float = 0.0
    is_open: bool = False
    note: str | None = None


@frozen
class Outer:
    inner: tuple[Inner, ...] = ()
    by_name: Mapping[str, Inner] = {}


@pytest.mark.parametrize(
    ("read", "good", "bad", "words"),
    [
        (read_string, ["", "a"], [None, 1, True, b"a", ["a"]], "must be a string"),
        (read_integer, [0, -1, 10**30], [None, True, 1.0, "1"], "must be an integer"),
        (read_number, [0, 1.5], [None, True, "1", 10**400, float("nan"), float("inf")], "must be a number"),
        (read_boolean, [True, False], [None, 0, 1, "true"], "must be true or false"),
    ],
)
def test_only_the_type_itself_is_read(read, good, bad, words):
    assert [read(value) for value in good] == good
    for value in bad:
        with pytest.raises(TypeError, match=words):
            read(value)


def test_an_integer_is_a_number_too():
    assert repr(read_number(2)) == "2.0"


def test_a_value_is_read_and_written():
    value = {"inner": [{"name": "a", "count": 1, "share": 0.5, "is_open": True, "note": None}], "by_name": {}}
    converter = make_converter()
    assert converter.unstructure(converter.structure(value, Outer)) == value


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"more": 1}, r"extra fields found \(more\) @ \$"),
        ({"inner": [{}]}, r"required field missing @ \$\.inner\[0\]\.name"),
        ({"inner": [{"name": None}]}, r"invalid .*expected str @ \$\.inner\[0\]\.name"),
        ({"inner": [{"name": "a", "count": "1"}, {"name": 2}]}, r"inner\[0\]\.count; .*inner\[1\]\.name"),
        ({"by_name": {"x": {"name": "a", "note": 1}}}, r"by_name"),
    ],
)
def test_every_wrong_value_is_named(raw, words):
    with pytest.raises(FileUnreadable, match=words):
        structure(raw, Outer)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is not JSON"),
        (b"\x00\xff", "it is not JSON"),
        (b"[" * 300 + b"]" * 300, "it is not JSON"),
        (b"[1]", "it is not a JSON object"),
        (b"{}", "its version is None, but this codexd reads version 1"),
        (b'{"version": 2}', "its version is 2, but this codexd reads version 1"),
    ],
)
def test_what_is_not_a_file_of_this_version(data, words):
    with pytest.raises(FileUnreadable, match=words):
        load_versioned(data, 1)


def test_a_file_of_this_version():
    assert load_versioned(b'{"version": 1, "more": [1]}', 1) == {"version": 1, "more": [1]}
