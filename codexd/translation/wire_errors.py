"""Errors as clients see them: one table with the status, type and code of each error in both API families.

Each row is chosen by what clients do with the error. Anthropic's and OpenAI's SDKs repeat 408, 409, 429 and 5xx unless
``x-should-retry`` is false; Claude Code even repeats some 4xx, silently and for minutes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import evolve, field, frozen

from codexd import errors
from codexd.errors import CodexdError, UpstreamError


@frozen
class AnthropicError:
    """An error of the Messages API: HTTP status, Anthropic's type, the message, and headers."""

    status: int
    type: str
    message: str
    headers: Mapping[str, str] = field(factory=dict)

    def to_body(self, request_id: str) -> dict[str, Any]:
        """The body of an error answer, and the data of an ``error`` event."""
        return {"type": "error", "error": {"type": self.type, "message": self.message}, "request_id": request_id}


@frozen
class OpenAIError:
    """An error of OpenAI's APIs: HTTP status, OpenAI's type, code and parameter, the message, and headers."""

    status: int
    type: str
    message: str
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(factory=dict)
    more: Mapping[str, Any] = field(factory=dict)
    """Fields in addition to OpenAI's own, such as the ``resets_at`` of a ChatGPT plan, which the Codex CLI reads."""

    def to_error(self) -> dict[str, Any]:
        """The ``error`` object."""
        return {"message": self.message, "type": self.type, "param": self.param, "code": self.code, **self.more}

    def to_body(self, request_id: str) -> dict[str, Any]:  # noqa: ARG002 - OpenAI has the id in a header only
        return {"error": self.to_error()}


@frozen
class Row:
    """How one class of errors is worded: HTTP status and type in each family, and OpenAI's code.

    The ``stop_*`` fields tell clients of that family not to repeat the request.
    """

    anthropic: tuple[int, str]
    openai: tuple[int, str]
    code: str | None = None
    stop_anthropic: bool = False
    stop_openai: bool = False


def _final(anthropic: tuple[int, str], openai: tuple[int, str], code: str) -> Row:
    """The row of an error that repeating the request can't fix."""
    return Row(anthropic, openai, code, stop_anthropic=True, stop_openai=True)


_INVALID = "invalid_request_error"

TABLE: Mapping[type[CodexdError], Row] = {
    # what the client sent
    errors.RequestInvalid: Row((400, _INVALID), (400, _INVALID)),
    errors.RequestTooLarge: Row((413, "request_too_large"), (413, _INVALID), "request_too_large"),
    errors.KeyRejected: _final((401, "authentication_error"), (401, _INVALID), "invalid_api_key"),
    errors.Forbidden: Row((403, "permission_error"), (403, "permission_error")),
    errors.ModelNotFound: Row((404, "not_found_error"), (404, _INVALID), "model_not_found"),
    errors.KiloDisabled: _final((403, "permission_error"), (403, "permission_error"), "kilo_disabled"),
    errors.NoSuchRoute: Row((404, "not_found_error"), (404, _INVALID), "unknown_url"),
    errors.MethodNotAllowed: Row((405, _INVALID), (405, _INVALID), "method_not_supported"),
    errors.UpgradeRefused: Row((426, _INVALID), (426, _INVALID), "upgrade_refused"),
    # accounts
    errors.NoAccount: _final((401, "authentication_error"), (401, _INVALID), "no_account"),
    errors.AccountDisabled: _final((401, "authentication_error"), (401, _INVALID), "account_disabled"),
    errors.AccountNeedsLogin: _final((401, "authentication_error"), (401, _INVALID), "account_needs_login"),
    errors.RefreshUnavailable: Row((502, "api_error"), (502, "server_error"), "refresh_unavailable"),
    errors.LoginNotSavable: Row((502, "api_error"), (502, "server_error"), "login_not_savable"),
    # codexd itself
    errors.ShuttingDown: Row((529, "overloaded_error"), (503, "server_error"), "shutting_down"),
    errors.Busy: Row((529, "overloaded_error"), (503, "server_error"), "codexd_is_busy"),
    errors.RequestCancelled: _final((400, _INVALID), (400, _INVALID), "request_cancelled"),
    errors.CodexdError: Row((500, "api_error"), (500, "server_error"), "internal_error"),
    # what the backend answered
    errors.ContextOverflow: Row((400, _INVALID), (400, _INVALID), "context_length_exceeded"),
    errors.UsageLimitReached: _final((429, "rate_limit_error"), (429, "usage_limit_reached"), "usage_limit_reached"),
    errors.AllAccountsLimited: _final((429, "rate_limit_error"), (429, "usage_limit_reached"), "usage_limit_reached"),
    errors.RateLimited: Row((429, "rate_limit_error"), (429, "rate_limit_error"), "rate_limit_exceeded"),
    errors.Overloaded: Row((529, "overloaded_error"), (503, "server_error"), "server_is_overloaded"),
    errors.TokenRejected: _final((401, "authentication_error"), (401, _INVALID), "token_rejected"),
    errors.CreditsUsedUp: _final((402, "billing_error"), (429, "insufficient_quota"), "insufficient_quota"),
    errors.PlanRefused: _final((402, "billing_error"), (429, "insufficient_quota"), "insufficient_quota"),
    errors.ModelRefused: Row((404, "not_found_error"), (404, _INVALID), "model_not_found"),
    errors.WorkspaceRefused: _final((403, "permission_error"), (403, "permission_error"), "workspace_refused"),
    errors.CountryRefused: _final((403, "permission_error"), (403, "permission_error"), "country_refused"),
    errors.KiloRefused: _final((403, "permission_error"), (403, "permission_error"), "kilo_refused"),
    errors.PolicyRefused: Row((400, _INVALID), (400, _INVALID), "invalid_prompt"),
    errors.StaleReasoning: Row((400, _INVALID), (400, _INVALID), "invalid_encrypted_content"),
    errors.UpstreamRejected: Row((400, _INVALID), (400, _INVALID)),
    errors.UpstreamTooLarge: Row((413, "request_too_large"), (413, _INVALID), "request_too_large"),
    errors.UpstreamBlocked: _final((403, "permission_error"), (403, "permission_error"), "upstream_blocked"),
    errors.UpstreamFailed: Row((502, "api_error"), (502, "server_error"), "server_error"),
    errors.UpstreamTimeout: Row((504, "timeout_error"), (504, "server_error"), "upstream_timeout"),
    errors.StillSilent: _final((504, "timeout_error"), (504, "server_error"), "upstream_timeout"),
    errors.StreamBroken: Row((502, "api_error"), (502, "server_error"), "stream_disconnected"),
}
"""A class without a row uses its parent's."""

_STOP = {"x-should-retry": "false"}

_OWN_STATUSES = frozenset({404, 405, 409, 410, 415, 422})
"""Statuses of the backend that the client gets as they are; any other bad request is a 400."""

_CLAUDE_CODE_SHOWS = frozenset({402, 429})
"""Statuses under which Claude Code shows the message of an error that is not to be repeated."""

_CODEX_KNOWS = frozenset({"context_length_exceeded", "model_not_found"})
"""Codes to which the Codex CLI has an answer of its own; it shows their message, or compacts."""

SHORT_WAIT_S = 60
"""Clients are left to wait this long by themselves until an account can serve them again."""


def find_row(error: CodexdError) -> Row:
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


# -- Anthropic ------------------------------------------------------------------------------------


def to_anthropic(error: CodexdError, *, now: float) -> AnthropicError:
    """``error`` for a Messages client; ``now`` is in seconds since the epoch."""
    row = find_row(error)
    status, type_ = row.anthropic
    wire = AnthropicError(status, type_, str(error), dict(_STOP) if row.stop_anthropic else {})
    match error:
        case errors.ContextOverflow():
            return evolve(wire, message=_describe_overflow(error))
        case errors.UsageLimitReached():
            return _limit_anthropic(wire, error, now)
        case errors.ModelRefused():
            return evolve(wire, message=f"model: {error}")
        case errors.RequestInvalid(medium=str() as medium):
            return evolve(wire, message=_describe_medium(medium, error.path, error.problem))
        case errors.UpstreamRejected(medium=str() as medium):
            return evolve(wire, message=_describe_medium(medium, error.path, str(error)))
        case errors.StaleReasoning():
            return evolve(wire, message=f"messages: invalid signature in thinking block ({error})")
        case errors.UpstreamRejected(status=404):
            return evolve(wire, status=404, type="not_found_error")
        case errors.UpstreamRejected(status=own) if own in _OWN_STATUSES:
            return evolve(wire, status=own)
        case UpstreamError(retry_after_s=float() as wait_s):
            return evolve(wire, headers={**wire.headers, "retry-after": _whole_seconds(wait_s)})
    return wire


def for_claude_code(wire: AnthropicError, error: CodexdError) -> AnthropicError:
    """The same error for Claude Code (2.1.332), under a status that makes it show the message at once, and unchanged.

    It repeats a 400 or 422 up to six times, unless it knows how to go on. It hides the text of a 404 and of a refusal,
    asks the user to run ``/login`` after a 401 or 403, and calls every 5xx a temporary issue of the server.
    """
    if isinstance(error, errors.PolicyRefused | errors.RequestCancelled):
        return evolve(wire, status=451)
    if wire.status == 400:
        return wire if _has_remedy(error, wire.message) else evolve(wire, status=451)
    is_final = wire.headers.get("x-should-retry") == "false" and wire.status not in _CLAUDE_CODE_SHOWS
    is_own = isinstance(error, errors.UpstreamRejected)
    return evolve(wire, status=424) if is_final or is_own or wire.status in (401, 403) else wire


def _has_remedy(error: CodexdError, message: str) -> bool:
    """Whether Claude Code acts on the message: it compacts, or leaves out an image, thinking blocks or a feature."""
    if isinstance(error, errors.ContextOverflow | errors.StaleReasoning) or "capability_rejected: " in message:
        return True
    return isinstance(error, errors.RequestInvalid | errors.UpstreamRejected) and error.medium is not None


_IN_MESSAGE = re.compile(r"messages\[(\d+)\]\.content\[(\d+)\](?:\.content\[(\d+)\])?(.*)")
_UNREADABLE = {"image": "Could not process image", "document": "The PDF specified was not valid"}


def _describe_medium(medium: str, path: str | None, problem: str) -> str:
    """Claude Code takes the image or document at exactly such a path, or else the latest, out of the conversation."""
    words = f"{_UNREADABLE[medium]} ({problem})"
    found = _IN_MESSAGE.fullmatch(path or "")
    if found is None:
        return f"{path}: {words}" if path else words
    message, block, inner, rest = found.groups()
    place = f"messages.{message}.content.{block}" + (f".tool_result.content.{inner}" if inner else "")
    holder = "document" if rest.startswith(".source.content") else medium
    return f"{place}.{holder}{rest.replace('[', '.').replace(']', '')}: {words}"


def _describe_overflow(error: errors.ContextOverflow) -> str:
    """Claude Code reads both numbers from exactly this sentence, and compacts."""
    window = error.window_tokens
    return f"prompt is too long: {max(error.prompt_tokens, window + 1)} tokens > {window} maximum"


def _limit_anthropic(wire: AnthropicError, error: errors.UsageLimitReached, now: float) -> AnthropicError:
    wire = evolve(wire, message=_describe_limit(error, now))
    if error.resets_at is None:
        return wire
    left_s = seconds_until(error.resets_at, now)
    # Under rotation all accounts may be limited for a short time only, which is worth waiting for.
    may_wait = isinstance(error, errors.AllAccountsLimited) and left_s <= SHORT_WAIT_S
    return evolve(wire, headers={**({} if may_wait else wire.headers), "retry-after": str(left_s)})


# -- OpenAI ---------------------------------------------------------------------------------------


def to_openai(error: CodexdError, *, now: float, prompt: str = "messages") -> OpenAIError:
    """``error`` for a client of one of OpenAI's APIs, in which the field ``prompt`` holds the conversation.

    ``now`` is in seconds since the epoch.
    """
    row = find_row(error)
    status, type_ = row.openai
    wire = OpenAIError(status, type_, str(error), row.code, headers=_STOP if row.stop_openai else {})
    match error:
        case errors.RequestInvalid():
            return _invalid_openai(wire, error)
        case errors.ContextOverflow():
            return evolve(wire, message=_describe_overflow_openai(error, prompt), param=prompt)
        case errors.UsageLimitReached():
            return _limit_openai(wire, error, now)
        case errors.UpstreamRejected(status=own) if own in _OWN_STATUSES:
            return evolve(wire, status=own, code=error.code)
        case UpstreamError():
            wait_s = error.retry_after_s
            headers = wire.headers if wait_s is None else {**wire.headers, "retry-after": _whole_seconds(wait_s)}
            return evolve(wire, code=error.code or wire.code, param=error.path, headers=headers)
    return wire


def _invalid_openai(wire: OpenAIError, error: errors.RequestInvalid) -> OpenAIError:
    """OpenAI's own words for a broken image, which the Codex CLI looks for, and its code for any broken data."""
    wire = evolve(wire, param=error.path or None, code="invalid_value" if error.medium else wire.code)
    if error.medium != "image":
        return wire
    return evolve(wire, message=f"The image data you provided does not represent a valid image. {wire.message}")


def _describe_overflow_openai(error: errors.ContextOverflow, prompt: str) -> str:
    """OpenAI's own sentence, by whose beginning LiteLLM (and so aider and OpenHands) knows a full context."""
    window = error.window_tokens
    tokens = max(error.prompt_tokens, window + 1)
    return (
        f"This model's maximum context length is {window} tokens. However, your {prompt} resulted in {tokens} tokens. "
        f"Please reduce the length of the {prompt}."
    )


def to_codex(error: CodexdError, *, now: float) -> OpenAIError:
    """``error`` for a client that is built on codex-rs, whose own login has nothing to do with codexd's.

    The Codex CLI (0.171.0) refreshes its login after a 401, repeats any other 4xx five times, and prints the JSON of a
    400 without a code. After a 400 with this code it shows the message and stops.
    """
    wire = to_openai(error, now=now, prompt="input")
    if isinstance(error, _NO_MODEL_REQUEST) or wire.code in _CODEX_KNOWS:
        return wire
    is_limit = wire.status == 429 and wire.type != "insufficient_quota"
    is_final = wire.headers.get("x-should-retry") == "false" or 400 <= wire.status < 500
    return evolve(wire, status=400, code="invalid_prompt") if is_final and not is_limit else wire


_NO_MODEL_REQUEST = (
    errors.Forbidden,
    errors.NoSuchRoute,
    errors.MethodNotAllowed,
    errors.UpgradeRefused,
    errors.ModelNotFound,
)
"""Answers to other requests of the Codex CLI, which it knows by their status."""


def _limit_openai(wire: OpenAIError, error: errors.UsageLimitReached, now: float) -> OpenAIError:
    wire = evolve(wire, message=_describe_limit(error, now))
    if error.resets_at is None:
        return wire
    left_s = seconds_until(error.resets_at, now)
    return evolve(
        wire,
        headers={**wire.headers, "retry-after": str(left_s)},
        more={"resets_at": math.ceil(error.resets_at), "resets_in_seconds": left_s},
    )


# -- both -----------------------------------------------------------------------------------------


def _describe_limit(error: errors.UsageLimitReached, now: float) -> str:
    if isinstance(error, errors.AllAccountsLimited):
        return str(error)  # it already says when each account is available again
    if isinstance(error, errors.CreditsUsedUp) and error.resets_at is None:
        return str(error)  # nobody knows until when
    if error.resets_at is None:
        return f"{error}. Run `codexctl status` to see when it resets."
    return (
        f"{error}. This ChatGPT account is available again {say_until(error.resets_at, now)}. "
        "Run `codexctl accounts switch NAME` to use another account."
    )


def _whole_seconds(wait_s: float) -> str:
    return str(max(1, math.ceil(wait_s)))


# -- times, as users read them --------------------------------------------------------------------


def say_until(moment: float, now: float) -> str:
    """``in 1 h 5 min (2026-11-18 12:06)``, in local time, from seconds since the epoch; at least ``in 1 min``."""
    return f"in {say_duration(seconds_until(moment, now))} ({datetime.fromtimestamp(moment):%Y-%m-%d %H:%M})"  # noqa: DTZ006 - local


_UNTIL = re.compile(r"\bin (?:\d+ (?:d|h|min) ?){1,2}\((\d{4}-\d\d-\d\d \d\d:\d\d)\)")


def without_countdown(text: str) -> str:
    """``text`` as it may be read later: ``at 2026-11-18 12:06`` instead of what ``say_until`` says."""
    return _UNTIL.sub(r"at \1", text)


def seconds_until(moment: float, now: float) -> int:
    """Whole seconds until ``moment``, at least one."""
    return max(1, math.ceil(moment - now))


def say_duration(seconds: float) -> str:
    """``2 d 7 h``, ``1 h 5 min`` or ``6 min``, rounded up to the minute."""
    minutes = math.ceil(seconds / 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {rest} min" if hours else f"{rest} min"
