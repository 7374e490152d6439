"""For each kind of error: what happens next by itself, and what the user can do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from codexd import errors
from codexd.errors import CodexdError
from codexd.record.snapshot import CLIENT_LEFT_KIND
from codexd.translation.client_api import Client


@frozen
class Advice:
    """``by_itself`` is what happens without the user's help, ``to_do`` what the user can do.

    In the tables, both have names in braces, which ``find_advice`` fills in.
    """

    by_itself: str
    to_do: str


def find_advice(kind: str, *, request_id: str, third_party: str | None = None, caller: Client = Client.OTHER) -> Advice:
    """The advice for an error's ``kind``.

    ``third_party`` is the host that the request went to instead of the backend; ``caller`` is who sent it.
    """
    advice = (_BY_KIND_OF_THIRD_PARTY if third_party else _BY_KIND).get(kind, _BY_CLASS[CodexdError])
    habits = {habit: words[caller] for habit, words in _HABITS.items()}
    names = {"id": request_id, "host": third_party, **habits}
    return Advice(advice.by_itself.format_map(names), advice.to_do.format_map(names))


_RETRIES, _COMPACTS, _STARTS_OVER = "{retries}", "{compacts}", "{starts_over}"
_HABITS: Mapping[str, Mapping[Client, str]] = {
    "retries": {
        Client.CLAUDE_CODE: "Claude Code tries again automatically, up to ten times.",
        Client.CODEX: "The Codex CLI tries again automatically, up to five times.",
        Client.OTHER: "Most clients try again automatically.",
    },
    "compacts": {
        Client.CLAUDE_CODE: "Claude Code compacts the conversation automatically and continues.",
        Client.CODEX: "The Codex CLI stops, and its next turn compacts the conversation.",
        Client.OTHER: "Some clients make the conversation smaller and continue.",
    },
    "starts_over": {
        Client.CLAUDE_CODE: "Claude Code asks once more, for the whole answer in one piece.",
        Client.CODEX: "The Codex CLI starts over, up to five times.",
        Client.OTHER: "Most clients keep what has arrived and show the error.",
    },
}
"""What each client does by itself."""

_REFUSED_AGAIN = "The same request will be refused again."
_SWITCH = "`codexctl accounts switch NAME` switches to another account"
_REPORT = "`codexctl logs --request {id}` shows what codexd logged about it; include that in a report."
_OTHER_MODELS = "Every other model name goes to your ChatGPT plan."
_SHRINK = "Make the conversation smaller with `/compact`, or send fewer images."
_PROXY = Advice(
    _RETRIES,
    "Check that the proxy runs and accepts codexd's user and password. The environment in which codexd was started "
    "names it (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY); after changing that, restart codexd.",
)

_BY_CLASS: Mapping[type[CodexdError], Advice] = {
    CodexdError: Advice("Other requests are not affected.", f"This is a bug in codexd. {_REPORT}"),
    errors.ShuttingDown: Advice(
        "codexd accepts no requests until it runs again.", "Send the request again once `codexctl status` answers."
    ),
    errors.RequestCancelled: Advice(
        "The answer was stopped at its source. If the client sends it again right away, codexd refuses that too.",
        "There is nothing to do. If you did not mean to cancel it, ask again.",
    ),
    errors.RequestRefused: Advice(
        f"{_REFUSED_AGAIN} No part of it reached the backend.",
        "The error says what the client has to send instead. Unless the README says that codexd can't do it, this is "
        f"a bug in codexd: {_REPORT}",
    ),
    errors.RequestTooLarge: Advice(_REFUSED_AGAIN, _SHRINK),
    errors.KeyRejected: Advice(
        _REFUSED_AGAIN,
        "Give the client the key of the setting server.api_key, as `codexctl claude proxy` and `codexctl codex proxy` "
        "do.",
    ),
    errors.Forbidden: Advice(
        _REFUSED_AGAIN,
        "Use the address http://127.0.0.1, or let the name or origin in with the setting server.allowed_hosts or "
        "server.allowed_origins.",
    ),
    errors.NoSuchRoute: Advice(
        _REFUSED_AGAIN,
        "Check the client's base URL: it ends in /v1 for OpenAI's clients, and with the port for Anthropic's.",
    ),
    errors.MethodNotAllowed: Advice(_REFUSED_AGAIN, "Check how the client is set up; the README lists the routes."),
    errors.KiloDisabled: Advice(
        "codexd refuses the model name kilo until you opt in. No part of this request left the machine.",
        f"`codexctl settings set kilo.enabled true` opts in. {_OTHER_MODELS}",
    ),
    errors.AccountError: Advice(
        "codexd chooses an account again for the next request.", "`codexctl accounts` shows the state of each account."
    ),
    errors.NoAccount: Advice(
        "No request can be served until an account is active.",
        "Sign in with `codexctl accounts add`, import an existing login with `codexctl accounts import`, or activate "
        "an account with `codexctl accounts switch NAME`.",
    ),
    errors.AccountDisabled: Advice(
        "The account stays out of use until you enable it.",
        f"`codexctl accounts enable NAME` enables it; {_SWITCH}.",
    ),
    errors.AccountNeedsLogin: Advice(
        "Requests to this account fail until you sign in to it again.",
        f"`codexctl accounts add` signs in; {_SWITCH}.",
    ),
    errors.FreshTokenRefused: Advice(
        "The login can be refreshed, so codexd does that and asks again for each request.",
        f"`codexctl accounts add` signs in again. If that does not help, check the account at chatgpt.com; {_SWITCH}.",
    ),
    errors.FollowedLoginStale: Advice(
        "codexd reads the login's file again for each request.",
        "Start the program that owns the login, such as `codex`, once to refresh the login.",
    ),
    errors.RefreshUnavailable: Advice(
        "The login is intact. codexd keeps trying to refresh it, at growing intervals.",
        "Check whether this machine can reach the sign-in server (setting upstream.auth_url).",
    ),
    errors.LoginNotSavable: Advice(
        "The login is intact. A refresh would retire it, so codexd refreshes it once the new one can be saved.",
        "Free disk space, or make codexd's state folder writable; the error names it.",
    ),
    errors.UpstreamError: Advice(_RETRIES, _REPORT),
    errors.ContextOverflow: Advice(
        _COMPACTS,
        "`/compact` or `/clear` makes the conversation smaller. In other clients, start a new one.",
    ),
    errors.UsageLimitReached: Advice(
        "The account is available again once its rate-limit window resets.",
        f"{_SWITCH}; `codexctl settings set rotation.enabled true` lets codexd switch automatically.",
    ),
    errors.AllAccountsLimited: Advice(
        "Each account is available again once its rate-limit window resets; codexd then uses it automatically.",
        "`codexctl quota` shows when. `codexctl accounts add` adds another account.",
    ),
    errors.CreditsUsedUp: Advice(
        "codexd leaves the account alone for an hour, or until the backend reports that it may be used again.",
        f"The owner of the workspace can add credits or raise the limit. {_SWITCH}.",
    ),
    errors.RateLimited: Advice(
        "codexd waits for limits of a few seconds itself; clients try again after longer ones.",
        f"Send fewer requests at once. {_SWITCH}.",
    ),
    errors.Busy: Advice(_RETRIES, "`codexctl status --verbose` shows what is in use. Send fewer requests at once."),
    errors.Overloaded: Advice(
        _RETRIES,
        "Try again later, or ask for another model: `codexctl models` lists them, and the names that lead to each.",
    ),
    errors.PlanRefused: Advice(
        "Requests to this account will be refused until its plan changes.",
        f"Check the account's plan at chatgpt.com. {_SWITCH}.",
    ),
    errors.WorkspaceRefused: Advice(
        "Requests to this account will be refused until its workspace allows them.",
        f"Ask the workspace's administrator, or sign in to another workspace with `codexctl accounts add`. {_SWITCH}.",
    ),
    errors.RegionRefused: Advice(
        "Requests to this account will be refused as long as they come from another region than its workspace's.",
        f"A new login will not help. {_SWITCH}.",
    ),
    errors.RouteMissing: Advice(
        "Requests to this account will be refused until OpenAI can route its workspace again.",
        f"A new login will not help: try again later. {_SWITCH}.",
    ),
    errors.CountryRefused: Advice(
        "Every account is refused from here.",
        "Check the VPN or proxy that the connection to the backend goes through. A new login will not help.",
    ),
    errors.ModelRefused: Advice(
        "Until the account's list of models changes, codexd uses the next model in the setting, if there is one.",
        "`codexctl models` lists the models of the account; `codexctl settings` shows which name leads to which.",
    ),
    errors.KiloRefused: Advice(
        "Requests for the model name kilo fail until you choose another model.",
        f"`codexctl settings set kilo.model NAME` chooses one that kilo.ai serves for free. {_OTHER_MODELS}",
    ),
    errors.PolicyRefused: Advice(
        "The same text will be refused again.", "Rephrase the request, or start a new conversation."
    ),
    errors.StaleReasoning: Advice(
        "codexd tried again without the earlier reasoning, and that failed too.",
        "Start a new conversation (`/clear`): it sends no earlier reasoning.",
    ),
    errors.UpstreamRejected: Advice(
        _REFUSED_AGAIN,
        f"The backend could not use what the client sent, or what codexd made of it. {_REPORT}",
    ),
    errors.SchemaRefused: Advice(
        "The client sends its tools with every request, so each one will be refused until the schema changes.",
        "Disable the tool that the error names, or the MCP server that it comes from. Unless a Codex client sent it, "
        f"codexd should have repaired the schema: {_REPORT}",
    ),
    errors.UpstreamTooLarge: Advice(_REFUSED_AGAIN, _SHRINK),
    errors.UpstreamBlocked: Advice(
        "codexd tried twice. The block is temporary, and the login is fine.",
        "Wait a few minutes, or try without a VPN or on another network.",
    ),
    errors.UpstreamFailed: Advice(
        _RETRIES,
        "If it keeps failing, check status.openai.com, and whether this machine can reach the backend "
        "(setting upstream.backend_url).",
    ),
    errors.ProxyFailed: _PROXY,
    errors.EmptyAnswer: Advice("codexd asked twice, and both answers were empty.", "Rephrase the request."),
    errors.UpstreamTimeout: Advice(
        _RETRIES,
        "If answers need more time, raise the setting upstream.idle_timeout; on a slow connection, raise "
        "upstream.connect_timeout.",
    ),
    errors.BackendSilent: Advice(
        f"{_RETRIES} If the backend stays silent a second time, the client gets an error that it shows at once.",
        "If the backend needs more time before it begins to answer, raise the setting upstream.first_event_timeout.",
    ),
    errors.StillSilent: Advice(
        "codexd told the client not to try again.",
        "Ask again later, or ask for another model: `codexctl models` lists them. If it happens often, check the "
        "network, VPN or proxy, and status.openai.com.",
    ),
    errors.StreamBroken: Advice(
        _STARTS_OVER,
        "If it happens often, check the network, VPN or proxy between this machine and the backend.",
    ),
}

_OTHER_FREE = (
    "choose another free model (`codexctl settings set kilo.model NAME`), or any other model name, which goes to your "
    "ChatGPT plan."
)

_BY_CLASS_OF_THIRD_PARTY: Mapping[type[CodexdError], Advice] = {
    **{found: advice for found, advice in _BY_CLASS.items() if not issubclass(found, errors.UpstreamError)},
    errors.UpstreamError: Advice(_RETRIES, f"If it keeps failing, {_OTHER_FREE}"),
    errors.RateLimited: Advice(
        "{host} limits how often each IP address may use its free models; clients try again automatically.",
        f"Wait a while, or {_OTHER_FREE}",
    ),
    errors.ContextOverflow: Advice(
        _BY_CLASS[errors.ContextOverflow].by_itself,
        f"`/compact` or `/clear` makes the conversation smaller. For a larger context window, {_OTHER_FREE}",
    ),
    errors.KiloRefused: _BY_CLASS[errors.KiloRefused],
    errors.PolicyRefused: _BY_CLASS[errors.PolicyRefused],
    errors.UpstreamTooLarge: _BY_CLASS[errors.UpstreamTooLarge],
    errors.UpstreamRejected: Advice(
        _REFUSED_AGAIN, f"The model may not accept what the client sent: {_OTHER_FREE} {_REPORT}"
    ),
    errors.UpstreamFailed: Advice(
        _RETRIES,
        f"If it keeps failing, check whether this machine can reach {{host}} (setting kilo.url), or {_OTHER_FREE}",
    ),
    errors.ProxyFailed: _PROXY,
    errors.EmptyAnswer: Advice("codexd does not ask again.", f"Rephrase the request, or {_OTHER_FREE}"),
    errors.UpstreamTimeout: Advice(
        _RETRIES, f"If answers need more time, raise the setting upstream.idle_timeout, or {_OTHER_FREE}"
    ),
    errors.StreamBroken: Advice(
        _BY_CLASS[errors.StreamBroken].by_itself,
        "If it happens often, check the network, VPN or proxy between this machine and {host}.",
    ),
}
"""For requests that went to a third party. Errors other than ``UpstreamError`` don't depend on who answers."""

_CLIENT_LEFT = Advice(
    "The answer was stopped at its source; nobody is waiting for it.",
    "There is nothing to do if you stopped it, for example with Esc. If you did not, the client gave up waiting: check "
    "its own timeout.",
)


def _list_classes(root: type[CodexdError]) -> Iterator[type[CodexdError]]:
    yield root
    for below in root.__subclasses__():
        yield from _list_classes(below)


def _by_kind(by_class: Mapping[type[CodexdError], Advice]) -> Mapping[str, Advice]:
    """A kind of error without its own advice gets its parent's."""
    nearest = {
        found.kind: next(by_class[base] for base in found.__mro__ if base in by_class)
        for found in _list_classes(CodexdError)
    }
    return {**nearest, CLIENT_LEFT_KIND: _CLIENT_LEFT}


_BY_KIND = _by_kind(_BY_CLASS)
_BY_KIND_OF_THIRD_PARTY = _by_kind(_BY_CLASS_OF_THIRD_PARTY)
