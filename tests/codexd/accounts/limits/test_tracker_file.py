import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.accounts.limits.cooldown import Cooldown
from codexd.accounts.limits.tracker import SavedLimits, dump_limits, open_limits, parse_limits
from codexd.accounts.limits.windows import Limits, Window
from codexd.api.accounts import CreditsInfo
from codexd.errors import FileUnreadable

numbers = st.floats(0, 1e12)
texts = st.text(st.characters(exclude_categories=["Cs"]))
kept_values = st.builds(
    SavedLimits,
    st.builds(
        Limits,
        st.lists(st.builds(Window, texts, numbers, numbers, numbers, st.none() | texts), max_size=3).map(tuple),
        st.none() | texts,
        st.none() | st.builds(CreditsInfo, st.booleans(), st.booleans(), st.none() | texts),
        st.none() | st.booleans(),
        st.none() | numbers,
    ),
    st.lists(
        st.builds(Cooldown, numbers, texts, st.none() | texts, numbers, numbers, st.none() | texts), max_size=2
    ).map(tuple),
)
GOOD = {"version": 1, "accounts": {"a": {"limits": {"windows": [], "plan": "plus"}, "cooldowns": []}}}


@given(st.dictionaries(texts, kept_values, max_size=3))
def test_what_is_written_is_read_back(accounts):
    assert parse_limits(dump_limits(accounts)) == accounts


def test_what_a_file_leaves_out_is_unknown():
    assert parse_limits(json.dumps(GOOD).encode()) == {"a": SavedLimits(Limits(plan="plus"))}


UNREADABLE = [
    b"",
    b"\x00\xff",
    b"[]",
    b"{}",
    b'{"version": 2, "accounts": {}}',
    b'{"version": 1, "accounts": []}',
    b'{"version": 1}',
    json.dumps(GOOD | {"more": 1}).encode(),
    json.dumps(GOOD | {"accounts": {"a": {"limits": {"plan": 5}}}}).encode(),
    json.dumps(GOOD | {"accounts": {"a": {"limits": {"fetched_at": "now"}}}}).encode(),
    json.dumps(GOOD).encode()[:-5],
]


@pytest.mark.parametrize("data", UNREADABLE)
def test_unreadable_content(data):
    with pytest.raises(FileUnreadable):
        parse_limits(data)


@given(st.binary())
def test_any_bytes_are_read_or_refused(data):
    with pytest.raises(FileUnreadable):
        parse_limits(data)


@pytest.mark.parametrize("data", UNREADABLE)
def test_an_unreadable_file_is_kept_aside_with_one_warning(tmp_path, data, caplog):
    path = tmp_path / "limits.json"
    path.write_bytes(data)
    file = open_limits(path)
    assert file.load() is None
    assert (tmp_path / "limits.json.unreadable").read_bytes() == data
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "limits.json.unreadable" in caplog.text
    assert file.write(dump_limits({}))
    assert open_limits(path).load() == {}
    assert len(caplog.records) == 1
