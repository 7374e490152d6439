import pytest
from hypothesis import given
from hypothesis import strategies as st

from codexd.accounts.login import (
    apply_reply,
    expiry_of_reply,
    find_other_owner,
    fingerprint,
    read_claims,
    read_expiry,
    read_identity,
    read_tokens,
)
from codexd.accounts.model import Account, RefreshReply
from codexd.errors import LoginFileInvalid

AUTH, PROFILE = "https://api.openai.com/auth", "https://api.openai.com/profile"


def test_identity_of_a_full_login(login):
    identity = read_identity(login())
    assert identity.chatgpt_account_id == "11111111-2222-3333-4444-555555555555"
    assert (identity.user_id, identity.email, identity.plan) == ("user-ann", "ann@example.com", "plus")
    assert len(identity.account_id) == 12


def test_one_person_in_two_workspaces_is_two_accounts_and_a_new_email_none(login):
    here, there = read_identity(login(workspace="w1")), read_identity(login(workspace="w2"))
    assert here.account_id != there.account_id
    assert read_identity(login(workspace="w1", email="new@example.com")).account_id == here.account_id


def test_access_token_alone_is_enough(login):
    auth_json = login()
    del auth_json["tokens"]["id_token"]
    assert read_identity(auth_json).email == "ann@example.com"
    assert read_tokens(auth_json).id_token is None


def test_no_email_anywhere_is_not_an_error(login, claims, jwt):
    auth_json = login()
    del auth_json["tokens"]["id_token"]
    auth_json["tokens"]["access_token"] = jwt({AUTH: claims()[AUTH]})
    assert read_identity(auth_json).email == ""


def test_workspace_falls_back_to_account_id_and_user_to_user_id(login, jwt):
    auth_json = login()
    del auth_json["tokens"]["id_token"]
    auth_json["tokens"]["access_token"] = jwt({AUTH: {"user_id": "u9"}})
    identity = read_identity(auth_json)
    assert (identity.chatgpt_account_id, identity.user_id) == (auth_json["tokens"]["account_id"], "u9")
    assert identity.plan == "unknown"


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ({"id_token": "opaque", "access_token": "opaque"}, "neither id_token nor access_token"),
        ({"id_token": {AUTH: {"chatgpt_user_id": "u"}}}, "chatgpt_account_id"),
        ({"id_token": {AUTH: {"chatgpt_account_id": "w"}, "sub": "auth0|u"}}, "chatgpt_user_id"),
        ({"id_token": {"email": "a@b"}}, "chatgpt_account_id (the workspace) and chatgpt_user_id"),
        ({"id_token": {AUTH: ["list"]}}, "chatgpt_account_id"),
    ],
)
def test_missing_identity_is_named(tokens, words, jwt):
    tokens = {name: jwt(value) if isinstance(value, dict) else value for name, value in tokens.items()}
    with pytest.raises(LoginFileInvalid) as caught:
        read_identity({"tokens": tokens})
    assert words in str(caught.value)
    assert "codexctl accounts add" in str(caught.value)


@pytest.mark.parametrize(
    ("auth_json", "words"),
    [
        ({"OPENAI_API_KEY": "sk-secret", "tokens": None}, "API key"),
        ({"auth_mode": "apikey"}, "API key"),
        ({}, "tokens.access_token and tokens.refresh_token"),
        ({"tokens": {"access_token": "a", "refresh_token": ""}}, "no tokens.refresh_token"),
        ({"tokens": {"access_token": None, "refresh_token": "r"}}, "no tokens.access_token"),
        ({"access_token": "a", "refresh_token": "r"}, "tokens.access_token"),
    ],
)
def test_missing_tokens_are_named_and_secrets_are_not(auth_json, words):
    with pytest.raises(LoginFileInvalid) as caught:
        read_tokens(auth_json)
    assert words in str(caught.value)
    assert "sk-secret" not in str(caught.value)


def test_an_opaque_access_token_lives_an_hour_from_last_refresh():
    tokens = {"access_token": "opaque", "refresh_token": "r"}
    assert read_tokens({"tokens": tokens, "last_refresh": "1970-01-01T01:00:00Z"}).expires_at == 7200
    assert read_tokens({"tokens": tokens, "last_refresh": "never"}).expires_at == 3600
    assert read_tokens({"tokens": tokens}).expires_at == 3600


@pytest.mark.parametrize("exp", [None, "1795000000", True, -1, 10**400, float("nan"), float("inf"), [1]])
def test_a_doubtful_exp_is_none(exp, jwt):
    assert read_expiry(jwt({"exp": exp})) is None


@given(st.text() | st.none() | st.integers() | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
def test_claims_never_raise(token):
    assert read_claims(token) is None or isinstance(read_claims(token), dict)


def test_a_reply_replaces_only_what_it_holds(login, now):
    auth_json = login() | {"agent_identity": "kept"}
    after = apply_reply(auth_json, RefreshReply(access_token="new"), now)
    assert after["tokens"] == auth_json["tokens"] | {"access_token": "new"}
    assert after["agent_identity"] == "kept"
    assert after["last_refresh"] == "2026-11-18T11:06:40.000000Z"
    assert auth_json["tokens"]["access_token"] != "new"


def test_an_unreadable_id_token_is_left_out(login, now):
    auth_json = login()
    assert apply_reply(auth_json, RefreshReply(id_token="<html>"), now)["tokens"] == auth_json["tokens"]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (RefreshReply(), None),
        (RefreshReply(access_token="opaque"), 4600),
        (RefreshReply(access_token="opaque", expires_in=60.0), 1060),
    ],
)
def test_expiry_of_a_reply(reply, expected):
    assert expiry_of_reply(reply, 1000.0) == expected


def test_the_tokens_own_end_beats_expires_in(jwt):
    assert expiry_of_reply(RefreshReply(access_token=jwt({"exp": 5000}), expires_in=60.0), 1000.0) == 5000


def test_no_repr_shows_secrets(login):
    assert "rt_1" not in repr(read_tokens(login()))
    assert "secret" not in repr(RefreshReply("secret", "secret", "secret"))


def test_a_fingerprint_is_short_and_gives_nothing_away():
    assert fingerprint("rt_secret") == "1e1d918c7a75b2e1"
    assert fingerprint("rt_secret") != fingerprint("rt_secres")


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
@pytest.mark.parametrize("token", ["secret\n", "se cret", "s\u00e9cret"])
def test_a_token_that_no_header_takes_is_refused_and_not_quoted(login, name, token):
    auth_json = login()
    auth_json["tokens"][name] = token
    with pytest.raises(LoginFileInvalid, match="a token with invalid characters") as caught:
        read_tokens(auth_json)
    assert "cret" not in str(caught.value)


def test_a_workspace_that_no_header_takes_is_none(login):
    with pytest.raises(LoginFileInvalid, match="chatgpt_account_id"):
        read_identity(login(workspace="w\n\u00e9"))


def test_another_workspace_of_the_same_person_is_told_from_the_own(login):
    account = Account("1", "own-workspace", "user-ann", "ann@example.com", "plus", 0.0)
    tokens = login(workspace="other-workspace")["tokens"]
    reply = RefreshReply(access_token=tokens["access_token"], id_token=tokens["id_token"])
    assert find_other_owner(account, reply) == "ann@example.com, workspace other-workspace"
