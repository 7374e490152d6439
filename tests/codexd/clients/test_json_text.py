import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.clients import json_text
from codexd.clients.json_text import drop, put, read

SPACE = st.text("  \t\n\r", max_size=3)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@st.composite
def json_texts(draw, depth=2, kind=None):
    """JSON in any layout."""
    kind = kind or draw(st.sampled_from(["scalar", "array", "object"])) if depth else "scalar"
    if kind == "scalar":
        return json.dumps(draw(SCALARS), ensure_ascii=draw(st.booleans()))
    spaced = SPACE.flatmap(
        lambda before: json_texts(depth=depth - 1).flatmap(lambda raw: SPACE.map(lambda after: before + raw + after))
    )
    if kind == "array":
        return "[" + ",".join(draw(st.lists(spaced, max_size=3))) + "]"
    return draw(objects(spaced, st.text(max_size=5)))


@st.composite
def objects(draw, values, keys, min_size=0):
    names = draw(st.lists(keys, max_size=4, min_size=min_size, unique=True))
    members = [f"{draw(SPACE)}{json.dumps(name)}{draw(SPACE)}:{draw(values)}" for name in names]
    return "{" + ",".join(members) + "}"


@st.composite
def settings_texts(draw):
    """A settings file: an object that may have ``env``, in any layout."""
    others = draw(objects(json_texts(), st.text(min_size=1, max_size=4).filter(lambda key: key != "env")))
    members = others[1:-1]
    if draw(st.booleans()):
        env = draw(objects(json_texts(depth=0), st.sampled_from(["A", "B", "PATH", "Ü"]), min_size=1))
        member = f'{draw(SPACE)}"env"{draw(SPACE)}:{draw(SPACE)}{env}'
        members = f"{members},{member}" if members.strip() else member
    return draw(SPACE) + "{" + members + "}" + draw(SPACE)


@given(settings_texts(), st.text(), st.text())
def test_what_is_put_and_dropped_again_leaves_every_byte(text, first, second):
    json_text.check(text)
    had_env = read(text, ("env",)) is not None
    changed = text if had_env else put(text, ("env",), "{}")
    changed = put(changed, ("env", "NEW"), json.dumps(first))
    changed = put(changed, ("env", "NEWER"), json.dumps(second))
    meant = json.loads(text)
    meant["env"] = meant.get("env", {}) | {"NEW": first, "NEWER": second}
    assert json.loads(changed) == meant
    assert list(json.loads(changed)) == list(meant)
    undone = drop(drop(changed, ("env", "NEWER")), ("env", "NEW"))
    undone = undone if had_env else drop(undone, ("env",))
    assert undone == text


@given(settings_texts(), st.data())
def test_a_value_that_is_changed_and_put_back_leaves_every_byte(text, data):
    keys = list(json.loads(text))
    if not keys:
        return
    key = data.draw(st.sampled_from(keys))
    before = read(text, (key,))
    changed = put(text, (key,), '"changed"')
    assert json.loads(changed) == json.loads(text) | {key: "changed"}
    assert put(changed, (key,), before) == text


@given(settings_texts(), st.data())
def test_dropping_takes_one_member_and_nothing_else(text, data):
    values = json.loads(text)
    if not values:
        return
    key = data.draw(st.sampled_from(list(values)))
    assert json.loads(drop(text, (key,))) == {name: value for name, value in values.items() if name != key}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('{"a": 1}', '{"a": 1, "env": {"K": "v", "L": "w"}}'),
        ('{"a":1,"b":2}', '{"a":1,"b":2,"env":{"K":"v","L":"w"}}'),
        ('{\n  "a": 1\n}\n', '{\n  "a": 1,\n  "env": {\n    "K": "v",\n    "L": "w"\n  }\n}\n'),
        ('{\r\n\t"a" : 1\r\n}', '{\r\n\t"a" : 1,\r\n\t"env" : {\r\n\t\t"K" : "v",\r\n\t\t"L" : "w"\r\n\t}\r\n}'),
        ("{}", '{\n  "env": {\n    "K": "v",\n    "L": "w"\n  }\n}'),
        ('{\n    "env": {}\n}', '{\n    "env": {\n        "K": "v",\n        "L": "w"\n    }\n}'),
        ('{"env": {\n "A": "1" }}', '{"env": {\n "A": "1",\n "K": "v",\n "L": "w" }}'),
    ],
)
def test_what_is_added_looks_like_its_neighbours(text, result):
    text = text if read(text, ("env",)) else put(text, ("env",), "{}")
    assert put(put(text, ("env", "K"), '"v"'), ("env", "L"), '"w"') == result


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Expecting value"),
        ("[]", "it does not hold a JSON object"),
        ('{"a": 1,}', "property name|trailing comma"),
        ('{"a": 1 // one\n}', "delimiter"),
        ('{"a": NaN}', "NaN is not a JSON value"),
        ('{"a": 1} x', "Extra data"),
        ('{"a": ' + "[" * 200_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_object_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        json_text.check(text)


def test_a_key_that_stands_twice_is_refused():
    text = '{"env": {}, "env": {"A": "1"}}'
    for change in (lambda: read(text, ("env",)), lambda: put(text, ("env",), "1"), lambda: drop(text, ("env",))):
        with pytest.raises(ValueError, match='it holds "env" twice'):
            change()
