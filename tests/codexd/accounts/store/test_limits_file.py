import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.accounts.limits.cooldown import Cooldown
from codexd.accounts.limits.windows import Credits, Limits, Window
from codexd.accounts.store.limits_file import Kept, dump_limits, open_limits, parse_limits
from codexd.errors import FileUnreadable

numbers = st.floats(0, 1e12)
texts = st.text(st.characters(exclude_categories=["Cs"]))
kept_values = st.builds(
    Kept,
    st.builds(
        Limits,
        st.lists(st.builds(Window, texts, numbers, numbers, numbers, st.none() | texts), max_size=3).map(tuple),
        st.none() | texts,
        st.none() | st.builds(Credits, st.booleans(), st.booleans(), st.none() | texts),
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
    assert parse_limits(json.dumps(GOOD).encode()) == {"a": Kept(Limits(plan="plus"))}


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


def test_a_second_unreadable_file_does_not_push_out_the_first(tmp_path):
    for number in (1, 2):
        (tmp_path / "limits.json").write_bytes(b"%d" % number)
        open_limits(tmp_path / "limits.json").load()
    kept = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    assert kept == [b"1", b"2"]


def test_what_can_not_be_moved_away_is_not_overwritten(tmp_path, monkeypatch, caplog):
    def refuse(path):
        raise PermissionError

    monkeypatch.setattr("codexd.accounts.store.cache_file.keep_aside", refuse)
    path = tmp_path / "limits.json"
    path.write_bytes(b"broken")
    file = open_limits(path)
    assert file.load() is None
    assert file.write(b"{}")
    assert path.read_bytes() == b"broken"
    assert len(caplog.records) == 1


def test_a_file_that_was_wider_is_narrowed(tmp_path):
    path = tmp_path / "limits.json"
    path.write_bytes(dump_limits({}))
    path.chmod(0o644)
    open_limits(path).load()
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_file_is_no_trouble(tmp_path, caplog):
    assert open_limits(tmp_path / "limits.json").load() is None
    assert open_limits(tmp_path / "no-folder" / "limits.json").load() is None
    assert not caplog.records
