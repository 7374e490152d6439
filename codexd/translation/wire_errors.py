"""Errors as OpenAI's APIs word them: Chat Completions, Responses, and the models list of their clients.

Source: anthropic-translation.md 6.4. OpenAI's SDKs repeat 408, 409, 429 and 5xx unless ``x-should-retry`` is false.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen

from codexd import errors
from codexd.errors import CodexdError, UpstreamError
from codexd.translation.moments import say_until, seconds_until


@frozen
class OpenAIError:
    """An error as it goes out: HTTP status, OpenAI's type, code and parameter, the message, headers of its own."""

    status: int
    type: str
    message: str
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(factory=dict)
    more: Mapping[str, Any] = field(factory=dict)
    """Fields beside OpenAI's own, such as the ``resets_at`` of a ChatGPT plan, which the Codex CLI reads."""

    def to_error(self) -> dict[str, Any]:
        """The ``error`` object."""
        return {"message": self.message, "type": self.type, "param": self.param, "code": self.code, **self.more}

    def to_body(self, request_id: str) -> dict[str, Any]:  # noqa: ARG002 - OpenAI has the id in a header only
        return {"error": self.to_error()}


_STOP = {"x-should-retry": "false"}
_Row = tuple[int, str, str | None, Mapping[str, str]]

_TABLE: Mapping[type[CodexdError], _Row] = {
    errors.RequestInvalid: (400, "invalid_request_error", None, {}),
    errors.RequestTooLarge: (413, "invalid_request_error", "request_too_large", {}),
    errors.KeyRejected: (401, "invalid_request_error", "invalid_api_key", _STOP),
    errors.Forbidden: (403, "permission_error", None, {}),
    errors.ModelNotFound: (404, "invalid_request_error", "model_not_found", {}),
    errors.KiloDisabled: (403, "permission_error", "kilo_disabled", _STOP),
    errors.NoSuchRoute: (404, "invalid_request_error", "unknown_url", {}),
    errors.MethodNotAllowed: (405, "invalid_request_error", "method_not_supported", {}),
    errors.UpgradeRefused: (426, "invalid_request_error", "upgrade_refused", {}),
    errors.NoAccount: (401, "invalid_request_error", "no_account", _STOP),
    errors.AccountDisabled: (401, "invalid_request_error", "account_disabled", _STOP),
    errors.AccountNeedsLogin: (401, "invalid_request_error", "account_needs_login", _STOP),
    errors.RefreshUnavailable: (502, "server_error", "refresh_unavailable", {}),
    errors.ShuttingDown: (503, "server_error", "shutting_down", {}),
    errors.RequestCancelled: (400, "invalid_request_error", "request_cancelled", _STOP),
    errors.ContextOverflow: (400, "invalid_request_error", "context_length_exceeded", {}),
    errors.UsageLimitReached: (429, "usage_limit_reached", "usage_limit_reached", _STOP),
    errors.RateLimited: (429, "rate_limit_error", "rate_limit_exceeded", {}),
    errors.Overloaded: (503, "server_error", "server_is_overloaded", {}),
    errors.TokenRejected: (401, "invalid_request_error", "token_rejected", _STOP),
    errors.PlanRefused: (429, "insufficient_quota", "insufficient_quota", _STOP),
    errors.WorkspaceRefused: (403, "permission_error", None, {}),
    errors.ModelRefused: (404, "invalid_request_error", "model_not_found", {}),
    errors.KiloRefused: (403, "permission_error", "kilo_refused", _STOP),
    errors.PolicyRefused: (400, "invalid_request_error", "invalid_prompt", {}),
    errors.StaleReasoning: (400, "invalid_request_error", "invalid_encrypted_content", {}),
    errors.UpstreamRejected: (400, "invalid_request_error", None, {}),
    errors.UpstreamTooLarge: (413, "invalid_request_error", "request_too_large", {}),
    errors.UpstreamBlocked: (502, "server_error", "upstream_blocked", {}),
    errors.UpstreamFailed: (502, "server_error", "server_error", {}),
    errors.UpstreamTimeout: (504, "server_error", "upstream_timeout", {}),
    errors.StreamBroken: (502, "server_error", "stream_disconnected", {}),
}

_INTERNAL: _Row = (500, "server_error", "internal_error", {})


def to_openai(error: CodexdError, *, now: float) -> OpenAIError:
    """``error`` for a client of one of OpenAI's APIs; ``now`` in seconds since the epoch."""
    row = next((_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE), _INTERNAL)
    wire = OpenAIError(row[0], row[1], str(error), row[2], headers=row[3])
    match error:
        case errors.RequestInvalid():
            return evolve(wire, param=error.path or None)
        case errors.UsageLimitReached():
            return _usage_limit(wire, error, now)
        case UpstreamError():
            wait = error.retry_after_s
            headers = wire.headers if wait is None else {**wire.headers, "retry-after": str(max(1, math.ceil(wait)))}
            return evolve(wire, code=error.code or wire.code, headers=headers)
    return wire


def to_codex(error: CodexdError, *, now: float) -> OpenAIError:
    """``error`` for the Codex CLI, whose own login is not meant where codexd has none.

    After a 401 it refreshes that login, asks again, and so on, five times, and then tells of the refresh only. After
    a 400 with this code it shows the message and stops (0.169.0).
    """
    wire = to_openai(error, now=now)
    return evolve(wire, status=400, code="invalid_prompt") if wire.status == 401 else wire


def _usage_limit(wire: OpenAIError, error: UpstreamError, now: float) -> OpenAIError:
    if error.resets_at is None:
        return evolve(wire, message=f"{error}. `codexctl status` shows when it resets.")
    left_s = seconds_until(error.resets_at, now)
    wire = evolve(
        wire,
        headers={**wire.headers, "retry-after": str(left_s)},
        more={"resets_at": math.ceil(error.resets_at), "resets_in_seconds": left_s},
    )
    if isinstance(error, errors.AllAccountsLimited):
        return wire  # it says already which account opens when
    message = (
        f"{error}. This ChatGPT account is open again {say_until(error.resets_at, now)}; "
        "`codexctl accounts switch NAME` changes to another account of yours."
    )
    return evolve(wire, message=message)
