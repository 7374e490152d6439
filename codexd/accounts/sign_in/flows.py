"""The sign-ins under way, which run independently of each other, and the outcomes of those that ended.

A code works only once, so its exchange is shielded from cancellation: the login must not be lost if the browser or the
client disconnects. The exchange is bounded by the timeouts in ``server``.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any, Protocol

import trio
from attrs import Factory, define, field, frozen

from codexd.accounts.sign_in.callback import (
    CALLBACK_HOSTS,
    CALLBACK_PORTS,
    Callback,
    CallbackPorts,
    ServeCallback,
    SignedIn,
    ask_to_cancel,
    parse_pasted,
    redirect_uri,
    refusal_of,
)
from codexd.accounts.sign_in.device_codes import DeviceCode, Grant
from codexd.accounts.sign_in.keeper import LoginKeeper
from codexd.accounts.sign_in.server import authorize_url, challenge_of, make_verifier
from codexd.errors import (
    LoginCancelled,
    LoginExpired,
    LoginFailed,
    LoginFlowNotFound,
    RequestInvalid,
)

log = logging.getLogger("codexd.sign_in")

FLOW_S = 900.0
"""How long a user has to sign in; the Codex CLI allows the same for a device code."""

REMEMBER_S = 600.0
"""How long codexd remembers the outcome of a sign-in."""


EXPIRED = "The sign-in was not completed in time. Start it again."
DEVICE_EXPIRED = (
    "The sign-in was not completed in time. If its page said that device codes are switched off for your account, "
    "enable them in ChatGPT's security settings (for a workspace, ask its administrator), or sign in with a browser: "
    "`codexctl accounts add`. Otherwise start it again."
)


class LoginMethod(Enum):
    """How a user signs in: in a browser here, in one elsewhere by pasting its final address, or by device code."""

    BROWSER = "browser"
    MANUAL = "manual"
    DEVICE = "device"


@frozen
class LoginFlow:
    """One sign-in under way. ``url`` is the page to open; ``user_code`` is the device code to type there, if any.

    ``expires_at``: when codexd gives up, in seconds since the epoch.
    """

    id: str
    method: LoginMethod
    url: str = field(repr=False)
    user_code: str | None = field(repr=False)
    expires_at: float


class CodeExchange(Protocol):
    """``server.TokenEndpoint``."""

    async def exchange(self, code: str, *, redirect_uri: str, verifier: str, now: float) -> dict[str, Any]: ...
    async def revoke(self, refresh_token: str) -> bool: ...


class DeviceCodes(Protocol):
    """``device_codes.DeviceEndpoint``."""

    async def request_code(self) -> DeviceCode: ...
    async def poll(self, code: DeviceCode) -> Grant | None: ...


@define(eq=False)
class _Flow:
    """``state`` and ``verifier`` are None for a device code: the server keeps them. ``port``: where codexd listens.

    ``waiting``: how many calls of ``wait`` are under way.
    """

    login: LoginFlow
    redirect_uri: str
    state: str | None = field(default=None, repr=False)
    verifier: str | None = field(default=None, repr=False)
    port: int | None = None
    outcome: SignedIn | LoginFailed | None = None
    ended_at: float = 0.0
    ended: trio.Event = Factory(trio.Event)
    exchanging: trio.Lock = Factory(trio.Lock)
    waiting: int = 0

    def result(self) -> SignedIn:
        """The outcome. Each caller gets its own exception: a shared one would collect all their tracebacks."""
        if isinstance(self.outcome, tuple):
            return self.outcome
        error = self.outcome or LoginFailed("The sign-in is still under way.")
        raise type(error)(str(error))

    async def ends_within(self, seconds: float) -> bool:
        with trio.move_on_after(max(0.0, seconds)):
            await self.ended.wait()
        return self.ended.is_set()


class LoginFlows:
    """Starts sign-ins and sees them through.

    ``clock`` returns seconds since the epoch.
    """

    def __init__(
        self,
        tokens: CodeExchange,
        devices: DeviceCodes,
        auth_url: str,
        keeper: LoginKeeper,
        serve_callback: ServeCallback,
        clock: Callable[[], float],
        ports: tuple[int, ...] = CALLBACK_PORTS,
        ask_to_cancel: Callable[[int], Awaitable[None]] = ask_to_cancel,
    ) -> None:
        self._tokens = tokens
        self._devices = devices
        self._auth_url = auth_url.rstrip("/")
        self._keeper = keeper
        self._clock = clock
        self._ports = ports
        self._host = CALLBACK_HOSTS[0]
        self._listeners = CallbackPorts(serve_callback, self._receive, self._cancel_at, ports, ask_to_cancel)
        self._flows: dict[str, _Flow] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Listen and poll for the sign-ins under way until cancelled, which ends them."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None
                self._end_all(_interrupted())

    @property
    def flows(self) -> tuple[LoginFlow, ...]:
        """The sign-ins under way, oldest first."""
        return tuple(flow.login for flow in self._flows.values() if flow.outcome is None)

    async def start(self, method: LoginMethod, port: int | None = None) -> LoginFlow:
        """Start a sign-in. ``port`` is where the browser returns to; by default the first free one.

        Raises:
            LoginFailed: there is no free port, or no device code.
            RequestInvalid: the sign-in server does not accept this port.
        """
        if port is not None and port not in self._ports:
            known = " or ".join(str(each) for each in self._ports)
            raise RequestInvalid("port", f"must be {known}: the sign-in server accepts no other")
        nursery = self._running()
        match method:
            case LoginMethod.BROWSER:
                taken = await self._listeners.take(nursery, port)
                return self._begin(self._make_page(method, taken, taken))
            case LoginMethod.MANUAL:
                return self._begin(self._make_page(method, port or self._ports[0], None))
            case LoginMethod.DEVICE:
                return self._begin_device(await self._devices.request_code())

    async def complete(self, flow_id: str, text: str) -> SignedIn:
        """Complete a browser or manual sign-in with what the user pasted. If that fails, the flow stays open.

        Raises:
            LoginFlowNotFound
            LoginFailed: another sign-in's state, a code that the server refuses, or the flow ended without a login.
            RequestInvalid: ``text`` contains no code.
        """
        flow = self._find(flow_id)
        if flow.outcome is not None:
            return flow.result()
        if flow.state is None:
            raise RequestInvalid(
                "flow", "a device sign-in does not take a pasted code; type its code on the page that it names"
            )
        callback = parse_pasted(text)
        if callback.state is not None and callback.state != flow.state:
            raise LoginFailed(
                "The pasted address belongs to another sign-in (its state differs). Open the page of this sign-in, and "
                "paste the address that the browser ends up at."
            )
        if callback.code is None:
            self._end(flow, refusal_of(callback))
            return flow.result()
        return await self._redeem(flow, callback.code, flow.verifier)

    async def wait(self, flow_id: str) -> SignedIn:
        """Wait until the sign-in ends, or return the outcome if it ended in the last 10 minutes.

        If this is cancelled, and nobody else waits, so is the sign-in: its terminal was closed.

        Raises:
            LoginFlowNotFound
            LoginFailed: it ended without a login; ``LoginExpired`` and ``LoginCancelled`` are subclasses.
        """
        flow = self._find(flow_id)
        flow.waiting += 1
        try:
            await flow.ended.wait()
        finally:
            flow.waiting -= 1
            if not flow.waiting:
                self._end(flow, LoginCancelled("The sign-in was cancelled: nobody waits for it any more."))
        return flow.result()

    def cancel(self, flow_id: str | None = None) -> int:
        """Cancel one sign-in, or all of them; return how many were under way.

        Raises:
            LoginFlowNotFound
        """
        error = LoginCancelled("The sign-in was cancelled.")
        if flow_id is None:
            return self._end_all(error)
        return int(self._end(self._find(flow_id), error))

    def _running(self) -> trio.Nursery:
        if self._nursery is None:
            raise LoginFailed(
                "Sign-ins can't be started right now because their task is not running. Try again in a moment; "
                "`codexctl status` lists it as 'sign-in flows'."
            )
        return self._nursery

    def _find(self, flow_id: str) -> _Flow:
        self._forget_old()
        if flow_id not in self._flows:
            raise LoginFlowNotFound(
                f"There is no sign-in {flow_id!r}; it may have ended a while ago. "
                "`codexctl accounts` lists the accounts, `codexctl accounts add` starts a new sign-in."
            )
        return self._flows[flow_id]

    def _forget_old(self) -> None:
        oldest = self._clock() - REMEMBER_S
        self._flows = {
            flow_id: flow for flow_id, flow in self._flows.items() if flow.outcome is None or flow.ended_at >= oldest
        }

    def _make_page(self, method: LoginMethod, port: int, listened: int | None) -> _Flow:
        """A sign-in whose browser returns to ``port`` on its own machine."""
        state, verifier, target = secrets.token_urlsafe(32), make_verifier(), redirect_uri(port, self._host)
        url = authorize_url(self._auth_url, redirect_uri=target, state=state, challenge=challenge_of(verifier))
        login = LoginFlow(_new_id(), method, url, None, self._clock() + FLOW_S)
        return _Flow(login, target, state, verifier, listened)

    def _begin_device(self, code: DeviceCode) -> LoginFlow:
        now = self._clock()
        expires_at = now + FLOW_S
        if code.expires_at is not None and code.expires_at > now:
            expires_at = min(code.expires_at, expires_at)
        login = LoginFlow(_new_id(), LoginMethod.DEVICE, code.url, code.user_code, expires_at)
        flow = _Flow(login, f"{self._auth_url}/deviceauth/callback")
        self._begin(flow)
        self._running().start_soon(self._poll, flow, code)
        return login

    def _begin(self, flow: _Flow) -> LoginFlow:
        self._forget_old()
        self._flows[flow.login.id] = flow
        if self._nursery is None:  # codexd stopped while the port or the code was being requested
            self._end(flow, _interrupted())
            raise _interrupted()
        self._nursery.start_soon(self._expire, flow)
        log.info("a sign-in was started", extra={"fields": _fields(flow)})
        return flow.login

    def _end(self, flow: _Flow, outcome: SignedIn | LoginFailed) -> bool:
        """End the sign-in; return whether it was still under way. Only the first outcome counts."""
        if flow.outcome is not None:
            return False
        flow.outcome, flow.ended_at = outcome, self._clock()
        flow.ended.set()
        if flow.state is not None and isinstance(outcome, LoginExpired | LoginCancelled):
            self._take_other_host(flow)
        if flow.port is not None:
            self._listeners.release(flow.port)
        if isinstance(outcome, LoginFailed):
            level = logging.INFO if isinstance(outcome, LoginCancelled) else logging.WARNING
            log.log(level, "a sign-in ended without a login: %s", outcome, extra={"fields": _fields(flow)})
        else:
            log.info("signed in", extra={"fields": {**_fields(flow), "account": outcome[0].label}})
        return True

    def _take_other_host(self, flow: _Flow) -> None:
        """Let the next sign-in return to the other host: nothing came back from this one, perhaps because of its host.

        The sign-in server shows its refusal of an address in the browser, where codexd can't see it.
        """
        self._host = next(host for host in CALLBACK_HOSTS if f"//{host}:" not in flow.redirect_uri)

    def _cancel_at(self, port: int) -> None:
        """Cancel the sign-ins whose browser returns to ``port``."""
        for flow in self._flows.values():
            if flow.port == port:
                self._end(flow, LoginCancelled("The sign-in was cancelled: another one needs its port."))

    def _end_all(self, outcome: LoginFailed) -> int:
        return sum(self._end(flow, outcome) for flow in self._flows.values())

    async def _expire(self, flow: _Flow) -> None:
        if not await flow.ends_within(flow.login.expires_at - self._clock()):
            self._end(flow, LoginExpired(DEVICE_EXPIRED if flow.state is None else EXPIRED))

    async def _poll(self, flow: _Flow, code: DeviceCode) -> None:
        """Ask for the user's approval until the flow ends."""
        while not await flow.ends_within(code.interval_s):
            try:
                grant = await self._devices.poll(code)
                if grant is not None:
                    await self._redeem(flow, grant.authorization_code, grant.verifier)
            except LoginFailed as error:
                self._end(flow, error)

    async def _receive(self, query: Mapping[str, str]) -> SignedIn:
        """Process what a browser brought back, for the sign-in that has its state."""
        callback = Callback.of(query)
        flow = next((each for each in self._flows.values() if each.state and each.state == callback.state), None)
        if flow is None:
            raise LoginFailed(
                "codexd is not waiting for this sign-in: it has ended, or it was started elsewhere. "
                "Start it again with `codexctl accounts add`."
            )
        if callback.code is None:
            self._end(flow, refusal_of(callback))
            return flow.result()
        try:
            return await self._redeem(flow, callback.code, flow.verifier)
        except LoginFailed as error:
            self._end(flow, error)
            raise

    async def _redeem(self, flow: _Flow, code: str, verifier: str | None) -> SignedIn:
        """Exchange a code and store the login. If several callers come at once, the first does it for all."""
        async with flow.exchanging:
            with trio.CancelScope(shield=True):
                if flow.outcome is None:
                    with self._keeper.room():
                        auth_json = await self._tokens.exchange(
                            code, redirect_uri=flow.redirect_uri, verifier=verifier or "", now=self._clock()
                        )
                    await self._settle(flow, auth_json)
        return flow.result()

    async def _settle(self, flow: _Flow, auth_json: dict[str, Any]) -> None:
        """Store the login, unless the flow has already ended: a cancelled sign-in must not leave a login behind."""
        if flow.outcome is None:
            self._end(flow, self._keeper.keep(auth_json))
        if isinstance(flow.outcome, LoginFailed):
            await self._tokens.revoke(auth_json["tokens"]["refresh_token"])


def _interrupted() -> LoginCancelled:
    return LoginCancelled("The sign-in was interrupted because codexd stopped. Start it again.")


def _new_id() -> str:
    return secrets.token_hex(4)


def _fields(flow: _Flow) -> dict[str, Any]:
    return {"flow": flow.login.id, "method": flow.login.method.value}
