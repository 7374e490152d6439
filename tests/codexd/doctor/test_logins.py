import json
import time

import pytest
from support.control_server import auth_json, jwt

from codexd.accounts.store.store import AccountStore
from codexd.doctor import logins
from codexd.doctor.finding import Level
from codexd.paths import find_places

NOW = time.time()


def login(email="work@example.com", *, expires_in_s=86400.0, issued_ago_s=100.0):
    content, user = auth_json(email), email.partition("@")[0]
    claims = {
        "email": email,
        "iat": NOW - issued_ago_s,
        "exp": NOW + expires_in_s,
        "https://api.openai.com/auth": {"chatgpt_account_id": f"workspace-{user}", "chatgpt_user_id": f"user-{user}"},
    }
    content["tokens"] |= {"id_token": jwt(claims), "access_token": jwt(claims)}
    return content


@pytest.fixture
def home(tmp_path):
    """A home with two accounts, of which the first is active."""
    with AccountStore.open(tmp_path) as store:
        store.add(login(), now=NOW)
        store.add(login("play@example.com"), now=NOW)
    return tmp_path


def look(home, codex_home=None):
    return logins.look(find_places({}, home), codex_home)


def wrong(found, states=None):
    findings = logins.check_accounts(found, NOW, states)
    return [(each.kind, each.level) for each in findings if each.level is not Level.OK]


def change(home, **changes):
    book = json.loads((home / "accounts.json").read_text())
    book["accounts"][0] |= changes
    (home / "accounts.json").write_text(json.dumps(book))
    return book["accounts"][0]["id"]


def own_file(home, place=0):
    book = json.loads((home / "accounts.json").read_text())
    return home / "accounts" / book["accounts"][place]["id"] / "auth.json"


def test_accounts_that_are_fine(home):
    found = look(home)
    assert wrong(found) == []
    assert found.issued_at == pytest.approx([NOW - 100] * 2, abs=1)


def test_no_account(tmp_path):
    assert wrong(look(tmp_path)) == [("no_account", Level.PROBLEM)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"needs_login": "It was ended. Run `codexctl accounts add`."}, [("needs_login", Level.PROBLEM)]),
        ({"disabled": True}, [("disabled", Level.NOTE)]),
        ({"withdrawn": "It was withdrawn."}, [("withdrawn", Level.WARNING)]),
        ({"followed": "/nowhere/auth.json"}, [("login_unreadable", Level.PROBLEM)]),
    ],
)
def test_what_the_list_says_of_the_active_account(home, changes, found):
    change(home, **changes)
    assert wrong(look(home)) == found


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"OPENAI_API_KEY": "sk-marked"}'])
def test_a_login_that_can_not_be_used(home, content):
    file = own_file(home)
    file.unlink()
    if content is not None:
        file.write_text(content)
    findings = list(logins.check_accounts(look(home), NOW))
    assert [each.kind for each in findings if each.level is Level.PROBLEM] == ["login_unreadable"]
    assert "marked" not in findings[0].text


def test_a_broken_login_of_another_account_is_a_warning(home):
    own_file(home, 1).write_text("{")
    assert wrong(look(home)) == [("login_unreadable", Level.WARNING)]


def test_the_login_of_another_account(home):
    own_file(home).write_text(json.dumps(login("play@example.com")))
    assert wrong(look(home)) == [("login_unreadable", Level.PROBLEM)]


def test_an_expired_token_is_no_problem_unless_another_program_has_to_refresh_it(home, tmp_path):
    expired = json.dumps(login(expires_in_s=-5))
    own_file(home).write_text(expired)
    assert wrong(look(home)) == []
    assert "its access token has expired" in next(logins.check_accounts(look(home), time.time())).text
    other = tmp_path / "followed.json"
    other.write_text(expired)
    change(home, followed=str(other))
    assert wrong(look(home)) == [("followed_expired", Level.PROBLEM)]


def test_no_active_account(home):
    book = json.loads((home / "accounts.json").read_text()) | {"active": None}
    (home / "accounts.json").write_text(json.dumps(book))
    *_, last = logins.check_accounts(look(home), NOW)
    assert (last.kind, last.remedy) == ("no_active_account", "codexctl accounts switch work@example.com")


def test_a_broken_list_is_read_from_its_previous_copy(home):
    (home / "accounts.json").write_text("{")
    found = look(home)
    first, *rest = logins.check_accounts(found, NOW)
    assert (first.kind, first.level) == ("accounts_unreadable", Level.PROBLEM)
    assert "its previous copy" in first.text
    assert [each.kind for each in rest] == ["account"]
    assert (home / "accounts.json").read_text() == "{"


def test_a_missing_list(home):
    (home / "accounts.json").unlink()
    assert wrong(look(home)) == [("accounts_missing", Level.PROBLEM)]


def test_a_login_that_the_codex_cli_has_too(home, tmp_path):
    codex_home = tmp_path / "codex"
    codex_home.mkdir()
    (codex_home / "auth.json").write_text(own_file(home).read_text())
    assert wrong(look(home, codex_home)) == [("login_shared", Level.WARNING)]
    (codex_home / "auth.json").write_text(json.dumps(login("else@example.com")))
    assert wrong(look(home, codex_home)) == []
    (codex_home / "auth.json").write_text("{")
    assert wrong(look(home, codex_home)) == []


@pytest.mark.parametrize(
    ("state", "found"),
    [("ok", []), ("limited", [("limited", Level.NOTE)]), ("needs_login", [("refused", Level.PROBLEM)])],
)
def test_what_only_the_daemon_knows(home, state, found):
    assert wrong(look(home), {own_file(home).parent.name: state}) == found


def test_no_mode_is_changed(home):
    own_file(home).chmod(0o644)
    look(home)
    assert own_file(home).stat().st_mode & 0o777 == 0o644


def test_the_secrets_of_a_bundle(home):
    secrets = set(logins.list_secrets(look(home)))
    tokens = json.loads(own_file(home).read_text())["tokens"]
    assert {tokens["access_token"], tokens["refresh_token"], "workspace-work", "user-play"} <= secrets
