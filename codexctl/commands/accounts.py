"""The commands for accounts and what their plans offer: ``codexctl accounts``, ``quota`` and ``models``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codexctl.command import EXIT_REFUSED, EXIT_USAGE, Command, Invocation, Stop, Values, argument
from codexctl.render import accounts as render_accounts
from codexctl.render.format import name_of
from codexctl.terminal import confirm, has_input_terminal

SERVER_TIMEOUT_S = 600.0
"""How long the daemon may take to ask servers about each account in turn."""

KNOWN_SOURCES = ("codex", "codex-claude-proxy")


def _list_accounts(invocation: Invocation) -> None:
    render = render_accounts.accounts_with_ids if invocation.arguments.ids else render_accounts.accounts
    invocation.show(invocation.call("accounts.list"), render)


def _add_account(invocation: Invocation) -> None:
    from codexctl.commands.sign_in import sign_in  # noqa: PLC0415 - the other commands start faster without

    sign_in(invocation)


def _import_accounts(invocation: Invocation) -> None:
    given = invocation.arguments
    source = given.source
    if source not in KNOWN_SOURCES:
        source = str(Path(source).expanduser().absolute())  # the daemon runs in another folder
    params = {"source": source} | ({"follow": True} if given.follow else {})
    result = invocation.call("accounts.import", params, doing="reading the login")
    invocation.show(result, render_accounts.imported)
    if not (result["added"] or result["updated"] or result["kept"]):
        raise Stop(EXIT_REFUSED)


def _switch_account(invocation: Invocation) -> None:
    given = invocation.arguments
    params = {"account": given.account} | ({"dry_run": True} if given.dry_run else {})
    invocation.show(invocation.call("accounts.switch", params), render_accounts.switched)


def _remove_account(invocation: Invocation) -> None:
    _check_can_ask(invocation)
    name = invocation.arguments.account
    if not invocation.arguments.yes:
        # Not for the quota, but because this finds the account that the beginning of a name stands for.
        account = invocation.call("accounts.quota", {"account": name})["accounts"][0]["account"]
        name = account["id"]
        _ask(f"Sign out {name_of(account)} for good?")
    result = invocation.call(
        "accounts.remove", {"account": name}, reply_timeout_s=SERVER_TIMEOUT_S, doing="ending the login"
    )
    invocation.show(result, render_accounts.removed)


def _clear_accounts(invocation: Invocation) -> None:
    _check_can_ask(invocation)
    if not invocation.arguments.yes:
        listed = invocation.call("accounts.list")["accounts"]
        names = ", ".join(name_of(account) for account in listed)
        if listed:
            _ask(f"Sign out of all accounts for good ({names})?")
    result = invocation.call("accounts.clear", reply_timeout_s=SERVER_TIMEOUT_S, doing="ending the logins")
    invocation.show(result, render_accounts.cleared)


def _check_can_ask(invocation: Invocation) -> None:
    if not invocation.arguments.yes and not has_input_terminal():
        raise Stop(
            EXIT_USAGE, "this signs out for good, and there is no terminal to confirm it on. Add --yes to go ahead."
        )


def _ask(question: str) -> None:
    if not confirm(question):
        raise Stop(EXIT_REFUSED, "nothing was removed.")


def _refresh_accounts(invocation: Invocation) -> None:
    _check_accounts(invocation, "accounts.refresh", doing="asking the sign-in server for new tokens")


def _verify_accounts(invocation: Invocation) -> None:
    _check_accounts(invocation, "accounts.verify", doing="asking the backend")


def _check_accounts(invocation: Invocation, method: str, doing: str) -> None:
    result = invocation.call(method, _account_or_all(invocation), reply_timeout_s=SERVER_TIMEOUT_S, doing=doing)
    invocation.show(result, render_accounts.checked)
    if not all(each["ok"] for each in result["results"]):
        raise Stop(EXIT_REFUSED)


def _enable_account(invocation: Invocation) -> None:
    result = invocation.call("accounts.enable", {"account": invocation.arguments.account})
    invocation.show(result, render_accounts.changed)


def _disable_account(invocation: Invocation) -> None:
    result = invocation.call("accounts.disable", {"account": invocation.arguments.account})
    invocation.show(result, render_accounts.changed)


def _print_token(invocation: Invocation) -> None:
    invocation.show(invocation.call("accounts.token", _account(invocation)), render_accounts.access_token)


def _quota(invocation: Invocation) -> None:
    from codexctl.render import plans as render_plans  # noqa: PLC0415 - as above

    params = _account_or_all(invocation) | ({"refresh": True} if invocation.arguments.refresh else {})
    result = invocation.call(
        "accounts.quota", params, reply_timeout_s=SERVER_TIMEOUT_S, doing="asking the backend for new figures"
    )
    invocation.show(result, render_plans.quotas)


def _models(invocation: Invocation) -> None:
    from codexctl.render import plans as render_plans  # noqa: PLC0415 - as above

    params = _account(invocation) | ({"refresh": True} if invocation.arguments.refresh else {})
    result = invocation.call(
        "accounts.models", params, reply_timeout_s=SERVER_TIMEOUT_S, doing="asking the backend for its models"
    )
    if not invocation.arguments.all:
        result["models"] = [model for model in result["models"] if model["listed"] or model["used_by"]]
    invocation.show(result, render_plans.models)


def _account(invocation: Invocation) -> dict[str, Any]:
    name = invocation.arguments.account
    return {} if name is None else {"account": name}


def _account_or_all(invocation: Invocation) -> dict[str, Any]:
    return {"all": True} if invocation.arguments.all else _account(invocation)


_NAME_HELP = "label, email or id of an account, or a unique beginning of one"
_NAME = argument("account", metavar="NAME", help=_NAME_HELP, values=Values.ACCOUNTS)
_MAYBE_NAME = argument(
    "account", nargs="?", metavar="NAME", help=f"{_NAME_HELP} (default: the active account)", values=Values.ACCOUNTS
)
_ALL = argument("--all", action="store_true", help="all accounts")
_YES = argument("--yes", action="store_true", help="do not ask for confirmation")
_IDS = argument("--ids", action="store_true", help="show the ids of accounts and workspaces too")

COMMANDS = (
    Command(
        ("accounts",),
        "List accounts, or manage them",
        "codexctl accounts\ncodexctl accounts --ids",
        _list_accounts,
        (_IDS,),
    ),
    Command(
        ("accounts", "list"),
        "List accounts",
        "codexctl accounts list\ncodexctl accounts list --json",
        _list_accounts,
        (_IDS,),
    ),
    Command(
        ("accounts", "add"),
        "Sign in to a ChatGPT account",
        "codexctl accounts add\ncodexctl accounts add --device\ncodexctl accounts add --no-browser\n"
        "codexctl accounts add --cancel",
        _add_account,
        alternatives=(
            argument(
                "--no-browser", action="store_true", help="sign in on any machine, then paste the final address here"
            ),
            argument("--device", action="store_true", help="enter a code in a browser on any device"),
            argument("--cancel", action="store_true", help="cancel the sign-ins that are under way, and start none"),
        ),
        details="By default, opens the browser on this machine; codexd notices when you have signed in. Closing the "
        "terminal cancels the sign-in.",
    ),
    Command(
        ("accounts", "import"),
        "Import logins from another program or from a file",
        "codexctl accounts import\ncodexctl accounts import codex --follow\ncodexctl accounts import ~/auth.json",
        _import_accounts,
        (
            argument(
                "source",
                nargs="?",
                default="codex",
                metavar="SOURCE",
                help="codex (the default: the Codex CLI's login), codex-claude-proxy, or the path of an auth.json or "
                "its folder",
                values=Values.FILES,
            ),
            argument("--follow", action="store_true", help="keep reading the login from there, and never refresh it"),
        ),
    ),
    Command(
        ("accounts", "switch"),
        "Make an account the active one",
        "codexctl accounts switch work@example.com\ncodexctl accounts switch work --dry-run",
        _switch_account,
        (_NAME, argument("--dry-run", action="store_true", help="only show what the switch would cost")),
        details="Running requests finish on the account they started on.",
    ),
    Command(
        ("accounts", "remove"),
        "Sign out of an account for good",
        "codexctl accounts remove work@example.com\ncodexctl accounts remove work --yes",
        _remove_account,
        (_NAME, _YES),
    ),
    Command(
        ("accounts", "clear"),
        "Sign out of all accounts for good",
        "codexctl accounts clear\ncodexctl accounts clear --yes",
        _clear_accounts,
        (_YES,),
    ),
    Command(
        ("accounts", "refresh"),
        "Refresh access tokens now",
        "codexctl accounts refresh\ncodexctl accounts refresh --all",
        _refresh_accounts,
        alternatives=(_MAYBE_NAME, _ALL),
        details="The exit status is 1 if a refresh fails.",
    ),
    Command(
        ("accounts", "verify"),
        "Ask the backend whether logins work",
        "codexctl accounts verify\ncodexctl accounts verify work@example.com\ncodexctl accounts verify --all",
        _verify_accounts,
        alternatives=(_MAYBE_NAME, _ALL),
        details="The exit status is 1 if a login does not work.",
    ),
    Command(
        ("accounts", "enable"),
        "Use an account again, and forget that it hit a limit",
        "codexctl accounts enable work@example.com\ncodexctl accounts enable work",
        _enable_account,
        (_NAME,),
    ),
    Command(
        ("accounts", "disable"),
        "Stop using an account",
        "codexctl accounts disable work@example.com\ncodexctl accounts disable work --json",
        _disable_account,
        (_NAME,),
        details="Its login is still kept fresh.",
    ),
    Command(
        ("accounts", "token"),
        "Print a fresh access token, for scripts",
        "codexctl accounts token\ncodexctl accounts token work --json",
        _print_token,
        (_MAYBE_NAME,),
    ),
    Command(
        ("quota",),
        "Show how much of a plan is used",
        "codexctl quota\ncodexctl quota work\ncodexctl quota --all --refresh",
        _quota,
        (argument("--refresh", action="store_true", help="ask the backend for new figures first"),),
        alternatives=(_MAYBE_NAME, _ALL),
    ),
    Command(
        ("models",),
        "List the models that the backend offers an account",
        "codexctl models\ncodexctl models work --all\ncodexctl models --refresh",
        _models,
        (
            _MAYBE_NAME,
            argument("--all", action="store_true", help="include hidden models"),
            argument("--refresh", action="store_true", help="ask the backend for a new list first"),
        ),
        details="The SETTINGS column lists your aliases and the models.* settings (without the prefix) that currently "
        "lead to a model.",
    ),
)
