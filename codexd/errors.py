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

import re
from typing import ClassVar

MAX_MESSAGE_CHARS = 1000
"""Errors are kept for a while, and the text that they quote may have megabytes."""

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE_CHARS else f"{text[:MAX_MESSAGE_CHARS]}…"


class CodexdError(Exception):
    """Base of the tree. ``str(error)`` is one sentence for the user, free of secrets."""

    kind: ClassVar[str] = "internal"
    """For programs: ``data.kind`` on the control socket, ``kind`` in logs. It is the name of the class in snake case; a
    class that gets another name sets its old kind, because it must stay the same."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" not in vars(cls):
            cls.kind = _CAPITAL.sub("_", cls.__name__).lower()


def describe(error: BaseException) -> str:
    """The name of ``error``, and its words if they can't quote what a peer sent: they may stand in the log."""
    words = str(error) if isinstance(error, _SAFE) else ""
    return f"{type(error).__name__}: {words}".removesuffix(": ")


_SAFE = (CodexdError, OSError, AttributeError, ImportError, NameError, TypeError, BaseExceptionGroup)
"""Not a ``ValueError``, a ``KeyError`` or a parser's error."""


class SettingInvalid(CodexdError): ...


class FileUnreadable(CodexdError): ...


class FileUnwritable(CodexdError): ...


class ClientFileRefused(CodexdError): ...


class AlreadyRunning(CodexdError): ...


class HomeMismatch(CodexdError): ...


class AddressUnavailable(CodexdError): ...


class RestartFailed(CodexdError): ...


class TaskGaveUp(CodexdError): ...


class ShuttingDown(CodexdError): ...


class Busy(CodexdError): ...


class InternalError(CodexdError):
    kind = "internal"


class RequestCancelled(CodexdError): ...


class RequestNotFound(CodexdError): ...


class RequestRefused(CodexdError): ...


class RequestInvalid(RequestRefused):
    """A problem with a field of a client's request. ``path`` is, for example, ``messages[3].content[0].text``.

    ``medium`` is ``image`` or ``document`` if no model could read what the field holds. The other arguments may quote
    what the client sent, so both are cut.
    """

    def __init__(self, path: str, problem: str, *, medium: str | None = None) -> None:
        path, problem = _cut(path), _cut(problem)
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem
        self.medium = medium


class RequestTooLarge(RequestRefused): ...


class KeyRejected(RequestRefused): ...


class Forbidden(RequestRefused): ...


class ModelNotFound(RequestRefused): ...


class KiloDisabled(RequestRefused): ...


class NoSuchRoute(RequestRefused): ...


class MethodNotAllowed(RequestRefused): ...


class UpgradeRefused(RequestRefused): ...


class AccountError(CodexdError): ...


class NoAccount(AccountError): ...


class AccountNotFound(AccountError): ...


class AccountAmbiguous(AccountError): ...


class AccountDisabled(AccountError): ...


class AccountNeedsLogin(AccountError): ...


class FollowedLoginStale(AccountNeedsLogin): ...


class FreshTokenRefused(AccountNeedsLogin): ...


class LoginFileInvalid(AccountError): ...


class LoginFlowNotFound(AccountError): ...


class LoginFailed(AccountError): ...


class LoginExpired(LoginFailed): ...


class LoginCancelled(LoginFailed): ...


class RefreshUnavailable(AccountError): ...


class Restarting(RefreshUnavailable): ...


class LoginNotSavable(RefreshUnavailable): ...


class UpstreamError(CodexdError):
    """The backend's error.

    ``status`` is its HTTP status (200 if the error came inside a stream, 0 if there was no response), ``code`` its
    error code or type, if there was one. ``param`` is the place in the backend's request that it names, such as
    ``tools[3].parameters``. ``medium`` is ``image`` or ``document`` if it refuses one.
    """

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

    prompt_tokens: int = 0
    """The size of the request, as counted by codexd."""
    window_tokens: int = 0
    """The size of the model's context window."""


class UsageLimitReached(UpstreamError): ...


class AllAccountsLimited(UsageLimitReached): ...


class CreditsUsedUp(UsageLimitReached): ...


class RateLimited(UpstreamError): ...


class Overloaded(UpstreamError): ...


class TokenRejected(UpstreamError): ...


class PlanRefused(UpstreamError): ...


class WorkspaceRefused(UpstreamError): ...


class RegionRefused(WorkspaceRefused): ...


class RouteMissing(WorkspaceRefused): ...


class CountryRefused(UpstreamError): ...


class ModelRefused(UpstreamError): ...


class KiloRefused(UpstreamError): ...


class PolicyRefused(UpstreamError): ...


class StaleReasoning(UpstreamError): ...


class UpstreamRejected(UpstreamError): ...


class SchemaRefused(UpstreamRejected): ...


class UpstreamTooLarge(UpstreamError): ...


class UpstreamBlocked(UpstreamError): ...


class UpstreamFailed(UpstreamError): ...


class EmptyAnswer(UpstreamFailed): ...


class ProxyFailed(UpstreamFailed): ...


class UpstreamTimeout(UpstreamError): ...


class BackendSilent(UpstreamTimeout): ...


class StillSilent(BackendSilent): ...


class StreamBroken(UpstreamError): ...
