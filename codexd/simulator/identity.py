"""Who signs in: a person's accounts, one for each workspace, and the unsigned tokens that name them.

Source: codex-backend.md, section 1.7.
"""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from codexd.jsontext import dumps

CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
ISSUER = "https://auth.openai.com"
PERSONAL = "personal"
"""The workspace that everybody has."""
ID_TOKEN_LIFETIME_S = 3_600


@frozen
class SimulatedAccount:
    """A person in a workspace; everything else follows from the email, the plan and the workspace's name."""

    email: str
    plan: str
    workspace: str = PERSONAL

    @property
    def account_id(self) -> str:
        name = self.email if self.workspace == PERSONAL else f"{self.email}:{self.workspace}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"simulated-account:{name}"))

    @property
    def user_id(self) -> str:
        return f"user-{uuid.uuid5(uuid.NAMESPACE_URL, f'simulated-user:{self.email}').hex[:24]}"

    @property
    def label(self) -> str:
        """What a record calls it: the email, with the workspace unless that is the personal one."""
        return self.email if self.workspace == PERSONAL else f"{self.email} ({self.workspace})"


def make_id_claims(account: SimulatedAccount, now: float) -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "aud": [CLIENT_ID],
        "sub": f"auth0|{account.user_id}",
        "email": account.email,
        "email_verified": True,
        "auth_provider": "password",
        "auth_time": int(now),
        "iat": int(now),
        "exp": int(now) + ID_TOKEN_LIFETIME_S,
        "jti": secrets.token_hex(8),
        "https://api.openai.com/auth": {
            **_make_auth_block(account),
            "chatgpt_subscription_active_start": "2026-01-01T00:00:00+00:00",
            "chatgpt_subscription_active_until": "2027-01-01T00:00:00+00:00",
            "organizations": [{"id": "org-simulated", "is_default": True, "role": "owner", "title": "Personal"}],
            "groups": [],
            "completed_platform_onboarding": True,
            "is_org_owner": True,
            "chatgpt_account_is_fedramp": False,
        },
    }


def make_access_claims(account: SimulatedAccount, now: float, expires_at: float) -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "aud": ["https://api.openai.com/v1"],
        "sub": f"auth0|{account.user_id}",
        "iat": int(now),
        "exp": int(expires_at),
        "jti": secrets.token_hex(8),
        "scp": ["openid", "profile", "email", "offline_access"],
        "https://api.openai.com/auth": _make_auth_block(account),
        "https://api.openai.com/profile": {"email": account.email, "email_verified": True},
    }


def _make_auth_block(account: SimulatedAccount) -> dict[str, Any]:
    return {
        "chatgpt_account_id": account.account_id,
        "chatgpt_plan_type": account.plan,
        "chatgpt_user_id": account.user_id,
        "user_id": account.user_id,
    }


_NO_SIGNATURE = base64.urlsafe_b64encode(b"simulated").decode()


def make_jwt(claims: Mapping[str, Any]) -> str:
    """An unsigned token: a fake must not look signed. The Codex CLI reads no token whose third part is empty."""
    header = {"alg": "none", "typ": "JWT"}
    return f"{_encode_part(header)}.{_encode_part(claims)}.{_NO_SIGNATURE}"


def _encode_part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(dumps(value)).rstrip(b"=").decode()
