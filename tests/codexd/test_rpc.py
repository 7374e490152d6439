import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd import bounds, rpc

text = st.text(max_size=20)
ids = st.one_of(st.none(), text, st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), text, st.text(alphabet="\ud800\u2028é")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=5,
)
params = st.one_of(st.none(), st.lists(values, max_size=3), st.dictionaries(text, values, max_size=3))
singles = st.one_of(
    st.builds(rpc.Request, ids, text, params),
    st.builds(rpc.Notification, text, params),
    st.builds(rpc.Result, ids, values),
    st.builds(rpc.Failure, ids, st.integers(-40000, 40000), text, values),
)
messages = st.one_of(singles, st.builds(rpc.Batch, st.lists(singles, min_size=1, max_size=3).map(tuple)))


def receive(data, cuts=(), **options):
    connection = rpc.Connection(**options)
    edges = [0, *sorted(cuts), len(data)]
    found = []
    for start, end in itertools.pairwise(edges):
        found += connection.receive_data(data[start:end])
    return found, connection.state


@given(st.lists(messages, max_size=4))
def test_what_is_encoded_is_received(sent):
    data = b"".join(rpc.encode(message) for message in sent)
    assert receive(data) == (sent, rpc.State.OPEN)


@given(
    st.lists(st.one_of(messages.map(rpc.encode), st.binary(max_size=30), st.just(b"\n")), max_size=6).map(b"".join),
    st.lists(st.integers(0, 500), max_size=8),
    st.integers(5, 60),
)
def test_where_the_bytes_are_cut_changes_nothing(data, cuts, max_line_bytes):
    whole = receive(data, max_line_bytes=max_line_bytes)
    cuts = [min(cut, len(data)) for cut in cuts]
    assert receive(data, cuts, max_line_bytes=max_line_bytes) == whole
    assert receive(data, range(len(data)), max_line_bytes=max_line_bytes) == whole


@pytest.mark.parametrize("id_", ["", "a", 0, -1, 1.5, 10**40, None])
def test_every_legal_id_is_kept(id_):
    line = json.dumps({"jsonrpc": "2.0", "id": id_, "method": "m"}).encode() + b"\n"
    assert receive(line)[0] == [rpc.Request(id_, "m")]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", -32700),
        (b"\xff\xfe{}", -32700),
        (b'"' + b"\xe2\x82" + b'"', -32700),
        (b"[" * 100_000, -32700),
        (b"NaN", -32700),
        (b'{"jsonrpc":"2.0","id":Infinity,"method":"m"}', -32700),
        (b"1" * 5000, -32700),
        (b"1", -32600),
        (b"null", -32600),
        (b"[]", -32600),
        (b"{}", -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"m"}', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"m"}', -32600),
        (b'{"jsonrpc":"2.0","id":[1],"method":"m"}', -32600),
        (b'{"jsonrpc":"2.0","id":1e999,"method":"m"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":"p"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":null}', -32600),
        (b'{"jsonrpc":"2.0","id":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"result":1,"error":{}}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":"m"}}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":true,"message":"m"}}', -32600),
        (b'{"jsonrpc":"2.0","result":1}', -32600),
    ],
)
def test_what_is_no_message_gets_an_error_reply(line, code):
    (message,), state = receive(line + b"\n")
    assert isinstance(message, rpc.Malformed)
    assert (message.failure.id, message.failure.code) == (None, code)
    assert state is rpc.State.OPEN


def test_a_bad_line_does_not_take_the_next_with_it():
    good = rpc.Request(1, "m")
    found, _ = receive(b"nonsense\n" + rpc.encode(good))
    assert found[1:] == [good]


def test_blank_lines_and_carriage_returns_are_no_messages():
    assert receive(b"\n \r\n" + rpc.encode(rpc.Notification("m")).replace(b"\n", b"\r\n"))[0] == [rpc.Notification("m")]


def test_a_batch_keeps_the_bad_among_the_good():
    (batch,), _ = receive(b'[1,{"jsonrpc":"2.0","method":"m"}]\n')
    bad, good = batch.messages
    assert isinstance(bad, rpc.Malformed)
    assert good == rpc.Notification("m")


def test_the_longest_line_passes_and_a_longer_one_breaks_the_connection():
    line = rpc.encode(rpc.Notification("m")).rstrip()
    longest = line + b" " * (bounds.CONTROL_LINE_BYTES - len(line)) + b"\n"
    assert receive(longest) == ([rpc.Notification("m")], rpc.State.OPEN)
    found, state = receive(line + b"\n" + b" " + longest + line + b"\n")
    assert found[0] == rpc.Notification("m")
    assert [message.code for message in found[1:]] == [-32600]
    assert state is rpc.State.BROKEN


def test_an_endless_line_is_not_collected():
    connection = rpc.Connection()
    assert connection.receive_data(b"x" * (bounds.CONTROL_LINE_BYTES + 1))
    assert connection.receive_data(b"x" * 1000 + b"\n") == []
    assert not connection._buffer


def test_what_json_cannot_say_is_refused():
    with pytest.raises(ValueError):
        rpc.encode(rpc.Result(1, float("nan")))


def test_an_error_without_data_has_no_data_member():
    assert json.loads(rpc.encode(rpc.Failure(None, -32000, "no"))) == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32000, "message": "no"},
    }
