"""Errors as the Messages API words them, chosen by what Claude Code does with each.

Source: anthropic-translation.md 2.5 and real-clients.md 2.7. ``x-should-retry: false`` stops Claude
Code, which else retries in silence for minutes; a context overflow in these very words makes it compact.
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
class AnthropicError:
    """An error as it goes out: HTTP status, Anthropic's type, the message, and headers of its own."""

    status: int
    type: str
    message: str
    headers: Mapping[str, str] = field(factory=dict)

    def to_body(self, request_id: str) -> dict[str, Any]:
        """The body of an error answer, and the data of an ``error`` event."""
        return {"type": "error", "error": {"type": self.type, "message": self.message}, "request_id": request_id}


SHORT_WAIT_S = 60

_STOP = {"x-should-retry": "false"}

_TABLE: Mapping[type[CodexdError], tuple[int, str, Mapping[str, str]]] = {
    errors.RequestInvalid: (400, "invalid_request_error", {}),
    errors.RequestTooLarge: (413, "request_too_large", {}),
    errors.KeyRejected: (401, "authentication_error", _STOP),
    errors.Forbidden: (403, "permission_error", {}),
    errors.ModelNotFound: (404, "not_found_error", {}),
    errors.KiloDisabled: (403, "permission_error", _STOP),
    errors.NoSuchRoute: (404, "not_found_error", {}),
    errors.MethodNotAllowed: (405, "invalid_request_error", {}),
    errors.UpgradeRefused: (426, "invalid_request_error", {}),
    errors.NoAccount: (401, "authentication_error", _STOP),
    errors.AccountDisabled: (401, "authentication_error", _STOP),
    errors.AccountNeedsLogin: (401, "authentication_error", _STOP),
    errors.RefreshUnavailable: (502, "api_error", {}),
    errors.ShuttingDown: (529, "overloaded_error", {}),
    errors.RequestCancelled: (400, "invalid_request_error", _STOP),
    errors.ContextOverflow: (400, "invalid_request_error", {}),
    errors.UsageLimitReached: (429, "rate_limit_error", _STOP),
    errors.AllAccountsLimited: (429, "rate_limit_error", _STOP),
    errors.RateLimited: (429, "rate_limit_error", {}),
    errors.Overloaded: (529, "overloaded_error", {}),
    errors.TokenRejected: (401, "authentication_error", _STOP),
    errors.PlanRefused: (402, "billing_error", {}),
    errors.WorkspaceRefused: (403, "permission_error", {}),
    errors.ModelRefused: (404, "not_found_error", {}),
    errors.KiloRefused: (403, "permission_error", _STOP),
    errors.PolicyRefused: (400, "invalid_request_error", {}),
    errors.StaleReasoning: (400, "invalid_request_error", {}),
    errors.UpstreamRejected: (400, "invalid_request_error", {}),
    errors.UpstreamTooLarge: (413, "request_too_large", {}),
    errors.UpstreamBlocked: (502, "api_error", {}),
    errors.UpstreamFailed: (502, "api_error", {}),
    errors.UpstreamTimeout: (504, "timeout_error", {}),
    errors.StreamBroken: (502, "api_error", {}),
}

_INTERNAL: tuple[int, str, Mapping[str, str]] = (500, "api_error", {})


def to_anthropic(error: CodexdError, *, now: float) -> AnthropicError:
    """``error`` for a Messages client.

    Args:
        error: any of our tree.
        now: seconds since the epoch.
    """
    row = next((_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE), _INTERNAL)
    wire = AnthropicError(row[0], row[1], str(error), dict(row[2]))
    match error:
        case errors.ContextOverflow():
            return evolve(wire, message=_overflow(error.prompt_tokens, error.window_tokens))
        case errors.UsageLimitReached():
            return _usage_limit(wire, error, now)
        case errors.ModelRefused():
            return evolve(wire, message=f"model: {error}")
        case errors.StaleReasoning():
            return evolve(wire, message=f"messages: invalid signature in thinking block ({error})")
        case UpstreamError(retry_after_s=float() as wait_s):
            return evolve(wire, headers={**wire.headers, "retry-after": str(max(1, math.ceil(wait_s)))})
    return wire


def for_claude_code(wire: AnthropicError, error: CodexdError) -> AnthropicError:
    """The same error where Claude Code shows our words only under another status.

    It makes 6 requests of a 400 and hides the text of a refusal; a 451 is shown at once, as it is.
    """
    return evolve(wire, status=451) if isinstance(error, errors.PolicyRefused | errors.RequestCancelled) else wire


def _overflow(prompt_tokens: int, window_tokens: int) -> str:
    """Claude Code reads both numbers out of this sentence, and compacts."""
    return f"prompt is too long: {max(prompt_tokens, window_tokens + 1)} tokens > {window_tokens} maximum"


def _usage_limit(wire: AnthropicError, error: UpstreamError, now: float) -> AnthropicError:
    """The limit of one account gets words of ours; that of all of them under rotation says already which opens when.

    Those are also short limits, for which a client may wait by itself.
    """
    if error.resets_at is not None:
        left_s = seconds_until(error.resets_at, now)
        may_wait = isinstance(error, errors.AllAccountsLimited) and left_s <= SHORT_WAIT_S
        wire = evolve(wire, headers={**({} if may_wait else wire.headers), "retry-after": str(left_s)})
    if isinstance(error, errors.AllAccountsLimited):
        return wire
    if error.resets_at is None:
        return evolve(wire, message=f"{error}. `codexctl status` shows when it resets.")
    message = (
        f"{error}. This ChatGPT account is open again {say_until(error.resets_at, now)}; "
        "`codexctl accounts switch NAME` changes to another account of yours."
    )
    return evolve(wire, message=message)
