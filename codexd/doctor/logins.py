"""The accounts and their logins as they are on disk, whether or not a codexd runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from codexd import jsontext
from codexd.accounts.login import find_workspace, fingerprint, read_claims, read_seconds, read_tokens
from codexd.accounts.model import Account
from codexd.accounts.store.accounts_file import ACCOUNT_ID, Book, parse_book
from codexd.accounts.store.login_file import FILE_NAME, FOLLOWED_ADVICE, Login, parse_login
from codexd.doctor.finding import Finding, find_command, list_paths, note, ok, problem, shell, warning
from codexd.errors import FileUnreadable, LoginFileInvalid
from codexd.files import explain, read_foreign
from codexd.paths import Places

ADD = "codexctl accounts add"


@frozen
class Stored:
    """An account and its login. ``problem`` says why the login can't be used."""

    account: Account
    path: Path
    login: Login | None = field(default=None, repr=False)
    problem: str | None = None


@frozen
class Accounts:
    """What is on disk. ``problem``: why accounts.json can't be used; ``previous``: its previous copy, if readable.

    ``unlisted``: folders of logins that accounts.json does not list. ``codex_cli``: the fingerprint of the refresh
    token that the Codex CLI uses, and where it is.
    """

    path: Path
    exists: bool
    stored: tuple[Stored, ...] = ()
    active: str | None = None
    problem: str | None = None
    previous: Book | None = field(default=None, repr=False)
    unlisted: tuple[Path, ...] = ()
    codex_cli: tuple[str, Path] | None = None

    @property
    def issued_at(self) -> tuple[float, ...]:
        """When the access tokens were issued, as far as they say so, in seconds since the epoch."""
        tokens = (each.login.tokens.access_token for each in self.stored if each.login)
        found = (read_seconds((read_claims(token) or {}).get("iat")) for token in tokens)
        return tuple(at for at in found if at is not None)


# -- looking --------------------------------------------------------------------------------------


def look(places: Places, codex_home: Path | None) -> Accounts:
    """Read the accounts. ``codex_home``: the Codex CLI's folder. No file and no mode is changed."""
    path, folder = places.accounts, places.state_dir / "accounts"
    book, reason = _read_book(path)
    previous, _ = _read_book(path.with_name(f"{path.name}.previous"))
    listed = book or previous or Book()
    stored = tuple(_read_stored(account, folder) for account in listed.accounts)
    known = {account.id for account in listed.accounts}
    try:
        unlisted = tuple(
            each for each in sorted(folder.iterdir()) if ACCOUNT_ID.fullmatch(each.name) and each.name not in known
        )
    except OSError:
        unlisted = ()
    return Accounts(
        path=path,
        exists=book is not None or reason is not None,
        stored=stored,
        active=listed.active,
        problem=reason,
        previous=previous,
        unlisted=unlisted,
        codex_cli=_read_codex_cli(codex_home),
    )


def _read_book(path: Path) -> tuple[Book | None, str | None]:
    """The content of the file, or why it can't be used; neither if there is no file."""
    try:
        return parse_book(read_foreign(path)), None
    except FileNotFoundError:
        return None, None
    except OSError as error:
        return None, explain(error, path)
    except FileUnreadable as error:
        return None, f"{path} can't be used: {error}."


def _read_stored(account: Account, folder: Path) -> Stored:
    path = Path(account.followed) if account.followed else folder / account.id / FILE_NAME
    advice = FOLLOWED_ADVICE if account.followed else f"Run `{ADD}` to sign in again."
    found = Stored(account, path)
    try:
        login = parse_login(_read_object(path))
    except FileNotFoundError:
        return evolve(found, problem=f"{path} is missing. {advice}")
    except OSError as error:
        return evolve(found, problem=explain(error, path))
    except LoginFileInvalid as error:
        return evolve(found, problem=f"{path} can't be used: {error}")
    if login.identity.account_id != account.id:
        return evolve(found, problem=f"{path} holds the login of another account. {advice}")
    return evolve(found, login=login)


def _read_object(path: Path) -> Mapping[str, object]:
    """Raises OSError, LoginFileInvalid."""
    try:
        content = jsontext.loads(read_foreign(path))
    except ValueError as error:
        raise LoginFileInvalid(f"it is not JSON ({error}). Run `{ADD}` to sign in again.") from None
    if not isinstance(content, dict):
        raise LoginFileInvalid(f"it is not a JSON object. Run `{ADD}` to sign in again.")
    return content


def _read_codex_cli(codex_home: Path | None) -> tuple[str, Path] | None:
    if codex_home is None:
        return None
    path = codex_home / FILE_NAME
    try:
        return fingerprint(read_tokens(_read_object(path)).refresh_token), path
    except (OSError, LoginFileInvalid):
        return None


# -- checking -------------------------------------------------------------------------------------


def check_accounts(found: Accounts, now: float, states: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """The list of accounts and each of them. ``states``: what the daemon says of each account, by its id."""
    if found.problem:
        source = "its previous copy and the accounts' folders" if found.previous else "the accounts' folders"
        rescue = f" codexd finds the accounts in {source}, and keeps the broken file."
        text = f"{found.problem}{rescue if found.previous or found.unlisted else ''}"
        yield problem("accounts_unreadable", found.path, text, shell("ls -l", found.path))
    elif not found.exists and (found.previous is not None or found.unlisted):
        text = f"{found.path} is missing. codexd finds the accounts in its previous copy and their folders."
        yield problem("accounts_missing", found.path, text, "codexctl accounts")
    elif not found.stored and not found.unlisted:
        yield problem("no_account", found.path, "There is no account yet.", ADD)
    if found.unlisted and found.exists and not found.problem:
        text = f"accounts.json does not list {list_paths(found.unlisted)}. The next start adopts what is in there."
        yield note("login_unlisted", list_paths(found.unlisted), text)
    for each in found.stored:
        yield from _check_account(each, found, now, (states or {}).get(each.account.id))
    if found.stored and found.active is None:
        usable = next((each.account.name for each in found.stored if each.login), found.stored[0].account.name)
        text = "No account is active."
        yield problem("no_active_account", found.path, text, shell("codexctl accounts switch", usable))


def _check_account(each: Stored, found: Accounts, now: float, state: str | None) -> Iterator[Finding]:
    account, label, is_active = each.account, each.account.label, each.account.id == found.active
    complain = problem if is_active and not account.disabled else warning
    sign_in = find_command(each.problem or "") or ADD
    expires_at = each.login.tokens.expires_at if each.login else 0.0
    if each.problem:
        yield complain("login_unreadable", label, f"{label}: {each.problem}", sign_in)
    elif account.needs_login:
        text = f"{label} needs a new login. {account.needs_login}"
        yield complain("needs_login", label, text, find_command(account.needs_login) or ADD)
    elif account.disabled:
        yield note("disabled", label, f"{label} is disabled.", shell("codexctl accounts enable", account.name))
    elif account.withdrawn:
        text = f"{label} works only until its access token expires. {account.withdrawn}"
        yield warning("withdrawn", label, text, find_command(account.withdrawn) or ADD)
    elif account.followed and expires_at <= now:
        text = f"{label}: the access token in {each.path}, which this account follows, has expired. {FOLLOWED_ADVICE}"
        yield complain("followed_expired", label, text, "codex login")
    elif state == "limited":
        yield note("limited", label, f"{label} is limited now.", "codexctl quota")
    elif state == "needs_login":
        yield complain("refused", label, f"{label} needs a new login: the backend refuses it.", ADD)
    else:
        active = ", active" if is_active else ""
        soon = "" if expires_at > now else "; its access token has expired, and the next request refreshes it"
        yield ok("account", label, f"{label} ({account.plan}{active}){soon}.")
    if each.login and not account.followed:
        yield from _check_sharing(each, each.login, found)


def _check_sharing(each: Stored, login: Login, found: Accounts) -> Iterator[Finding]:
    if found.codex_cli and found.codex_cli[0] == fingerprint(login.tokens.refresh_token):
        yield warning(
            "login_shared",
            each.account.label,
            f"{each.account.label} and the Codex CLI ({found.codex_cli[1]}) hold the same login. A refresh token works "
            "once, so the first of them to refresh it logs the other out. Give codexd a login of its own.",
            ADD,
        )
    workspace = find_workspace(login.tokens.access_token)
    if workspace and workspace != each.account.chatgpt_account_id:
        text = f"The access token of {each.account.label} is for another workspace than the account."
        yield warning("workspace_differs", each.account.label, text, ADD)


def list_secrets(found: Accounts) -> Iterator[str]:
    """What must not leave this machine: tokens, and who the accounts belong to."""
    for each in found.stored:
        yield from (each.account.chatgpt_account_id, each.account.user_id)
        if each.login:
            tokens = each.login.tokens
            yield from filter(None, (tokens.access_token, tokens.refresh_token, tokens.id_token))
