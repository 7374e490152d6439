import gc
import json
import logging
import os
import stat
import sys
import tempfile
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
from support.control_peer import connect, serving
from support.control_server import NOW, auth_json, make_control

from codexd import bounds, rpc
from codexd.accounts.store.store import AccountStore
from codexd.api.records import LogEntry
from codexd.control.socket import _Session, bind_socket, serve_control
from codexd.record.logs import RingHandler


@pytest.fixture
def store(tmp_path):
    with AccountStore.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def control(tmp_path, store):
    return make_control(tmp_path, store)


async def is_alive(control):
    peer = await connect(control)
    return isinstance(await peer.call("daemon.status"), rpc.Result)


def log_entry(message, level="info", at=NOW):
    return LogEntry(0, at, level, "codexd.test", message, None, {})


async def test_history_is_filtered(control):
    for number, level in enumerate(["info", "error", "error"]):
        control.logs.append(log_entry(f"n{number}", level))
    async with serving(control):
        peer = await connect(control)
        found = (await peer.call("logs.history", {"level": "error", "limit": 1})).result["entries"]
    assert [entry["message"] for entry in found] == ["n2"]


async def test_new_clients_are_left_to_the_process_that_takes_over(control, nursery):
    leaving, listener = trio.Event(), bind_socket(control.places.socket)
    successor = trio.socket.from_stdlib_socket(listener.dup())
    await nursery.start(partial(serve_control, control, listener, leaving=leaving))
    before = await connect(control)
    assert isinstance(await before.call("daemon.status"), rpc.Result)
    leaving.set()
    await trio.testing.wait_all_tasks_blocked()
    await connect(control)
    with successor:
        taken, _ = await successor.accept()
        taken.close()
    assert isinstance(await before.call("daemon.status"), rpc.Result)
    nursery.cancel_scope.cancel()


async def test_follow_until_cancelled(control):
    control.logs.append(log_entry("past"))
    async with serving(control):
        peer = await connect(control)
        subscription = (await peer.call("logs.follow", {"limit": 5})).result["subscription"]
        control.logs.append(log_entry("new"))
        events = [await peer.receive() for _ in range(2)]
        assert {event.method for event in events} == {"logs.follow.event"}
        assert {event.params["subscription"] for event in events} == {subscription}
        assert [event.params["entry"]["message"] for event in events] == ["past", "new"]
        assert (await peer.call("subscription.cancel", {"subscription": subscription})).result == {
            "subscription": subscription
        }
        control.logs.append(log_entry("unseen"))
        again = await peer.call("subscription.cancel", {"subscription": subscription})
        assert again.code == -32602
        assert not control.logs._followers


async def test_the_follows_of_a_connection_are_limited(control):
    async with serving(control):
        peer = await connect(control)
        for _ in range(bounds.CONTROL_FOLLOWS):
            last = (await peer.call("logs.follow")).result
        refused = await peer.call("requests.follow")
        assert (refused.code, refused.data["kind"]) == (-32602, "request_invalid")
        assert not control.requests._followers
        await peer.call("subscription.cancel", last)
        assert (await peer.call("requests.follow")).result


async def test_a_follow_in_a_batch_begins_after_the_batch_is_answered(control):
    async with serving(control):
        peer = await connect(control)
        control.logs.append(log_entry("past"))
        call = {"jsonrpc": "2.0", "id": 1, "method": "logs.follow", "params": {"limit": 1}}
        status = {"jsonrpc": "2.0", "id": 2, "method": "daemon.status"}
        await peer.send(json.dumps([call, status]).encode() + b"\n")
        batch = await peer.receive()
        assert [reply.id for reply in batch.messages] == [1, 2]
        assert (await peer.receive()).params["entry"]["message"] == "past"


async def test_a_follower_that_does_not_read_holds_up_nobody_and_is_told(control):
    async with serving(control):
        lazy = await connect(control)
        await lazy.call("logs.follow")
        for number in range(6000):
            control.logs.append(log_entry(f"n{number} " + "x" * 500))
            if number % 100 == 0:
                await trio.lowlevel.checkpoint()
        assert await is_alive(control)
        control.logs.append(log_entry("last"))
        seen, missed = 0, 0
        while True:
            params = (await lazy.receive()).params
            missed += params.get("missed", 0)
            seen += "entry" in params
            if params.get("entry", {}).get("message") == "last":
                break
        assert missed > 0
        assert seen + missed == 6001


async def test_a_follow_ends_with_its_connection(control):
    async with serving(control):
        peer = await connect(control)
        await peer.call("logs.follow")
        await peer.stream.aclose()
        with trio.fail_after(10):
            while control.logs._followers:
                await trio.lowlevel.checkpoint()


async def test_nothing_is_left_of_connections_that_are_gone(control):
    async with serving(control):
        for number in range(60):
            stream = await trio.open_unix_socket(str(control.places.socket))
            calls = [rpc.Request(1, "logs.follow"), rpc.Request(2, "logs.history"), rpc.Notification("daemon.status")]
            await stream.send_all(b"".join(rpc.encode(call) for call in calls[: number % 4]) + b"{half a line")
            await trio.aclose_forcefully(stream)
        with trio.fail_after(10):
            while control.logs._followers or sessions():
                await trio.sleep(0.01)
                gc.collect()
        assert await is_alive(control)


def sessions():
    return [one for one in gc.get_objects() if isinstance(one, _Session)]


async def test_a_client_that_has_sent_all_still_gets_its_replies(control):
    async with serving(control):
        peer = await connect(control)
        await peer.send(rpc.encode(rpc.Request(1, "daemon.status")) + rpc.encode(rpc.Request(2, "logs.follow")))
        await peer.stream.send_eof()
        assert {(await peer.receive()).id for _ in range(2)} == {1, 2}
        assert await peer.receive() is None


async def test_errors_by_their_codes(control):
    async with serving(control):
        peer = await connect(control)
        unknown = await peer.call("no.such")
        positional = await peer.call("logs.history", [1])
        bad = await peer.call("logs.history", {"limit": "many"})
        await peer.send(b"{\n")
        garbage = await peer.receive()
        await peer.send(b"[]\n")
        empty = await peer.receive()
    assert (unknown.code, unknown.message) == (-32601, "There is no method no.such")
    assert positional.code == -32602
    assert (bad.code, bad.message, bad.data) == (
        -32602,
        "limit: must be an integer",
        {"kind": "request_invalid", "path": "limit"},
    )
    assert (garbage.code, garbage.id) == (-32700, None)
    assert (empty.code, empty.id) == (-32600, None)


async def test_notifications_and_replies_get_no_answer(control, store):
    store.add(auth_json(), now=NOW)
    home, _ = store.add(auth_json("home@example.com"), now=NOW)
    async with serving(control):
        peer = await connect(control)
        await peer.send(rpc.Notification("accounts.switch", {"account": "home"}))
        await peer.send(rpc.Notification("no.such"))
        await peer.send(rpc.Result(1, None))
        await peer.send(rpc.Batch((rpc.Notification("daemon.status"),)))
        assert isinstance(await peer.call("daemon.status"), rpc.Result)
    assert store.active == home


async def test_a_disk_that_refuses_is_told_and_logged(control, store, caplog):
    account, _ = store.add(auth_json(), now=NOW)
    folder = control.places.state_dir
    (folder / "accounts.json").unlink()
    (folder / "accounts.json").mkdir()  # os.replace onto a folder fails, for root too
    async with serving(control):
        peer = await connect(control)
        reply = await peer.call("accounts.switch", {"account": account.id})
    assert (reply.code, reply.data) == (-32000, {"kind": "os_error"})
    assert "accounts.switch failed" in caplog.text


async def test_a_bug_is_an_internal_error_and_a_log_entry(control, store, caplog):
    buggy = attrs.evolve(control, usage=None)
    async with serving(buggy):
        peer = await connect(buggy)
        reply = await peer.call("usage.summary")
        assert (reply.code, reply.data) == (-32603, {"kind": "internal"})
        assert isinstance(await peer.call("accounts.list"), rpc.Result)
    assert "AttributeError" not in reply.message
    assert "AttributeError" in caplog.text


async def test_a_line_without_end_closes_that_connection_only(control):
    async with serving(control):
        peer = await connect(control)
        with trio.move_on_after(10), pytest.raises(trio.BrokenResourceError):
            while True:
                await peer.send(b"x" * 65536)
        assert (await peer.receive()).code == -32600
        assert await peer.receive() is None
        assert await is_alive(control)


async def test_many_calls_of_one_connection_that_reads_late(control):
    control.logs.append(log_entry("x" * 20_000))
    calls = b"".join(rpc.encode(rpc.Request(number, "logs.history")) for number in range(500))
    async with serving(control):
        peer = await connect(control)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send, calls)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert await is_alive(control)
            assert {(await peer.receive()).id for _ in range(500)} == set(range(500))


async def test_logging_of_the_server_itself_reaches_a_follower(control):
    """The follow logs what the control socket logs, without feeding itself."""
    handler, log = RingHandler(control.logs), logging.getLogger("codexd")
    log.addHandler(handler)
    buggy = attrs.evolve(control, usage=None)
    try:
        async with serving(buggy):
            peer = await connect(buggy)
            await peer.call("logs.follow", {"level": "error"})
            other = await connect(buggy)
            await other.call("usage.summary")
            assert (await peer.receive()).params["entry"]["message"] == "usage.summary failed"
    finally:
        log.removeHandler(handler)


async def test_the_socket_is_private_and_gone_at_the_end(control):
    path = control.places.socket
    async with serving(control):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_a_successors_file_is_left(control):
    path = control.places.socket
    async with serving(control):
        path.unlink()
        successor = bind_socket(path)
    with successor:
        assert path.exists()


@pytest.fixture
def shared_folder():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
async def test_another_user_is_turned_away(store, caplog, shared_folder):
    control = make_control(shared_folder, store)
    async with serving(control):
        control.places.socket.chmod(0o666)
        script = (
            "import os, socket, sys; os.setgid(65534); os.setuid(65534)\n"
            "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
            "try: s.sendall(b'{}\\n'); print(s.recv(100))\n"
            "except OSError: print(b'')\n"
        )
        command = [sys.executable, "-c", script, str(control.places.socket)]
        done = await trio.run_process(command, capture_stdout=True)
        assert done.stdout == b"b''\n"
        assert await is_alive(control)
    assert "uid 65534" in caplog.text
