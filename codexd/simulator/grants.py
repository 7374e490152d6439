"""Authorization codes: what a request for one must say, and what the exchange of one must match.

Sources: codex-backend.md, sections 1.2 and 1.3; RFC 6749, section 4.1; RFC 7636, section 4.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, quote, urlencode

from attrs import define, frozen

from codexd.simulator.identity import CLIENT_ID, SimulatedAccount
from codexd.simulator.refusals import Refusal

CODE_LIFETIME_S = 600
SCOPES = ("openid", "profile", "email", "offline_access")
REDIRECT_URIS = tuple(f"http://localhost:{port}/auth/callback" for port in (1455, 1457))
"""The whole allow-list: another port, another path and 127.0.0.1 are refused."""

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@frozen
class AuthorizeRequest:
    """What the sign-in page is opened with, once it is found to be in order."""

    redirect_uri: str
    state: str
    challenge: str

    def make_callback(self, **answer: str) -> str:
        """The URL that the browser is sent back to."""
        return f"{self.redirect_uri}?{urlencode({**answer, 'state': self.state}, quote_via=quote)}"


@define
class Grant:
    """An authorization code's meaning. ``family`` is that of the tokens it was exchanged for."""

    account: SimulatedAccount
    challenge: str
    redirect_uri: str
    expires_at: float
    spent: bool = False
    family: int | None = None


def parse_authorize(query: str) -> AuthorizeRequest:
    """The request in the query string of an authorize URL.

    Raises:
        ValueError: it is not in order; the text is a sentence that names the fault.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    parameters = dict(pairs)
    repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    fault = next(_find_faults(query, parameters, repeated), None)
    if fault is not None:
        raise ValueError(fault)
    return AuthorizeRequest(parameters["redirect_uri"], parameters["state"], parameters["code_challenge"])


def _find_faults(query: str, parameters: Mapping[str, str], repeated: list[str]) -> Iterator[str]:
    if "+" in query:
        yield "A space in the query must be written as %20, not as +."
    for name in repeated:
        yield f"The parameter {name} is given more than once."
    if parameters.get("client_id") != CLIENT_ID:
        yield "The client_id is missing or unknown."
    if parameters.get("response_type") != "code":
        yield "The response_type must be code."
    if parameters.get("redirect_uri") not in REDIRECT_URIS:
        yield f"The redirect_uri must be one of {' and '.join(REDIRECT_URIS)}."
    absent = [scope for scope in SCOPES if scope not in parameters.get("scope", "").split()]
    if absent:
        yield f"The scope lacks {' '.join(absent)}."
    if parameters.get("code_challenge_method") != "S256":
        yield "The code_challenge_method must be S256."
    if not _CHALLENGE.fullmatch(parameters.get("code_challenge", "")):
        yield "The code_challenge must be 43 characters of base64url without padding."
    if not parameters.get("state"):
        yield "The state is missing or empty."


def find_exchange_fault(grant: Grant, form: Mapping[str, object], now: float) -> str | None:
    """Why ``form`` does not get the tokens of ``grant``; None if it does."""
    verifier = form.get("code_verifier")
    if now >= grant.expires_at:
        return "The authorization code has expired."
    if form.get("client_id") != CLIENT_ID:
        return "The authorization code was issued to another client."
    if form.get("redirect_uri") != grant.redirect_uri:
        return "The redirect_uri does not match the one of the authorization request."
    if not isinstance(verifier, str) or not _VERIFIER.fullmatch(verifier):
        return "The code_verifier is missing or malformed."
    if make_challenge(verifier) != grant.challenge:
        return "The code_verifier does not match the code_challenge."
    return None


def refuse_grant(description: str) -> Refusal:
    return Refusal(400, {"error": "invalid_grant", "error_description": description})


def make_challenge(verifier: str) -> str:
    """PKCE's S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
