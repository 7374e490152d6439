import json
import os
import re
from pathlib import Path

import pytest

from codexd.accounts.imports import codex_auth_path, predecessor_path, read_logins
from codexd.accounts.login import read_identity, read_last_refresh, read_tokens
from codexd.errors import LoginFileInvalid


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"CODEX_HOME": "/x/codex", "HOME": "/home/ann"}, "/x/codex/auth.json"),
        ({"CODEX_HOME": "", "HOME": "/home/ann"}, "/home/ann/.codex/auth.json"),
        ({}, str(Path.home() / ".codex/auth.json")),
    ],
)
def test_where_codex_keeps_its_login(environ, path):
    assert codex_auth_path(environ) == Path(path)


def test_the_whole_file_is_read(tmp_path, login):
    path = tmp_path / "auth.json"
    path.write_text(json.dumps(login() | {"unknown": [1]}))
    assert read_logins(path).logins == (login() | {"unknown": [1]},)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "codex login status"),
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"OPENAI_API_KEY":"sk-secret"}', "API key"),
        ('{"tokens":{}}', "tokens.access_token"),
        ('{"tokens":{"access_token":"secret-a","refresh_token":"secret-r"}}', "neither id_token nor access_token"),
    ],
)
def test_what_is_wrong_is_said_with_the_files_name(tmp_path, content, words):
    path = tmp_path / "auth.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LoginFileInvalid) as caught:
        read_logins(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "codexctl accounts add" in str(caught.value)


def test_a_folder_in_its_place_is_no_login(tmp_path):
    (tmp_path / "auth.json").mkdir()
    with pytest.raises(LoginFileInvalid, match=r"contains neither auth\.json"):
        read_logins(tmp_path)


MARCH_S = 1_772_000_000


@pytest.fixture
def entry(jwt, claims):
    """An account as codex-claude-proxy keeps it."""

    def entry(user="user-ann", email="ann@example.com", access=None, **changes):
        access = {"iat": MARCH_S, **claims(user=user, email=email, exp=MARCH_S + 864_000)} if access is None else access
        return {
            "email": email,
            "accountId": "11111111-2222-3333-4444-555555555555",
            "planType": "plus",
            "accessToken": jwt(access) if isinstance(access, dict) else access,
            "refreshToken": f"rt_{user}",
            "idToken": jwt(claims(user=user, email=email)),
            "expiresAt": (MARCH_S + 864_000) * 1000,
            "addedAt": "2026-02-01T10:00:00.000Z",
            "lastUsed": "2026-03-01T10:00:00.000Z",
        } | changes

    return entry


def write(path, *entries, active=None):
    path.write_text(json.dumps({"accounts": entries, "activeAccount": active, "version": 1}))
    return path


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"HOME": "/home/ann"}, "/home/ann/.codex-claude-proxy/accounts.json"),
        ({}, str(Path.home() / ".codex-claude-proxy/accounts.json")),
    ],
)
def test_where_the_predecessor_keeps_its_accounts(environ, path):
    assert predecessor_path(environ) == Path(path)


def test_the_predecessors_accounts_come_the_active_one_first(tmp_path, entry):
    path = write(tmp_path / "accounts.json", entry(), entry("user-bob", "bob@example.com"), active="bob@example.com")
    found = read_logins(path)
    assert [read_identity(login).email for login in found.logins] == ["bob@example.com", "ann@example.com"]
    assert [read_tokens(login).refresh_token for login in found.logins] == ["rt_user-bob", "rt_user-ann"]
    assert {read_last_refresh(login) for login in found.logins} == {MARCH_S}
    assert (found.path, found.problems, found.followable) == (path, (), False)
    assert set(found.logins[0]["tokens"]) == {"id_token", "access_token", "refresh_token", "account_id"}
    assert "rt_" not in repr(found)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda entry: entry(email="bad@example.com", refreshToken=None), "bad@example.com: .*refresh_token"),
        (lambda entry: entry(email="bad@example.com", accessToken=""), "bad@example.com: .*access_token"),
        (lambda entry: entry(email="bad@example.com", accessToken={"a": 1}), "bad@example.com: .*access_token"),
        (lambda entry: entry(email=None, refreshToken=7), "account 1: .*refresh_token"),
        (lambda entry: entry(email="bad@example.com", access="opaque", idToken=None), "bad@example.com: .*JWT"),
        (lambda entry: "rubbish", "not a JSON object"),
        (lambda entry: None, "not a JSON object"),
    ],
)
def test_a_bad_entry_does_not_cost_the_others(tmp_path, entry, bad, words):
    path = write(tmp_path / "accounts.json", bad(entry), entry("user-bob", "bob@example.com"))
    found = read_logins(path)
    assert [read_identity(login).email for login in found.logins] == ["bob@example.com"]
    (problem,) = found.problems
    assert str(path) in problem
    assert re.search(words, problem)
    with pytest.raises(LoginFileInvalid, match=words):
        read_logins(write(path, bad(entry)))


@pytest.mark.parametrize(
    ("access", "changes", "made_at"),
    [
        ({"iat": MARCH_S}, {}, MARCH_S),
        ({"iat": "soon"}, {}, MARCH_S + 864_000 - 3600),
        ("opaque", {}, MARCH_S + 864_000 - 3600),
        ("opaque", {"expiresAt": None}, 1_769_940_000),
        ("opaque", {"expiresAt": 10**400}, 1_769_940_000),
        ("opaque", {"expiresAt": -5, "addedAt": "never"}, 0),
        ({"exp": MARCH_S}, {}, 1_769_940_000),
    ],
)
def test_when_the_predecessors_tokens_were_made(tmp_path, entry, access, changes, made_at):
    (login,) = read_logins(write(tmp_path / "accounts.json", entry(access=access, **changes))).logins
    assert read_last_refresh(login) == made_at


def test_an_opaque_token_of_the_predecessor_ends_when_it_says(tmp_path, entry):
    (login,) = read_logins(write(tmp_path / "accounts.json", entry(access="opaque"))).logins
    assert read_tokens(login).expires_at == MARCH_S + 864_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        ("", "not JSON"),
        ("\x00", "not JSON"),
        ('{"accounts":[]}', "lists no account"),
        ('{"accounts":{}}', "tokens.access_token"),
    ],
)
def test_a_file_without_any_login_is_refused(tmp_path, content, words):
    path = tmp_path / "accounts.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LoginFileInvalid, match=words) as caught:
        read_logins(path)
    assert str(path) in str(caught.value)


def test_a_path_is_known_by_its_content_and_a_folder_by_its_file(tmp_path, login, entry):
    with pytest.raises(LoginFileInvalid, match="neither auth"):
        read_logins(tmp_path)
    odd = write(tmp_path / "backup.txt", entry())
    assert len(read_logins(odd).logins) == 1
    write(tmp_path / "accounts.json", entry())
    assert read_logins(tmp_path).path == tmp_path / "accounts.json"
    (tmp_path / "auth.json").write_text(json.dumps(login()))
    found = read_logins(tmp_path)
    assert (found.path, found.logins, found.followable) == (tmp_path / "auth.json", (login(),), True)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_not_a_regular_file_is_not_waited_for(tmp_path, make):
    make(tmp_path / "auth.json")
    with pytest.raises(LoginFileInvalid, match="not a regular file"):
        read_logins(tmp_path / "auth.json")


def test_a_file_larger_than_any_login_is_not_read(tmp_path):
    with (tmp_path / "auth.json").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    with pytest.raises(LoginFileInvalid, match="File too large"):
        read_logins(tmp_path / "auth.json")


@pytest.mark.parametrize("name", ["a" * 300, "\0"])
def test_an_impossible_path_is_reported(tmp_path, name):
    with pytest.raises(LoginFileInvalid):
        read_logins(tmp_path / name)


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", '{"accounts":[]}', '{"OPENAI_API_KEY":"x"}', '{"accounts":[{}]}']
)
@pytest.mark.parametrize("name", ["auth.json", "nope"])
def test_a_file_without_a_login_says_what_to_name_instead(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(LoginFileInvalid) as caught:
        read_logins(path)
    assert "sign in again" not in str(caught.value)
    assert str(caught.value).endswith("To sign in without a file, run `codexctl accounts add`.")
    assert str(path) in str(caught.value)
