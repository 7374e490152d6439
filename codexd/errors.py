"""Every exception that codexd raises on purpose.

::

    CodexdError
    ├── SettingInvalid            a setting's name or value; names where it came from
    ├── FileUnreadable            one of codexd's files can't be read; it is never overwritten
    ├── FileUnwritable            one of codexd's files can't be written; nothing was changed
    ├── ClientFileRefused         another program's settings file can't be edited safely; it was not changed
    ├── AlreadyRunning            another daemon uses this home or this socket
    ├── HomeMismatch              simulated accounts in a real home, or real ones in a simulated one
    ├── AddressUnavailable        can't listen on the HTTP proxy's address or the control socket
    ├── RestartFailed             the new daemon did not start; the old one goes on
    ├── TaskGaveUp                a supervised task failed too often
    ├── ShuttingDown              the daemon is stopping; open streams end with this
    ├── Busy                      one of the daemon's bounds is reached; the request can be sent again
    ├── InternalError             a bug in codexd, as reported to a client
    ├── RequestCancelled          the user cancelled a running request with codexctl
    ├── RequestNotFound           there is no request with this id, or it is not running
    ├── RequestRefused            something is wrong with a client's request
    │   ├── RequestInvalid        names the field
    │   ├── RequestTooLarge
    │   ├── KeyRejected           server.api_key is set and the request does not carry it
    │   ├── Forbidden             foreign Host, Origin or Sec-Fetch-Site
    │   ├── ModelNotFound         GET /v1/models/{id} with an unknown name
    │   ├── KiloDisabled          the model name kilo, but the user has not opted in
    │   ├── NoSuchRoute
    │   ├── MethodNotAllowed
    │   └── UpgradeRefused        a WebSocket; the Codex CLI then uses HTTP at once
    ├── AccountError
    │   ├── NoAccount             none is signed in, or none is active
    │   ├── AccountNotFound
    │   ├── AccountAmbiguous
    │   ├── AccountDisabled       the user took it out of use
    │   ├── AccountNeedsLogin     its login is dead; only the user can fix it
    │   │   ├── FollowedLoginStale   the program that owns the login has to refresh it
    │   │   └── FreshTokenRefused    it can be refreshed, but the backend refuses the fresh access token
    │   ├── LoginFileInvalid      an auth.json without a ChatGPT login
    │   ├── LoginFlowNotFound     no sign-in with this id is under way
    │   ├── LoginFailed           a sign-in ended without a login
    │   │   ├── LoginExpired
    │   │   └── LoginCancelled
    │   └── RefreshUnavailable    the sign-in server can't be reached now; the login is intact
    │       ├── Restarting        only the daemon's successor may change the accounts now
    │       └── LoginNotSavable      it is not asked: its answer could not be written to disk
    └── UpstreamError             the backend's error, with its status, code and message
        ├── ContextOverflow
        ├── UsageLimitReached     a plan window is used up; ``resets_at``
        │   ├── AllAccountsLimited   with rotation: the limits of all accounts are used up
        │   └── CreditsUsedUp        the workspace's credits or a spending limit; nobody knows until when
        ├── RateLimited           a short limit; ``retry_after_s``
        ├── Overloaded
        ├── TokenRejected
        ├── PlanRefused
        ├── WorkspaceRefused
        │   ├── RegionRefused     the workspace is bound to another region
        │   └── RouteMissing      OpenAI can't route the workspace's requests now
        ├── CountryRefused        OpenAI does not serve the country that the connection comes from
        ├── ModelRefused
        ├── KiloRefused           kilo.ai wants an account or money for the model, or does not have it
        ├── PolicyRefused
        ├── StaleReasoning        encrypted reasoning of another account or model
        ├── UpstreamRejected      a bad request, codexd's or the client's
        │   └── SchemaRefused     the JSON schema of a tool or of the answer; names the tool
        ├── UpstreamTooLarge
        ├── UpstreamBlocked       Cloudflare in front of the backend
        ├── UpstreamFailed        5xx, no connection, an unreadable answer
        │   ├── EmptyAnswer       completed, but with nothing in it
        │   └── ProxyFailed       the proxy that the environment names can't be used
        ├── UpstreamTimeout
        │   └── BackendSilent     not one event within ``upstream.first_event_timeout``
        │       └── StillSilent   the second time in the same session
        └── StreamBroken          the stream ended before a terminal event

``translation/wire_errors.py`` maps these classes to the errors of each API, in one table; the control socket uses
``kind``.
"""

from __future__ import annotations

from typing import ClassVar

MAX_MESSAGE_CHARS = 1000
"""Errors are kept for a while, and the text that they quote may have megabytes."""


def _cut(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE_CHARS else f"{text[:MAX_MESSAGE_CHARS]}…"


class CodexdError(Exception):
    """Base of the tree. ``str(error)`` is one sentence for the user, free of secrets."""

    kind: ClassVar[str] = "internal"
    """A stable identifier for programs: ``data.kind`` on the control socket, ``kind`` in logs."""


class SettingInvalid(CodexdError):
    kind = "setting_invalid"


class FileUnreadable(CodexdError):
    kind = "file_unreadable"


class FileUnwritable(CodexdError):
    kind = "file_unwritable"


class ClientFileRefused(CodexdError):
    kind = "client_file_refused"


class AlreadyRunning(CodexdError):
    kind = "already_running"


class HomeMismatch(CodexdError):
    kind = "home_mismatch"


class AddressUnavailable(CodexdError):
    kind = "address_unavailable"


class RestartFailed(CodexdError):
    kind = "restart_failed"


class TaskGaveUp(CodexdError):
    kind = "task_gave_up"


class ShuttingDown(CodexdError):
    kind = "shutting_down"


class Busy(CodexdError):
    kind = "busy"


class InternalError(CodexdError):
    kind = "internal"


class RequestCancelled(CodexdError):
    kind = "request_cancelled"


class RequestNotFound(CodexdError):
    kind = "request_not_found"


class RequestRefused(CodexdError):
    kind = "request_refused"


class RequestInvalid(RequestRefused):
    """A problem with a field of a client's request. ``path`` is, for example, ``messages[3].content[0].text``.

    ``medium`` is ``image`` or ``document`` if no model could read what the field holds. The other arguments may quote
    what the client sent, so both are cut.
    """

    kind = "request_invalid"

    def __init__(self, path: str, problem: str, *, medium: str | None = None) -> None:
        path, problem = _cut(path), _cut(problem)
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem
        self.medium = medium


class RequestTooLarge(RequestRefused):
    kind = "request_too_large"


class KeyRejected(RequestRefused):
    kind = "key_rejected"


class Forbidden(RequestRefused):
    kind = "forbidden"


class ModelNotFound(RequestRefused):
    kind = "model_not_found"


class KiloDisabled(RequestRefused):
    kind = "kilo_disabled"


class NoSuchRoute(RequestRefused):
    kind = "no_such_route"


class MethodNotAllowed(RequestRefused):
    kind = "method_not_allowed"


class UpgradeRefused(RequestRefused):
    kind = "upgrade_refused"


class AccountError(CodexdError):
    kind = "account_error"


class NoAccount(AccountError):
    kind = "no_account"


class AccountNotFound(AccountError):
    kind = "account_not_found"


class AccountAmbiguous(AccountError):
    kind = "account_ambiguous"


class AccountDisabled(AccountError):
    kind = "account_disabled"


class AccountNeedsLogin(AccountError):
    kind = "account_needs_login"


class FollowedLoginStale(AccountNeedsLogin):
    kind = "followed_login_stale"


class FreshTokenRefused(AccountNeedsLogin):
    kind = "fresh_token_refused"


class LoginFileInvalid(AccountError):
    kind = "login_file_invalid"


class LoginFlowNotFound(AccountError):
    kind = "login_flow_not_found"


class LoginFailed(AccountError):
    kind = "login_failed"


class LoginExpired(LoginFailed):
    kind = "login_expired"


class LoginCancelled(LoginFailed):
    kind = "login_cancelled"


class RefreshUnavailable(AccountError):
    kind = "refresh_unavailable"


class Restarting(RefreshUnavailable):
    kind = "restarting"


class LoginNotSavable(RefreshUnavailable):
    kind = "login_not_savable"


class UpstreamError(CodexdError):
    """The backend's error.

    ``status`` is its HTTP status (200 if the error came inside a stream, 0 if there was no response), ``code`` its
    error code or type, if there was one. ``param`` is the place in the backend's request that it names, such as
    ``tools[3].parameters``. ``medium`` is ``image`` or ``document`` if it refuses one.
    """

    kind = "upstream_error"
    path: str | None = None
    """Where the refused medium is in the client's own request, if that is known."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str | None = None,
        retry_after_s: float | None = None,
        resets_at: float | None = None,
        param: str | None = None,
        medium: str | None = None,
    ) -> None:
        super().__init__(_cut(message))
        self.status = status
        self.code = code and _cut(code)
        self.retry_after_s = retry_after_s
        self.resets_at = resets_at
        self.param = param and _cut(param)
        self.medium = medium

    def add_hint(self, hint: str) -> None:
        """Append a sentence to the message."""
        message = str(self)
        self.args = (f"{message}{'' if message.endswith('.') else '.'} {hint}",)


class ContextOverflow(UpstreamError):
    """The request does not fit into the model's context window."""

    kind = "context_overflow"
    prompt_tokens: int = 0
    """The size of the request, as counted by codexd."""
    window_tokens: int = 0
    """The size of the model's context window."""


class UsageLimitReached(UpstreamError):
    kind = "usage_limit_reached"


class AllAccountsLimited(UsageLimitReached):
    kind = "all_accounts_limited"


class CreditsUsedUp(UsageLimitReached):
    kind = "credits_used_up"


class RateLimited(UpstreamError):
    kind = "rate_limited"


class Overloaded(UpstreamError):
    kind = "overloaded"


class TokenRejected(UpstreamError):
    kind = "token_rejected"


class PlanRefused(UpstreamError):
    kind = "plan_refused"


class WorkspaceRefused(UpstreamError):
    kind = "workspace_refused"


class RegionRefused(WorkspaceRefused):
    kind = "region_refused"


class RouteMissing(WorkspaceRefused):
    kind = "route_missing"


class CountryRefused(UpstreamError):
    kind = "country_refused"


class ModelRefused(UpstreamError):
    kind = "model_refused"


class KiloRefused(UpstreamError):
    kind = "kilo_refused"


class PolicyRefused(UpstreamError):
    kind = "policy_refused"


class StaleReasoning(UpstreamError):
    kind = "stale_reasoning"


class UpstreamRejected(UpstreamError):
    kind = "upstream_rejected"


class SchemaRefused(UpstreamRejected):
    kind = "schema_refused"


class UpstreamTooLarge(UpstreamError):
    kind = "upstream_too_large"


class UpstreamBlocked(UpstreamError):
    kind = "upstream_blocked"


class UpstreamFailed(UpstreamError):
    kind = "upstream_failed"


class EmptyAnswer(UpstreamFailed):
    kind = "empty_answer"


class ProxyFailed(UpstreamFailed):
    kind = "proxy_failed"


class UpstreamTimeout(UpstreamError):
    kind = "upstream_timeout"


class BackendSilent(UpstreamTimeout):
    kind = "backend_silent"


class StillSilent(BackendSilent):
    kind = "still_silent"


class StreamBroken(UpstreamError):
    kind = "stream_broken"
