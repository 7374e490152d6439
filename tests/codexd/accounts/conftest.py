"""Logins made in code, and a sign-in server in memory."""

import base64
import json

import pytest
import trio

from codexd.accounts.model import RefreshReply
from codexd.accounts.outages import BackOff
from codexd.accounts.store.store import AccountStore

NOW = 1_795_000_000.0
WORKSPACE = "11111111-2222-3333-4444-555555555555"


def make_jwt(claims):
    def encode(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{encode({'alg': 'none'})}.{encode(claims)}.c2ln"


def make_claims(*, email="ann@example.com", workspace=WORKSPACE, user="user-ann", plan="plus", exp=NOW + 3600, jti=""):
    auth = {"chatgpt_account_id": workspace, "chatgpt_user_id": user, "user_id": user, "chatgpt_plan_type": plan}
    auth = {name: value for name, value in auth.items() if value is not None}
    return {"sub": "auth0|never-an-id", "email": email, "exp": exp, "jti": jti, "https://api.openai.com/auth": auth}


def make_login(*, refresh_token="rt_1", **claims):
    """The content of an ``auth.json``."""
    id_claims = make_claims(**claims)
    access_claims = {name: value for name, value in id_claims.items() if name != "email"}
    access_claims["https://api.openai.com/profile"] = {"email": id_claims["email"]}
    tokens = {
        "id_token": make_jwt(id_claims),
        "access_token": make_jwt(access_claims),
        "refresh_token": refresh_token,
        "account_id": claims.get("workspace", WORKSPACE),
    }
    return {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": tokens,
        "last_refresh": "2026-11-18T10:00:00.000000Z",
    }


class Clock:
    def __init__(self):
        self.now = NOW
        self.moving = float

    def __call__(self):
        return self.now + self.moving()

    def follow_trio(self):
        """Move on with trio's clock."""
        self.now -= trio.current_time()
        self.moving = trio.current_time


class SignInServer:
    """A token endpoint that rotates: each refresh token works once. ``script`` holds errors or replies to give first."""

    def __init__(self, clock):
        self.clock = clock
        self.asked = []
        self.reasons = []
        self.revoked = []
        self.script = []
        self.gate = None
        self.valid = "rt_1"
        self.lifetime_s = 3600.0
        self.back_off = BackOff(lambda: 0.0)

    async def refresh(self, refresh_token, reason):
        self.asked.append(refresh_token)
        self.reasons.append(reason)
        if self.gate is not None:
            await self.gate.wait()
        await trio.lowlevel.checkpoint()
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        if step is not None:
            return step
        assert refresh_token == self.valid, "a retired refresh token was presented"
        number = len(self.asked) + 1
        self.valid = f"rt_{number}"
        login = make_login(refresh_token=self.valid, exp=self.clock() + self.lifetime_s, jti=f"{number}")["tokens"]
        return RefreshReply(login["access_token"], login["refresh_token"], login["id_token"], self.lifetime_s)

    async def revoke(self, refresh_token):
        self.revoked.append(refresh_token)
        return True


@pytest.fixture(scope="session")
def login():
    return make_login


@pytest.fixture(scope="session")
def jwt():
    return make_jwt


@pytest.fixture(scope="session")
def claims():
    return make_claims


@pytest.fixture(scope="session")
def now():
    return NOW


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server(clock):
    return SignInServer(clock)


@pytest.fixture
def store(tmp_path):
    with AccountStore.open(tmp_path / "state") as store:
        yield store
