"""The commands on accounts, and on what their plans give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codexctl.invocation import EXIT_REFUSED, EXIT_USAGE, Command, Invocation, Stop, Values, argument
from codexctl.render import accounts as render_accounts
from codexctl.render.base import name_of
from codexctl.terminal import confirm, has_input_terminal

SLOW_S = 600.0
"""How long the daemon may ask servers about accounts, one after the other."""

KNOWN_SOURCES = ("codex", "codex-claude-proxy")


def _list_accounts(invocation: Invocation) -> None:
    invocation.show(invocation.call("accounts.list"), render_accounts.accounts)


def _add_account(invocation: Invocation) -> None:
    from codexctl.sign_in import sign_in  # noqa: PLC0415 - the commands that do without start faster

    sign_in(invocation)


def _import_accounts(invocation: Invocation) -> None:
    given = invocation.arguments
    source = given.source
    if source not in KNOWN_SOURCES:
        source = str(Path(source).expanduser().absolute())  # the daemon's current folder is another one
    params = {"source": source} | ({"follow": True} if given.follow else {})
    result = invocation.call("accounts.import", params)
    invocation.show(result, render_accounts.imported)
    if not (result["added"] or result["updated"] or result["kept"]):
        raise Stop(EXIT_REFUSED)


def _switch_account(invocation: Invocation) -> None:
    given = invocation.arguments
    params = {"account": given.account} | ({"dry_run": True} if given.dry_run else {})
    invocation.show(invocation.call("accounts.switch", params), render_accounts.switched)


def _remove_account(invocation: Invocation) -> None:
    _check_askable(invocation)
    name = invocation.arguments.account
    if not invocation.arguments.yes:
        # Asks for no quota, but whom a beginning of a name means.
        account = invocation.call("accounts.quota", {"account": name})["accounts"][0]["account"]
        name = account["id"]
        _ask(f"Sign {name_of(account)} out for good?")
    result = invocation.call("accounts.remove", {"account": name}, reply_timeout_s=SLOW_S)
    invocation.show(result, render_accounts.removed)


def _clear_accounts(invocation: Invocation) -> None:
    _check_askable(invocation)
    if not invocation.arguments.yes:
        listed = invocation.call("accounts.list")["accounts"]
        names = ", ".join(name_of(account) for account in listed)
        if listed:
            _ask(f"Sign out for good: {names}?")
    invocation.show(invocation.call("accounts.clear", reply_timeout_s=SLOW_S), render_accounts.cleared)


def _check_askable(invocation: Invocation) -> None:
    if not invocation.arguments.yes and not has_input_terminal():
        raise Stop(EXIT_USAGE, "this ends logins for good, and there is no terminal to ask at. Add --yes to do it.")


def _ask(question: str) -> None:
    if not confirm(question):
        raise Stop(EXIT_REFUSED, "nothing was removed.")


def _refresh_accounts(invocation: Invocation) -> None:
    _check_accounts(invocation, "accounts.refresh")


def _verify_accounts(invocation: Invocation) -> None:
    _check_accounts(invocation, "accounts.verify")


def _check_accounts(invocation: Invocation, method: str) -> None:
    result = invocation.call(method, _chosen(invocation), reply_timeout_s=SLOW_S)
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
    invocation.show(invocation.call("accounts.token", _named(invocation)), render_accounts.access_token)


def _quota(invocation: Invocation) -> None:
    from codexctl.render import plans as render_plans  # noqa: PLC0415 - as above

    params = _chosen(invocation) | ({"refresh": True} if invocation.arguments.refresh else {})
    invocation.show(invocation.call("accounts.quota", params, reply_timeout_s=SLOW_S), render_plans.quotas)


def _models(invocation: Invocation) -> None:
    from codexctl.render import plans as render_plans  # noqa: PLC0415 - as above

    params = _named(invocation) | ({"refresh": True} if invocation.arguments.refresh else {})
    result = invocation.call("accounts.models", params, reply_timeout_s=SLOW_S)
    if not invocation.arguments.all:
        result["models"] = [model for model in result["models"] if model["listed"] or model["used_by"]]
    invocation.show(result, render_plans.models)


def _named(invocation: Invocation) -> dict[str, Any]:
    name = invocation.arguments.account
    return {} if name is None else {"account": name}


def _chosen(invocation: Invocation) -> dict[str, Any]:
    return {"all": True} if invocation.arguments.all else _named(invocation)


_NAME_HELP = "email, id, workspace id, or a unique beginning of one"
_NAME = argument("account", metavar="NAME", help=_NAME_HELP, values=Values.ACCOUNTS)
_MAYBE_NAME = argument(
    "account", nargs="?", metavar="NAME", help=f"{_NAME_HELP} (default: the active account)", values=Values.ACCOUNTS
)
_ALL = argument("--all", action="store_true", help="every account")
_YES = argument("--yes", action="store_true", help="do not ask")

ACCOUNT_COMMANDS = (
    Command(("accounts",), "List the accounts, or work on them", "codexctl accounts", _list_accounts),
    Command(("accounts", "list"), "List the accounts", "codexctl accounts list --json", _list_accounts),
    Command(
        ("accounts", "add"),
        "Sign in to a ChatGPT account",
        "codexctl accounts add --device",
        _add_account,
        alternatives=(
            argument("--no-browser", action="store_true", help="open the address anywhere, and paste where it ends"),
            argument("--device", action="store_true", help="type a code on a page, on any device"),
        ),
        details="By default in the browser of this machine, which comes back to codexd by itself.",
    ),
    Command(
        ("accounts", "import"),
        "Take over logins from another program or from a file",
        "codexctl accounts import codex --follow",
        _import_accounts,
        (
            argument(
                "source",
                nargs="?",
                default="codex",
                metavar="SOURCE",
                help="codex (the default: the Codex CLI's own login), codex-claude-proxy, "
                "or the path of an auth.json or its folder",
                values=Values.FILES,
            ),
            argument("--follow", action="store_true", help="leave the login to its owner: read it, never refresh it"),
        ),
    ),
    Command(
        ("accounts", "switch"),
        "Make an account the active one",
        "codexctl accounts switch work@example.com --dry-run",
        _switch_account,
        (_NAME, argument("--dry-run", action="store_true", help="only say what it would cost")),
        details="Requests under way finish on the account that they began on.",
    ),
    Command(
        ("accounts", "remove"),
        "Sign an account out for good",
        "codexctl accounts remove work@example.com",
        _remove_account,
        (_NAME, _YES),
    ),
    Command(
        ("accounts", "clear"),
        "Sign every account out for good",
        "codexctl accounts clear --yes",
        _clear_accounts,
        (_YES,),
    ),
    Command(
        ("accounts", "refresh"),
        "Refresh access tokens now",
        "codexctl accounts refresh --all",
        _refresh_accounts,
        alternatives=(_MAYBE_NAME, _ALL),
        details="Exit status 1 when one failed.",
    ),
    Command(
        ("accounts", "verify"),
        "Ask the backend whether logins work",
        "codexctl accounts verify work@example.com",
        _verify_accounts,
        alternatives=(_MAYBE_NAME, _ALL),
        details="Exit status 1 when one does not.",
    ),
    Command(
        ("accounts", "enable"),
        "Use an account again, and forget a limit that it hit",
        "codexctl accounts enable work@example.com",
        _enable_account,
        (_NAME,),
    ),
    Command(
        ("accounts", "disable"),
        "Take an account out of use",
        "codexctl accounts disable work@example.com",
        _disable_account,
        (_NAME,),
        details="Its login is kept fresh all the same.",
    ),
    Command(
        ("accounts", "token"),
        "Print a fresh access token, for scripts",
        "codexctl accounts token",
        _print_token,
        (_MAYBE_NAME,),
    ),
    Command(
        ("quota",),
        "Show what is left of a plan",
        "codexctl quota --refresh",
        _quota,
        (argument("--refresh", action="store_true", help="ask the backend first"),),
        alternatives=(_MAYBE_NAME, _ALL),
    ),
    Command(
        ("models",),
        "List the models that the backend offers an account",
        "codexctl models",
        _models,
        (
            _MAYBE_NAME,
            argument("--all", action="store_true", help="also those not meant to be chosen by people"),
            argument("--refresh", action="store_true", help="ask the backend first"),
        ),
        details="SETTINGS: the settings models.* that lead to a model now, without their first word, and your aliases.",
    ),
)
