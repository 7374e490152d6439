"""What Kilo's errors mean.

They have OpenRouter's shape, ``{"error": {"message", "code", "metadata"?}}``, with the HTTP status as a number in
``code``. Kilo's own codes are words, such as ``PAID_MODEL_AUTH_REQUIRED``. Source: kilo.ai/docs/gateway/api-reference
("Error codes") and openrouter.ai/docs/errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from codexd import errors, jsontext
from codexd.errors import UpstreamError
from codexd.translation.backend import object_of, text_of
from codexd.translation.backend_errors import read_retry_after

MAX_MESSAGE_CHARS = 300

_BY_STATUS: Mapping[int, type[UpstreamError]] = {
    401: errors.KiloRefused,
    402: errors.KiloRefused,
    403: errors.KiloRefused,
    404: errors.KiloRefused,
    408: errors.UpstreamTimeout,
    413: errors.UpstreamTooLarge,
    429: errors.RateLimited,
    503: errors.Overloaded,
    504: errors.UpstreamTimeout,
    529: errors.Overloaded,
}

_OVERFLOW_PHRASES = ("context window", "context length", "maximum context")

_CODES: Mapping[type[UpstreamError], str] = {
    errors.ContextOverflow: "context_length_exceeded",
    errors.RateLimited: "rate_limit_exceeded",
    errors.Overloaded: "server_is_overloaded",
    errors.PolicyRefused: "invalid_prompt",
    **dict.fromkeys((errors.KiloRefused, errors.UpstreamRejected, errors.UpstreamTooLarge), "invalid_request_error"),
}
"""The codes of the Responses API for errors inside a stream. Those without one may be gone on the next try."""


@frozen
class KiloFailure:
    """The content of an error object. ``status`` is the HTTP status that it stands for, even if it came in a 200."""

    status: int
    message: str
    kind: type[UpstreamError]

    def describe(self) -> str:
        """The status, and the message if there is one."""
        status = f"HTTP {self.status}"
        return status if self.message == status else f"{status}: {self.message}"

    def to_event_error(self, host: str) -> dict[str, str]:
        """The ``error`` of a ``response.failed`` event."""
        return {"code": _CODES.get(self.kind, "server_error"), "message": f"{host} failed: {self.message}"}


def read_failure(found: Any, status: int) -> KiloFailure:
    """The error object ``found`` of an answer with the HTTP status ``status``."""
    error: Mapping[str, Any] = {"message": found} if isinstance(found, str) else object_of(found)
    code = error.get("code")
    if status == 200:
        status = code if isinstance(code, int) and 400 <= code < 600 else 502
    metadata = object_of(error.get("metadata"))
    texts = [text_of(error.get("message")), text_of(metadata.get("raw"))]
    message = " ".join(" ".join(filter(None, texts)).split())[:MAX_MESSAGE_CHARS]
    return KiloFailure(status, message or f"HTTP {status}", _classify(status, message.lower(), metadata))


def _classify(status: int, message: str, metadata: Mapping[str, Any]) -> type[UpstreamError]:
    if status < 500 and any(phrase in message for phrase in _OVERFLOW_PHRASES):
        return errors.ContextOverflow
    if status == 403 and metadata.get("reasons"):  # set by moderation
        return errors.PolicyRefused
    default = errors.UpstreamRejected if 400 <= status < 500 else errors.UpstreamFailed
    return _BY_STATUS.get(status, default)


def read_http_error(
    status: int, headers: Mapping[str, str], body: bytes, *, host: str, model: str, now: float
) -> UpstreamError:
    """The error that an HTTP answer of ``host`` reports for ``model``. Its message never quotes HTML."""
    try:
        document = object_of(jsontext.loads(body))
    except ValueError:
        document = {}
    failure = read_failure(document.get("error") or document.get("message"), status)
    message = f"{host} refused: {failure.message}"
    if failure.kind is errors.KiloRefused:
        message = (
            f"{host} does not serve the model {model} to codexd, which has no account there ({failure.describe()}). "
            "Choose one of its free models: `codexctl settings set kilo.model NAME`"
        )
    code = object_of(document.get("error")).get("code")
    return failure.kind(
        message,
        status=status,
        code=code if isinstance(code, str) else None,
        retry_after_s=read_retry_after(failure.message, headers, now),
    )
