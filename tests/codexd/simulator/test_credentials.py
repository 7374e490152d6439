"""Authorization requests: what the sign-in page takes, and which fault it names."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from codexd.simulator.credentials import CLIENT_ID, make_challenge, parse_authorize

CHALLENGE = make_challenge("v" * 43)
GOOD = {
    "response_type": "code",
    "client_id": CLIENT_ID,
    "redirect_uri": "http://localhost:1455/auth/callback",
    "scope": "openid profile email offline_access",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "s+t/a te",
    "originator": "codexd",
}


def make_query(**changes: str) -> str:
    return urlencode({**GOOD, **changes}, quote_via=quote)


def test_the_challenge_of_the_rfc() -> None:
    """RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert make_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize("port", [1455, 1457])
def test_a_request_in_order(port: int) -> None:
    redirect_uri = f"http://localhost:{port}/auth/callback"
    asked = parse_authorize(make_query(redirect_uri=redirect_uri, scope=f"{GOOD['scope']} api.connectors.read"))
    assert (asked.redirect_uri, asked.state, asked.challenge) == (redirect_uri, "s+t/a te", CHALLENGE)
    url = asked.make_callback(code="a b")
    assert "+" not in urlsplit(url).query
    assert parse_qs(urlsplit(url).query) == {"code": ["a b"], "state": ["s+t/a te"]}
    assert url.startswith(f"{redirect_uri}?")


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        (urlencode(GOOD), "%20"),
        (f"{make_query()}&state=other", "state is given more than once"),
        ("", "client_id"),
        (make_query(client_id="app_other"), "client_id"),
        (make_query(response_type="token"), "response_type"),
        (make_query(redirect_uri="http://127.0.0.2:1455/auth/callback"), "redirect_uri"),
        (make_query(redirect_uri="http://localhost:1456/auth/callback"), "redirect_uri"),
        (make_query(redirect_uri="http://localhost:1455/auth/callback/"), "redirect_uri"),
        (make_query(redirect_uri="http://localhost:1455/callback"), "redirect_uri"),
        (make_query(scope="openid profile email"), "offline_access"),
        (make_query(code_challenge_method="plain"), "S256"),
        (make_query(code_challenge=f"{CHALLENGE}="), "code_challenge"),
        (make_query(code_challenge="short"), "code_challenge"),
        (make_query(state=""), "state"),
    ],
)
def test_each_fault_is_named(query: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_authorize(query)
