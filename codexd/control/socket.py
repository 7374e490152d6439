"""The control socket's connections: JSON-RPC 2.0 for the daemon's own user.

A connection is a nursery. Its requests run concurrently and share one send lock; what goes wrong in it ends it
and nothing else.
"""

from __future__ import annotations

import logging
import os
import socket
from functools import partial
from typing import Any

import trio

from codexd import rpc
from codexd.api.convert import read_params, to_json
from codexd.api.methods import METHODS
from codexd.control.method import Call, Control, Following
from codexd.control.methods import HANDLERS
from codexd.control.socket_file import peer_uid, removed_at_end
from codexd.errors import CodexdError, RequestInvalid

log = logging.getLogger("codexd.control")

MAX_CALLS = 64
"""Calls of one connection under way; the next waits in the socket."""

MAX_FOLLOWS = 100
"""Of one connection: each log entry is offered to every follow at once."""

MAX_BATCH = 100
"""Messages of one batch: its replies are held in memory until the last is there."""

FINISH_S = 5.0
"""How long calls may still run when their client has stopped sending: it may be waiting for the replies."""


async def serve_control(
    control: Control,
    listener: socket.socket,
    *,
    task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer on ``listener`` until cancelled, then remove its file."""
    with removed_at_end(listener):
        listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(listener))]
        await trio.serve_listeners(partial(_serve_connection, control), listeners, task_status=task_status)


async def _serve_connection(control: Control, stream: trio.SocketStream) -> None:
    """The door: whatever goes wrong behind it ends this connection, and never the daemon."""
    try:
        if (uid := peer_uid(stream.socket)) not in (os.geteuid(), 0):
            log.warning("refused a control client of another user (uid %d)", uid)
            return
        async with trio.open_nursery() as nursery:
            await _Session(control, stream, nursery).run()
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        log.debug("a control client hung up before its replies")
    except* Exception:
        log.exception("a control connection failed")


class _Session:
    """One connection: its calls under way and its follows."""

    def __init__(self, control: Control, stream: trio.SocketStream, nursery: trio.Nursery) -> None:
        self.control = control
        self._stream = stream
        self._nursery = nursery
        self._send_lock = trio.Lock()
        self._slots = trio.Semaphore(MAX_CALLS)
        self._followers: dict[int, Following] = {}
        self._last_subscription = 0
        self._ended = False

    async def run(self) -> None:
        """Read and answer until the client stops sending, then give its last calls a moment."""
        try:
            await self._read()
        finally:
            self._ended = True
            for follower in self._followers.values():
                follower.close()
            self._nursery.cancel_scope.deadline = trio.current_time() + FINISH_S

    def follow(self, method: str, follower: Following, replied: trio.Event) -> int:
        """Send what ``follower`` gives as notifications, once the call has its reply; the subscription.

        Raises:
            RequestInvalid: the connection has too many already.
        """
        if len(self._followers) >= MAX_FOLLOWS:
            follower.close()
            raise RequestInvalid("subscription", f"{MAX_FOLLOWS} of this connection are open; cancel one first")
        self._last_subscription += 1
        self._followers[self._last_subscription] = follower
        if self._ended:  # the client went away while this call waited for its turn
            follower.close()
        self._nursery.start_soon(self._pump, f"{method}.event", self._last_subscription, follower, replied)
        return self._last_subscription

    def cancel(self, subscription: int) -> bool:
        """End a follow; False when there is none of that number."""
        follower = self._followers.pop(subscription, None)
        if follower is not None:
            # Not by a cancel scope: that could cut a notification in the middle of its line.
            follower.close()
        return follower is not None

    async def _read(self) -> None:
        connection = rpc.Connection()
        async for data in self._stream:
            for message in connection.receive_data(bytes(data)):
                await self._slots.acquire()
                self._nursery.start_soon(self._handle, message)
            if connection.state is rpc.State.BROKEN:
                return

    async def _handle(self, message: rpc.Message) -> None:
        try:
            call = Call(self.control, self, trio.Event())
            if reply := await _reply_to(call, message):
                await self._send(reply)
            call.replied.set()
        finally:
            self._slots.release()

    async def _pump(self, event_name: str, subscription: int, follower: Following, replied: trio.Event) -> None:
        await replied.wait()
        async for event in follower:
            params = {"subscription": subscription, **to_json(event)}
            await self._send(rpc.encode(rpc.Notification(event_name, params)))

    async def _send(self, line: bytes) -> None:
        async with self._send_lock:
            await self._stream.send_all(line)


async def _reply_to(call: Call, message: rpc.Message) -> bytes | None:
    """The line that answers ``message``; None when it wants no answer."""
    match message:
        case rpc.Batch(messages) if len(messages) > MAX_BATCH:
            problem = f"Invalid request: a batch of {len(messages)} messages; at most {MAX_BATCH} may come in one"
            return rpc.encode(rpc.Malformed(rpc.ErrorCode.INVALID_REQUEST, problem))
        case rpc.Batch(messages):
            replies = []
            for one in messages:
                await trio.lowlevel.checkpoint()  # most methods never wait, and streams are not to wait for them all
                replies += [reply] if (reply := await _reply_to_one(call, one)) else []
            return rpc.join_batch(replies) if replies else None
        case _:
            return await _reply_to_one(call, message)


async def _reply_to_one(call: Call, message: rpc.Single) -> bytes | None:
    match message:
        case rpc.Request(id_, name, params):
            return await _answer(call, id_, name, params)
        case rpc.Notification(name, params):
            await _answer(call, None, name, params)
        case rpc.Malformed():
            return rpc.encode(message)
    return None  # a reply: we called nothing, and to answer an answer would never end


async def _answer(call: Call, id_: rpc.Id, name: str, params: rpc.Params | None) -> bytes:
    """The reply of one call, encoded here: what JSON can't say is a bug of this one method too."""
    method = METHODS.get(name)
    if method is None:
        text = f"There is no method {name[:80]}"
        return _refuse(id_, rpc.ErrorCode.METHOD_NOT_FOUND, text, "method_not_found")
    try:
        result = await HANDLERS[name](call, read_params(method, params))
        return rpc.encode(rpc.Result(id_, to_json(result)))
    except RequestInvalid as error:
        return _refuse(id_, rpc.ErrorCode.INVALID_PARAMS, str(error), error.kind, path=error.path)
    except CodexdError as error:
        return _refuse(id_, rpc.ErrorCode.REFUSED, str(error), error.kind)
    except OSError as error:
        log.exception("%s failed", name)
        return _refuse(id_, rpc.ErrorCode.REFUSED, f"{name} failed: {error}", "os_error")
    except Exception:  # a bug in one method is that call's error reply
        log.exception("%s failed", name)
        text = f"{name} failed inside codexd; its log says more"
        return _refuse(id_, rpc.ErrorCode.INTERNAL_ERROR, text, CodexdError.kind)


def _refuse(id_: rpc.Id, code: rpc.ErrorCode, text: str, kind: str, **more: str) -> bytes:
    return rpc.encode(rpc.Failure(id_, code, text, {"kind": kind, **more}))
