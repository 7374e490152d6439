"""The simulated backend as an ASGI app: routes, and the life of one request.

Routes: ``/backend-api/codex/responses``, ``/backend-api/codex/models``, ``/backend-api/wham/usage``, and those of
``sign_in_routes.py`` and ``kilo.py``.
"""

from __future__ import annotations

import hashlib
import itertools
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

import trio

from codexd.simulator import limits
from codexd.simulator.agent import answer
from codexd.simulator.checks import check_body
from codexd.simulator.credentials import PERSONAL, SimulatedAccount
from codexd.simulator.events import ResponseContext, Step, play
from codexd.simulator.faults import Dice, FaultPlan
from codexd.simulator.faulty_server import serve_faulty
from codexd.simulator.kilo import KiloRoutes
from codexd.simulator.models import is_in_plan, make_etag, make_models_document
from codexd.simulator.options import Options
from codexd.simulator.prompts import PromptCache, count_tokens, flatten_prompt
from codexd.simulator.refusals import Refusal, detail, error, html, refuse_overflow, refuse_unserved
from codexd.simulator.scripts import (
    Reply,
    Script,
    ScriptBook,
    parse_reply,
    parse_script,
    parse_token_reply,
)
from codexd.simulator.sign_in import SignIn
from codexd.simulator.sign_in_routes import SignInRoutes
from codexd.simulator.wire import (
    BodyTooLarge,
    Ending,
    EventStream,
    Exchange,
    Holds,
    Outcome,
    Receive,
    Request,
    Send,
    finish_stream,
    read_body,
    redact_query,
    run_while_connected,
    send_refusal,
)
from codexd.translation.models.catalogue import BUILT_IN, ModelInfo
from codexd.web.server import bind, serve

_BACKEND_METHODS: Mapping[str, str] = {
    "/backend-api/codex/responses": "POST",
    "/backend-api/codex/models": "GET",
    "/backend-api/wham/usage": "GET",
}

_OVERFLOW: Mapping[str, Any] = {"failed": {"code": "context_length_exceeded"}}


class Simulator:
    """A Codex backend and its sign-in server.

    Args:
        clock: returns seconds since the epoch, for token expiry and rate-limit windows.
        options: the backend's switches.
        models: the models that it serves, which can be replaced while it runs.
        faults: what goes wrong on purpose; None: nothing.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        options: Options | None = None,
        models: Sequence[ModelInfo] = BUILT_IN.models,
        faults: FaultPlan | None = None,
    ) -> None:
        self.options = options or Options()
        self.requests: list[Request] = []
        """Every request so far, oldest first."""
        self.oauth = SignIn(clock=clock, options=self.options)
        self.limits = limits.PlanLimits(self.options)
        self.clock = clock
        self.faults = faults
        self.models = models
        self._book = ScriptBook(Script())
        self._cache = PromptCache()
        self._holds = Holds()
        self._sign_in = SignInRoutes(self.oauth, self.options, self._holds)
        self.kilo = KiloRoutes(self._holds)
        self._serials = itertools.count(1)
        self._usage_status: int | None = None

    def sign_in(
        self,
        email: str = "simulated@example.com",
        plan: str = "plus",
        access_expires_in_s: float = 864_000,
        *,
        workspace: str = PERSONAL,
    ) -> dict[str, Any]:
        """Sign in. Returns an ``auth.json`` like the Codex CLI's; it may be expired from the start.

        Each workspace of an email is a separate account with the same user.
        """
        return self.oauth.sign_in(email, plan, access_expires_in_s, workspace)

    def sign_in_again(self, email: str, plan: str, account_id: str) -> dict[str, Any] | None:
        """Sign in an account from an earlier run, whose tokens are lost.

        Returns None if the account is signed in already or belongs to a workspace, whose name can't be derived from
        its id.
        """
        is_personal = SimulatedAccount(email, plan).account_id == account_id
        return self.sign_in(email, plan) if is_personal and not self.oauth.knows(email) else None

    def load(self, script: Mapping[str, Any] | str | bytes) -> None:
        """Replace the script. Raises ValueError for an unknown key."""
        self._book = ScriptBook(parse_script(script))

    def load_token_replies(self, *replies: Mapping[str, Any]) -> None:
        """Set the replies to the next calls of ``/oauth/token``; later calls get the usual reply again."""
        self._sign_in.scripted = [parse_token_reply(reply) for reply in replies]

    def release(self, hold: str) -> None:
        """Let every answer that waits at ``hold``, now or later, go on."""
        self._holds.release(hold)

    def set_used(
        self,
        email: str,
        slot: str,
        percent: float,
        *,
        resets_in_s: int | None = None,
        limit: str = limits.MAIN_LIMIT,
        workspace: str = PERSONAL,
    ) -> None:
        """Set how much of an account's ``primary`` or ``secondary`` window is used.

        ``resets_in_s`` moves the end of the window. ``limit`` is the ``feature`` of a metered limit.
        """
        account = self.oauth.find(email, workspace)
        self.limits.set_used(
            account.account_id, account.plan, slot, percent, self.clock(), resets_in_s=resets_in_s, feature=limit
        )

    def restore(self, email: str, *, workspace: str = PERSONAL) -> None:
        """Give an account its whole quota back before its windows end."""
        self.limits.restore(self.oauth.find(email, workspace).account_id)

    def fail_usage(self, status: int | None) -> None:
        """Make the usage endpoint answer with this error status from now on; None ends that."""
        self._usage_status = status

    @property
    def faults_spec(self) -> str | None:
        """The SPEC of the faults."""
        return self.faults.text if self.faults is not None else None

    async def serve(self, listener: socket.socket) -> None:
        """Serve on ``listener`` until cancelled, with the faults if there are any."""
        if self.faults is None:
            await serve(self, [listener], stop=trio.Event(), drain_s=0.0)
        else:
            await serve_faulty(self, listener, Dice(self.faults))

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _answer_lifespan(receive, send)
            return
        request = self._record(scope)
        try:
            await self._route(request, receive, send)
        finally:
            request.finish(Outcome.CUT_BY_CLIENT)
            request.ended.set()

    def _record(self, scope: Mapping[str, Any]) -> Request:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope.get("query_string", b"").decode("latin-1")
        request = Request(scope["method"], scope["path"], redact_query(query), headers)
        self.requests.append(request)
        del self.requests[: -self.options.kept_requests]
        return request

    async def _route(self, request: Request, receive: Receive, send: Send) -> None:
        account = self._identify(request)
        try:
            raw = await read_body(receive, self.options.max_body_bytes)
        except BodyTooLarge:
            await send_refusal(send, request, html(413, "Request Entity Too Large"))
            return
        if raw is None:
            return
        exchange = Exchange(request, raw, receive, send)
        if self._sign_in.serves(request.path):
            await self._sign_in.serve(exchange)
        elif self.kilo.serves(request.path):
            await self.kilo.serve(exchange)
        elif request.path in _BACKEND_METHODS:
            allowed = request.method == _BACKEND_METHODS[request.path]
            await self._serve_backend(exchange, account, allowed=allowed)
        else:
            await exchange.refuse(detail("Not Found", status=404))

    async def _serve_backend(self, exchange: Exchange, account: SimulatedAccount | Refusal, *, allowed: bool) -> None:
        if not allowed:
            await exchange.refuse(detail("Method Not Allowed", status=405))
        elif isinstance(account, Refusal):
            await exchange.refuse(account)
        elif self.options.unserved is not None:
            await exchange.refuse(refuse_unserved(self.options.unserved))
        elif exchange.request.path == "/backend-api/codex/responses":
            await self._responses(exchange, account)
        elif exchange.request.path == "/backend-api/codex/models":
            await self._list_models(exchange, account)
        else:
            await self._usage(exchange, account)

    def _identify(self, request: Request) -> SimulatedAccount | Refusal:
        """The account that sent the request. Removes the token from the record."""
        account = self.oauth.check(request.headers)
        if "authorization" in request.headers:
            request.headers["authorization"] = self.oauth.name_bearer(request.headers["authorization"])
        return account

    async def _list_models(self, exchange: Exchange, account: SimulatedAccount) -> None:
        if self.options.models_status >= 400:
            status = self.options.models_status
            await exchange.refuse(error("The models can't be read now.", code="server_error", status=status))
            return
        version = parse_qs(exchange.request.query).get("client_version", [""])[0]
        document = make_models_document(self._models_of(account), self.options, version)
        etag = make_etag(document)
        if exchange.request.headers.get("if-none-match") == etag:
            await exchange.answer_unchanged({"etag": etag})
        else:
            await exchange.answer(document, {"etag": etag})

    def _models_of(self, account: SimulatedAccount) -> list[ModelInfo]:
        return [model for model in self.models if is_in_plan(model, account.plan, self.options)]

    async def _usage(self, exchange: Exchange, account: SimulatedAccount) -> None:
        if self._usage_status is not None:
            await exchange.refuse(error("The usage can't be read now.", code="server_error", status=self._usage_status))
            return
        owner = {"user_id": account.user_id, "account_id": account.account_id, "email": account.email}
        document = limits.make_usage_document(self._read_limits(account), self.clock())
        await exchange.answer({**owner, **document})

    def _read_limits(self, account: SimulatedAccount) -> limits.Standing:
        return self.limits.read(account.account_id, account.plan, self.clock())

    async def _responses(self, exchange: Exchange, account: SimulatedAccount) -> None:
        body = exchange.read_json()
        refusal = self._refuse(exchange.request, body, account)
        if refusal is not None:
            await exchange.refuse(refusal)
            return
        reply, context = self._prepare(body, account, exchange.raw)
        if isinstance(reply, Refusal):
            await exchange.refuse(reply)
            return

        async def respond() -> Ending:
            return await self._stream(reply, context, account, exchange)

        ending = await run_while_connected(exchange.receive, respond)
        await finish_stream(exchange.send, exchange.request, ending)

    def _refuse(self, request: Request, body: Any, account: SimulatedAccount) -> Refusal | None:
        refusal = check_body(
            body,
            account_id=account.account_id,
            options=self.options,
            models=self._models_of(account),
            headers=request.headers,
        )
        if refusal is not None:
            return refusal
        return limits.refuse_used_up(self._read_limits(account).for_model(body["model"]), self.clock())

    def _prepare(
        self, body: dict[str, Any], account: SimulatedAccount, raw: bytes
    ) -> tuple[Reply | Refusal, ResponseContext]:
        """The reply to a request that passed the checks, and what its stream needs to know."""
        prompt = flatten_prompt(body)
        cached_tokens = self._cache.read(account.account_id, body.get("prompt_cache_key"), prompt)
        input_tokens = count_tokens(prompt)
        model = next(model for model in self.models if model.slug == body["model"])
        window = self.options.context_window_tokens or model.context_window
        reply: Reply | Refusal
        if input_tokens <= window:
            reply = self._book.take(body) or parse_reply(answer(body))
        else:
            reply = parse_reply(_OVERFLOW) if self.options.overflow_in_stream else refuse_overflow()
        served = reply.model if isinstance(reply, Reply) and reply.model else model.slug
        standing = self._read_limits(account).for_model(model.slug)
        digest = hashlib.sha256(b"%d:" % next(self._serials) + raw).hexdigest()
        return reply, ResponseContext(
            response_id=f"resp_{digest[:32]}",
            model=served,
            created_at=int(self.clock()),
            account_id=account.account_id,
            request=body,
            input_tokens=input_tokens,
            cached_tokens=cached_tokens,
            delta_chars=self.options.delta_chars,
            terminal_output=self.options.terminal_output,
            preface=limits.make_events(standing) if self.options.rate_limits_event else (),
        )

    async def _stream(
        self, reply: Reply, context: ResponseContext, account: SimulatedAccount, exchange: Exchange
    ) -> Ending:
        await trio.sleep(reply.delay_s)
        headers = self._make_headers(context, account, exchange.request)
        if reply.error is not None:
            await self._holds.wait(reply.hold)
            return Ending(refusal=Refusal(reply.error.status, reply.error.body, {**headers, **reply.error.headers}))
        stream = EventStream(
            exchange.send,
            exchange.request,
            chunk_events=self.options.chunk_events,
            keepalive_interval_s=self.options.keepalive_interval_s,
            holds=self._holds,
        )
        await stream.begin(headers)
        if reply.raw is not None:
            await stream.write(reply.raw.encode())
            return Ending(cut=reply.cut)
        return await stream.play(self._spend(play(reply, context), context.request["model"], account))

    def _make_headers(self, context: ResponseContext, account: SimulatedAccount, request: Request) -> dict[str, str]:
        standing = self._read_limits(account).for_model(context.request["model"])
        catalogue = make_models_document(self._models_of(account), self.options, request.headers.get("version", ""))
        return {
            "openai-model": context.model,
            "x-request-id": f"req_{context.response_id.removeprefix('resp_')}",
            "x-models-etag": make_etag(catalogue),
            **limits.make_headers(standing, self.clock()),
        }

    def _spend(self, steps: Iterator[Step], model: str, account: SimulatedAccount) -> Iterator[Step]:
        """Pass the steps on, and count the tokens of the terminal event against the plan."""
        for step in steps:
            if isinstance(step, dict) and step.get("type") in ("response.completed", "response.incomplete"):
                usage = (step.get("response") or {}).get("usage") or {}
                tokens = usage.get("total_tokens", 0)
                self.limits.spend(account.account_id, account.plan, tokens, self.clock(), model=model)
            yield step


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    """Answer ASGI's lifespan messages: there is nothing to start or stop."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def serve_simulator(
    simulator: Simulator, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve until cancelled. The started value is the base URL, such as ``http://127.0.0.1:40619``.

    The sign-in server is at the base URL itself, the backend at ``<base>/backend-api``.
    """
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.serve, listener)
        task_status.started(f"http://127.0.0.1:{port}")
