"""JSON-RPC 2.0 at the socket, by the words of its specification (https://www.jsonrpc.org/specification)."""

import json

import attrs
import pytest
import trio
from support.control_peer import connect, serving
from support.control_server import make_control

from codexd import bounds
from codexd.accounts.store.store import AccountStore
from codexd.control import dispatch

STATUS = "accounts.status"
CALL = {"jsonrpc": "2.0", "method": STATUS}
UNKNOWN = {"jsonrpc": "2.0", "method": "no.such"}


@pytest.fixture
def control(tmp_path):
    with AccountStore.open(tmp_path) as store:
        yield make_control(tmp_path, store)


class Wire:
    """A client that sees the bytes."""

    def __init__(self, stream):
        self.stream = stream
        self._buffer = b""

    async def send(self, value):
        await self.stream.send_all(value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n")

    async def receive(self):
        """The next line as JSON; None after a hang-up."""
        with trio.fail_after(10):
            while b"\n" not in self._buffer:
                try:
                    data = await self.stream.receive_some()
                except trio.BrokenResourceError:  # hung up on with bytes still unread
                    return None
                if not data:
                    return None
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        assert line.isascii()
        return json.loads(line)


@pytest.fixture
async def wire(control):
    async with serving(control):
        peer = await connect(control)
        yield Wire(peer.stream)


def answered_by(monkeypatch, name, answer):
    """Let ``answer`` be the function of a method."""
    method = attrs.evolve(dispatch.METHODS[name], answer=answer)
    monkeypatch.setattr(dispatch, "METHODS", dict(dispatch.METHODS) | {name: method})


def shape(reply):
    """What has to be exact in a reply: its id, and the code and kind of an error."""
    assert reply["jsonrpc"] == "2.0"
    assert set(reply) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    error = reply.get("error")
    if error is None:
        return reply["id"], None, None
    assert error["message"]
    return reply["id"], error["code"], error["data"]["kind"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (CALL | {"id": 1}, (1, None, None)),
        (CALL | {"id": 1, "params": {}}, (1, None, None)),
        (CALL | {"id": 1, "params": []}, (1, -32602, "request_invalid")),
        (CALL | {"id": 1, "params": {"x": 1}}, (1, -32602, "request_invalid")),
        (CALL | {"id": 1, "unknown": "member"}, (1, None, None)),
        (UNKNOWN | {"id": "1"}, ("1", -32601, "method_not_found")),
        (CALL | {"id": 1, "method": "accounts.switch", "params": {"account": "x"}}, (1, -32000, "account_not_found")),
        (CALL | {"id": 1, "method": "__class__"}, (1, -32601, "method_not_found")),
        (CALL | {"id": 1, "method": ""}, (1, -32601, "method_not_found")),
        (b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]\n', (None, -32700, "parse_error")),
        (b"\xff\n", (None, -32700, "parse_error")),
        (b'{"jsonrpc": "2.0", "method": 1, "params": "bar"}\n', (None, -32600, "invalid_request")),
        (
            b'[{"jsonrpc": "2.0", "method": "sum", "id": "1"}, {"jsonrpc": "2.0", "method"]\n',
            (None, -32700, "parse_error"),
        ),
        (b"[]\n", (None, -32600, "invalid_request")),
        (CALL | {"id": {}}, (None, -32600, "invalid_request")),
        (CALL | {"id": 1, "params": 5}, (None, -32600, "invalid_request")),
    ],
)
async def test_one_message_one_reply(wire, sent, expected):
    await wire.send(sent)
    assert shape(await wire.receive()) == expected


@pytest.mark.parametrize("id_", ["1", "", "\u2028\ud800", 0, 1, -1, 2**63, 10**40, 1.5, -0.0, 1e300, None])
async def test_the_reply_has_the_id_of_its_call(wire, id_):
    for message in (CALL, UNKNOWN, CALL | {"params": {"x": 1}}):
        await wire.send(message | {"id": id_})
        back = (await wire.receive())["id"]
        assert (type(back), back) == (type(id_), id_)


async def test_a_batch_is_answered_by_one_batch(wire):
    await wire.send(
        [
            CALL | {"id": "1"},
            CALL,
            UNKNOWN,
            CALL | {"id": 2, "params": {"x": 1}},
            {"foo": "boo"},
            UNKNOWN | {"id": None},
            {"jsonrpc": "2.0", "id": 3, "result": 7},
            [],
        ]
    )
    assert [shape(reply) for reply in await wire.receive()] == [
        ("1", None, None),
        (2, -32602, "request_invalid"),
        (None, -32600, "invalid_request"),
        (None, -32601, "method_not_found"),
        (None, -32600, "invalid_request"),
    ]


async def test_a_batch_of_what_is_invalid(wire):
    await wire.send([1, 2, 3])
    assert [shape(reply) for reply in await wire.receive()] == [(None, -32600, "invalid_request")] * 3


async def test_what_wants_no_answer_gets_none(wire):
    for message in (
        CALL,
        UNKNOWN,
        CALL | {"params": {"x": 1}},
        [CALL, UNKNOWN],
        [{"jsonrpc": "2.0", "id": 1, "result": 1}],
    ):
        await wire.send(message)
    await wire.send(CALL | {"id": "last"})
    assert (await wire.receive())["id"] == "last"


async def test_a_batch_has_a_largest_size(wire):
    await wire.send([CALL | {"id": number} for number in range(bounds.CONTROL_BATCH)])
    assert [reply["id"] for reply in await wire.receive()] == list(range(bounds.CONTROL_BATCH))
    await wire.send([CALL] * (bounds.CONTROL_BATCH + 1))
    refused = await wire.receive()
    assert shape(refused) == (None, -32600, "invalid_request")
    assert f"at most {bounds.CONTROL_BATCH}" in refused["error"]["message"]


async def test_a_batch_of_methods_that_never_wait_holds_up_nobody(control, monkeypatch):
    steps, seen = 0, []

    async def answer(_call, _params):
        seen.append(steps)

    async def work():
        nonlocal steps
        while True:
            await trio.lowlevel.checkpoint()
            steps += 1

    answered_by(monkeypatch, STATUS, answer)
    async with serving(control), trio.open_nursery() as nursery:
        nursery.start_soon(work)
        wire = Wire((await connect(control)).stream)
        await wire.send([CALL | {"id": number} for number in range(50)])
        await wire.receive()
        nursery.cancel_scope.cancel()
    assert len(set(seen)) > 10  # trio takes the tasks of a step in any order


async def test_the_longest_line_is_read_and_a_longer_one_ends_the_connection(wire):
    line = json.dumps(CALL | {"id": 1}).encode()
    await wire.send(line + b" " * (bounds.CONTROL_LINE_BYTES - len(line)) + b"\n")
    assert shape(await wire.receive()) == (1, None, None)
    await wire.send(line + b" " * (bounds.CONTROL_LINE_BYTES + 1 - len(line)) + b"\n")
    assert shape(await wire.receive()) == (None, -32600, "invalid_request")
    assert await wire.receive() is None


async def test_calls_before_the_line_that_is_too_long_are_answered(wire):
    await wire.send(json.dumps(CALL | {"id": 1}).encode() + b"\n" + b"x" * (bounds.CONTROL_LINE_BYTES + 1))
    assert {shape(await wire.receive()) for _ in range(2)} == {(1, None, None), (None, -32600, "invalid_request")}
    assert await wire.receive() is None


@pytest.mark.parametrize("unspeakable", [float("nan"), object(), {"deep": [float("inf")]}, b"bytes"])
async def test_a_result_that_json_cannot_say_is_that_calls_error(control, monkeypatch, caplog, unspeakable):
    async def answer(_call, _params):
        return unspeakable

    answered_by(monkeypatch, "accounts.list", answer)
    async with serving(control):
        wire = Wire((await connect(control)).stream)
        await wire.send([CALL | {"id": 1, "method": "accounts.list"}, CALL | {"id": 2}])
        assert [shape(reply) for reply in await wire.receive()] == [(1, -32603, "internal"), (2, None, None)]
    assert "accounts.list failed" in caplog.text


@pytest.mark.parametrize("since", [10**400, -(10**400)])
async def test_a_number_beyond_all_floats_is_refused(wire, since):
    await wire.send(CALL | {"id": 1, "method": "logs.history", "params": {"since": since}})
    reply = await wire.receive()
    assert shape(reply) == (1, -32602, "request_invalid")
    assert reply["error"]["message"] == "since: must be a number"
