"""What becomes of a failed request by itself, and what its user can do, by the kind of the error. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from codexd import errors
from codexd.errors import CodexdError
from codexd.record.timeline import CLIENT_LEFT_KIND


@frozen
class Advice:
    """``next``: what happens by itself; ``do``: what the user can do.

    ``{id}`` in them is the request's id, ``{host}`` the third party that it went to.
    """

    next: str
    do: str


_RETRIES = "Most clients try again by themselves; Claude Code does so up to ten times."
_SWITCH = "`codexctl accounts switch NAME` changes to another account of yours"
_ROTATE = f"{_SWITCH}; `codexctl settings set rotation.enabled true` lets codexd do that by itself."
_REPORT = "`codexctl logs --request {id}` shows what codexd logged of it; put that into a report."

_BY_CLASS: Mapping[type[CodexdError], Advice] = {
    CodexdError: Advice("codexd goes on; other requests are not touched.", f"This is a fault of codexd. {_REPORT}"),
    errors.ShuttingDown: Advice(
        "codexd takes no requests until it runs again.", "Send the request again once `codexctl status` answers."
    ),
    errors.RequestCancelled: Advice(
        "The answer was stopped where it was made. The next try that Claude Code makes of it at once is refused too.",
        "Nothing needs to be done; ask again if you did not mean it.",
    ),
    errors.RequestRefused: Advice(
        "The same request will be refused again; nothing of it reached the backend.",
        "The error names what the client would have to send instead. Unless the README says that codexd can't do it, "
        f"that is a fault of codexd: {_REPORT}",
    ),
    errors.RequestTooLarge: Advice(
        "The same request will be refused again.", "Make the conversation smaller: `/compact`, or fewer images in it."
    ),
    errors.KiloDisabled: Advice(
        "Requests for the model name kilo are refused until you opt in; nothing of this one left the machine.",
        "`codexctl settings set kilo.enabled true` opts in; any other model name goes to your ChatGPT plan.",
    ),
    errors.AccountError: Advice(
        "The next request chooses its account anew.", "`codexctl accounts` shows the state of each account."
    ),
    errors.NoAccount: Advice(
        "No request can be served until an account is active.",
        "Sign in with `codexctl accounts add`, take a login over with `codexctl accounts import`, or make one active "
        "with `codexctl accounts switch NAME`.",
    ),
    errors.AccountDisabled: Advice(
        "The account stays out of use until you enable it.", f"`codexctl accounts enable NAME` does that; {_SWITCH}."
    ),
    errors.AccountNeedsLogin: Advice(
        "Requests to this account fail until it has a new login.",
        f"Sign in again with `codexctl accounts add`; {_SWITCH}.",
    ),
    errors.FollowedLoginStale: Advice(
        "codexd reads the login's file again with each request.",
        "Start the program that owns the login once, such as `codex`: it renews it.",
    ),
    errors.RefreshUnavailable: Advice(
        "The login is intact; codexd tries to refresh it again by itself, ever more rarely.",
        "Look whether this machine reaches the sign-in server (setting upstream.auth_url).",
    ),
    errors.UpstreamError: Advice(_RETRIES, _REPORT),
    errors.ContextOverflow: Advice(
        "Claude Code compacts the conversation by itself and goes on.",
        "`/compact` or `/clear` make it smaller; in other clients begin a new conversation.",
    ),
    errors.UsageLimitReached: Advice("The account opens again when its window resets.", f"{_ROTATE}"),
    errors.AllAccountsLimited: Advice(
        "Each account opens again when its window resets; codexd then uses it by itself.",
        "`codexctl quota` shows when; another account can be added with `codexctl accounts add`.",
    ),
    errors.RateLimited: Advice(
        "codexd waits for limits of a few seconds by itself, and clients try again after longer ones.",
        f"Send fewer requests at once. {_SWITCH}.",
    ),
    errors.Overloaded: Advice(
        _RETRIES, "Try again later, or ask another model: `codexctl models` lists them, and which names lead where."
    ),
    errors.PlanRefused: Advice(
        "Requests to this account will be refused until its plan changes.",
        f"Look at the plan of the account at chatgpt.com. {_SWITCH}.",
    ),
    errors.WorkspaceRefused: Advice(
        "Requests to this account will be refused until its workspace allows them.",
        f"Ask the workspace's administrator, or sign in to another workspace with `codexctl accounts add`. {_SWITCH}.",
    ),
    errors.ModelRefused: Advice(
        "Until the account's list of models changes, codexd uses the next model of the setting, if there is one.",
        "`codexctl models` lists what the account has; `codexctl settings` shows which names lead where.",
    ),
    errors.KiloRefused: Advice(
        "Requests for the model name kilo fail until another model is chosen.",
        "`codexctl settings set kilo.model NAME` chooses one that kilo.ai serves free of charge; any other model name "
        "goes to your ChatGPT plan.",
    ),
    errors.PolicyRefused: Advice(
        "The same words will be refused again.", "Word the request otherwise, or begin a new conversation."
    ),
    errors.StaleReasoning: Advice(
        "codexd has tried once more without the earlier reasoning, in vain.",
        "Begin a new conversation (`/clear`), in which no earlier reasoning is sent.",
    ),
    errors.UpstreamRejected: Advice(
        "The same request will be refused again.",
        f"The backend did not understand what codexd made of it, or what the client sent. {_REPORT}",
    ),
    errors.UpstreamTooLarge: Advice(
        "The same request will be refused again.", "Make the conversation smaller: `/compact`, or fewer images in it."
    ),
    errors.UpstreamBlocked: Advice(
        f"{_RETRIES} The block ends by itself.", "Wait some minutes; try without a VPN, or on another network."
    ),
    errors.UpstreamFailed: Advice(
        _RETRIES,
        "If it lasts, look at status.openai.com, and whether this machine reaches the backend "
        "(setting upstream.backend_url).",
    ),
    errors.EmptyAnswer: Advice("codexd has asked twice, and each answer was empty.", "Ask in other words."),
    errors.UpstreamTimeout: Advice(
        _RETRIES,
        "If answers need longer than that, raise the setting upstream.idle_timeout; for slow connections "
        "upstream.connect_timeout.",
    ),
    errors.StreamBroken: Advice(
        "Claude Code asks once more for the whole answer in one piece, the Codex CLI up to five times anew.",
        "With another client ask again. If it happens often, look at the network, VPN or proxy between this machine "
        "and the backend.",
    ),
}

_OTHER_FREE = (
    "choose another of the free models (`codexctl settings set kilo.model NAME`), or any other model name, which goes "
    "to your ChatGPT plan."
)

_BY_CLASS_OF_THIRD_PARTY: Mapping[type[CodexdError], Advice] = {
    errors.UpstreamError: Advice("Most clients try again by themselves.", f"If it lasts, {_OTHER_FREE}"),
    errors.RateLimited: Advice(
        "{host} limits what each address may ask of the free models; clients try again by themselves.",
        f"Wait a while, or {_OTHER_FREE}",
    ),
    errors.ContextOverflow: Advice(
        "Claude Code compacts the conversation by itself and goes on.",
        f"`/compact` or `/clear` make it smaller. For a larger context window, {_OTHER_FREE}",
    ),
    errors.KiloRefused: _BY_CLASS[errors.KiloRefused],
    errors.PolicyRefused: _BY_CLASS[errors.PolicyRefused],
    errors.UpstreamTooLarge: _BY_CLASS[errors.UpstreamTooLarge],
    errors.UpstreamRejected: Advice(
        "The same request will be refused again.",
        f"The model may not take what the client sent: {_OTHER_FREE} {_REPORT}",
    ),
    errors.UpstreamFailed: Advice(
        _RETRIES,
        "If it lasts, look whether this machine reaches {host} (setting kilo.url), and " + _OTHER_FREE,
    ),
    errors.EmptyAnswer: Advice("Nothing more happens to it.", f"Ask in other words, or {_OTHER_FREE}"),
    errors.UpstreamTimeout: Advice(
        _RETRIES, f"If answers need longer than that, raise the setting upstream.idle_timeout, or {_OTHER_FREE}"
    ),
    errors.StreamBroken: Advice(
        _BY_CLASS[errors.StreamBroken].next,
        "If it happens often, look at the network, VPN or proxy between this machine and {host}.",
    ),
}
"""Of requests that went to it; what is not here has nothing to do with who answers."""

_CLIENT_LEFT = Advice(
    "The answer was stopped where it was made; nobody waits for it.",
    "If you did not stop it yourself, the client gave up: look at its own time limit.",
)


def _list_classes(root: type[CodexdError]) -> Iterator[type[CodexdError]]:
    yield root
    for below in root.__subclasses__():
        yield from _list_classes(below)


def _by_kind(by_class: Mapping[type[CodexdError], Advice]) -> Mapping[str, Advice]:
    return {
        **{
            found.kind: next(by_class[base] for base in found.__mro__ if base in by_class)
            for found in _list_classes(CodexdError)
        },
        CLIENT_LEFT_KIND: _CLIENT_LEFT,
    }


_BY_KIND = _by_kind(_BY_CLASS)
_BY_KIND_OF_THIRD_PARTY = _by_kind(
    {
        **{found: advice for found, advice in _BY_CLASS.items() if not issubclass(found, errors.UpstreamError)},
        **_BY_CLASS_OF_THIRD_PARTY,
    }
)


def find_advice(kind: str, *, third_party: bool = False) -> Advice:
    """For the kind of an error; ``third_party``: of a request that went to one."""
    return (_BY_KIND_OF_THIRD_PARTY if third_party else _BY_KIND).get(kind, _BY_CLASS[CodexdError])
