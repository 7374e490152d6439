"""The control socket: JSON-RPC 2.0 for the daemon's own user, and one function per method.

A connection is a nursery. Its requests run concurrently and share one send lock; what goes wrong in it ends it
and nothing else.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import trio
from attrs import field, frozen

from codexd import __version__, api, rpc
from codexd.accounts.describe import account_state
from codexd.accounts.imports import codex_auth_path, read_codex_auth
from codexd.accounts.limits import Window
from codexd.accounts.model import Account
from codexd.accounts.store import AccountStore
from codexd.accounts.tracker import LimitTracker
from codexd.control_socket import bind_socket, peer_uid, removed_at_end
from codexd.errors import AccountNeedsLogin, CodexdError, RequestInvalid
from codexd.paths import Places
from codexd.record.logs import Follower, LogRing
from codexd.record.requests import RequestLog, RequestRecord
from codexd.settings import Settings
from codexd.supervisor import Supervisor

__all__ = ["Control", "bind_socket", "serve_control"]

log = logging.getLogger("codexd.control")

MAX_CALLS = 64
"""Calls of one connection under way; the next waits in the socket."""

FINISH_S = 5.0
"""How long calls may still run when their client has stopped sending: it may be waiting for the replies."""


@frozen(eq=False)
class Control:
    """What the methods work on. ``clock`` gives seconds since the epoch."""

    store: AccountStore
    tracker: LimitTracker
    supervisor: Supervisor
    logs: LogRing
    requests: RequestLog
    places: Places
    settings: Settings
    addresses: tuple[str, ...]
    simulated: bool
    started_at: float
    clock: Callable[[], float]
    environ: Mapping[str, str] = field(repr=False)


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
        self._followers: dict[int, Follower] = {}
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

    def follow(self, method: str, follower: Follower, replied: trio.Event) -> int:
        """Send what ``follower`` gives as notifications, once the call has its reply; the subscription."""
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
            call = Call(self, trio.Event())
            reply = await _reply_to(call, message)
            if reply is not None:
                await self._send(reply)
            call.replied.set()
        finally:
            self._slots.release()

    async def _pump(self, event_name: str, subscription: int, follower: Follower, replied: trio.Event) -> None:
        await replied.wait()
        async for event in follower:
            params = {"subscription": subscription, **api.to_json(event)}
            await self._send(rpc.Notification(event_name, params))

    async def _send(self, message: rpc.Message) -> None:
        async with self._send_lock:
            await self._stream.send_all(rpc.encode(message))


@frozen
class Call:
    """What a method is told of the call that it answers. ``replied`` is set when the reply has been sent."""

    session: _Session
    replied: trio.Event

    @property
    def control(self) -> Control:
        return self.session.control


async def _reply_to(call: Call, message: rpc.Message) -> rpc.Message | None:
    match message:
        case rpc.Batch(messages):
            replies = [reply for one in messages if (reply := await _reply_to_one(call, one))]
            return rpc.Batch(tuple(replies)) if replies else None
        case _:
            return await _reply_to_one(call, message)


async def _reply_to_one(call: Call, message: rpc.Single) -> rpc.Single | None:
    match message:
        case rpc.Request(id_, name, params):
            return await _answer(call, id_, name, params)
        case rpc.Notification(name, params):
            await _answer(call, None, name, params)
        case rpc.Malformed():
            return message.failure
    return None  # a reply: we called nothing, and to answer an answer would never end


async def _answer(call: Call, id_: rpc.Id, name: str, params: rpc.Params | None) -> rpc.Result | rpc.Failure:
    """The reply of one call. Every exception becomes an error reply here."""
    method = api.METHODS.get(name)
    if method is None:
        return rpc.Failure(id_, rpc.ErrorCode.METHOD_NOT_FOUND, f"There is no method {name[:80]}")
    try:
        result = await HANDLERS[name](call, api.read_params(method, params))
    except RequestInvalid as error:
        return rpc.Failure(id_, rpc.ErrorCode.INVALID_PARAMS, str(error), {"kind": error.kind, "path": error.path})
    except CodexdError as error:
        return rpc.Failure(id_, rpc.ErrorCode.REFUSED, str(error), {"kind": error.kind})
    except OSError as error:
        log.exception("%s failed", name)
        return rpc.Failure(id_, rpc.ErrorCode.REFUSED, f"{name} failed: {error}", {"kind": "os_error"})
    except Exception:  # a bug in one method is that call's error reply
        log.exception("%s failed", name)
        text = f"{name} failed inside codexd; its log says more"
        return rpc.Failure(id_, rpc.ErrorCode.INTERNAL_ERROR, text, {"kind": CodexdError.kind})
    return rpc.Result(id_, api.to_json(result))


async def daemon_status(call: Call, _params: api.NoParams) -> api.DaemonStatus:
    control = call.control
    active = control.store.active
    return api.DaemonStatus(
        version=__version__,
        pid=os.getpid(),
        started_at=control.started_at,
        addresses=control.addresses,
        simulated=control.simulated,
        tasks=tuple(
            api.TaskInfo(task.name, task.state.value, task.restarts, task.last_error)
            for task in control.supervisor.tasks
        ),
        active_account=active.name if active else None,
        streams_in_flight=control.requests.in_flight,
        settings_path=str(control.places.settings),
        problems=control.store.problems,
    )


async def accounts_list(call: Call, _params: api.NoParams) -> api.AccountList:
    store = call.control.store
    active = store.active.id if store.active else None
    return api.AccountList(
        accounts=tuple(_account_info(call.control, account, active) for account in store.accounts), active=active
    )


def _account_info(control: Control, account: Account, active: str | None) -> api.AccountInfo:
    try:
        tokens = control.store.tokens(account.id)
    except AccountNeedsLogin:  # its file can't be read; store.problems says why
        tokens = None
    windows = control.tracker.windows(account.id)
    return api.AccountInfo(
        id=account.id,
        email=account.email,
        plan=account.plan,
        active=account.id == active,
        state=account_state(account, tokens, windows, control.clock()).value,
        reason=account.needs_login,
        expires_at=tokens.expires_at if tokens else None,
        added_at=account.added_at,
        last_used=account.last_used_at,
        quota=tuple(_quota_window(window) for window in windows),
        simulated=account.simulated,
    )


def _quota_window(window: Window) -> api.QuotaWindow:
    return api.QuotaWindow(window.name, window.used_percent, window.window_s, window.resets_at)


def _account_ref(account: Account) -> api.AccountRef:
    return api.AccountRef(account.id, account.email, account.plan, account.simulated)


CODEX_NOTE = (
    "The Codex CLI and codexd now hold the same login, and a refresh token works only once: after codexd's first "
    "refresh the Codex CLI will ask for a new login. Run `codex login` again when you want to use both; the new login "
    "does not touch codexd's."
)


async def accounts_import(call: Call, params: api.AccountImport) -> api.ImportedAccounts:
    control = call.control
    path, note = _import_source(params.source, control.environ)
    account, is_new = control.store.add(read_codex_auth(path), now=control.clock(), simulated=control.simulated)
    log.info("account imported", extra={"fields": {"account": account.email, "new": is_new}})
    ref = (_account_ref(account),)
    return api.ImportedAccounts(added=ref if is_new else (), updated=() if is_new else ref, note=note)


def _import_source(source: str, environ: Mapping[str, str]) -> tuple[Path, str | None]:
    """The file that ``source`` means, and what its user should know."""
    codex_path = codex_auth_path(environ)
    path = codex_path if source == "codex" else Path(source)
    if not path.is_absolute():
        raise RequestInvalid("source", "must be codex or the absolute path of an auth.json")
    if path.is_dir():  # a CODEX_HOME
        path /= "auth.json"
    return path, CODEX_NOTE if path.resolve() == codex_path.resolve() else None


async def accounts_switch(call: Call, params: api.AccountChoice) -> api.SwitchedAccount:
    store = call.control.store
    account = store.switch(store.find(params.account).id)
    log.info("switched account", extra={"fields": {"account": account.email}})
    return api.SwitchedAccount(_account_ref(account))


async def logs_history(call: Call, params: api.LogsHistory) -> api.LogEntries:
    return api.LogEntries(tuple(call.control.logs.history(params, params.limit)))


async def logs_follow(call: Call, params: api.LogsFollow) -> api.Subscription:
    follower = call.control.logs.subscribe(params, params.limit)
    return api.Subscription(call.session.follow("logs.follow", follower, call.replied))


async def requests_list(call: Call, params: api.RequestsList) -> api.RequestList:
    records = call.control.requests.records
    newest = records[-params.limit :] if params.limit else []
    return api.RequestList(tuple(_request_info(record) for record in newest))


def _request_info(record: RequestRecord) -> api.RequestInfo:
    usage = record.usage
    tokens = (
        api.TokenCounts(usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens)
        if usage
        else None
    )
    state = "running" if record.ended is None else "failed" if record.error else "done"
    return api.RequestInfo(
        id=record.id,
        client=record.client,
        model=record.model,
        model_used=record.model_used,
        account=record.account,
        state=state,
        started_at=record.started_at,
        ttft_ms=record.ttft_ms,
        duration_ms=record.duration_ms,
        tokens=tokens,
        status=record.status,
        error=record.error,
        losses=tuple(api.LossInfo(loss.kind.value, loss.path, loss.note) for loss in record.losses),
    )


async def subscription_cancel(call: Call, params: api.Subscription) -> api.Subscription:
    if not call.session.cancel(params.subscription):
        raise RequestInvalid("subscription", f"{params.subscription} is none of this connection's")
    return params


Handler: TypeAlias = Callable[[Call, Any], Awaitable[object]]

HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        "daemon.status": daemon_status,
        "accounts.list": accounts_list,
        "accounts.import": accounts_import,
        "accounts.switch": accounts_switch,
        "logs.history": logs_history,
        "logs.follow": logs_follow,
        "requests.list": requests_list,
        "subscription.cancel": subscription_cancel,
    }
)
"""One function per method of ``api.METHODS``."""
