"""What an argument may be, from what the daemon knows. Pure.

A command says what its argument stands for (``argument(..., values=Values.ACCOUNTS)``); here is what that may be. It
is the same for a shell's Tab key, which asks the daemon then, and for the prompt, which has asked it before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from codexctl.completion.candidates import Candidate
from codexctl.invocation import Values
from codexctl.render.base import Json
from codexctl.render.settings import value_text


class Known(Protocol):
    """What the daemon knows, each list as its method of the control socket gives it; empty where that is not known."""

    @property
    def accounts(self) -> Sequence[Json]: ...

    @property
    def settings(self) -> Sequence[Json]: ...

    @property
    def requests(self) -> Sequence[Json]: ...

    @property
    def models(self) -> Sequence[Json]: ...

    @property
    def free_models(self) -> Sequence[Json]: ...


def find_values(kind: Values, given: Sequence[str], known: Known) -> Iterable[Candidate]:
    """``given``: the arguments before it."""
    return _READERS[kind](known, given)


def _accounts(known: Known, _given: Sequence[str]) -> Iterator[Candidate]:
    """By e-mail, or by id where several share one."""
    sharing = Counter(account["email"] for account in known.accounts)
    for account in known.accounts:
        is_alone = account["email"] and sharing[account["email"]] == 1
        name = account["email"] if is_alone else account["id"]
        words = ["" if is_alone else account["email"], account["plan"], account["state"].replace("_", " ")]
        words += [word for word in ("active", "simulated") if account[word]]
        yield name, ", ".join(filter(None, words))


def _settings(known: Known, _given: Sequence[str]) -> Iterator[Candidate]:
    for setting in known.settings:
        value = value_text(setting["value"])
        yield setting["name"], f"{value}: {setting['meaning']}" if value else setting["meaning"]


def _setting_values(known: Known, given: Sequence[str]) -> Iterator[Candidate]:
    setting = next((each for each in known.settings if each["name"] == given[-1]), None)
    if setting is None or setting["secret"]:
        return
    now, default = value_text(setting["value"]), value_text(setting["default"])
    choices = setting["choices"] or (("true", "false") if setting["type"] == "boolean" else ())
    if not choices:
        choices = filter(None, (now, default, *_models_for(setting["name"], known)))
    for choice in dict.fromkeys(choices):
        yield choice, ", ".join(mark for mark, text in (("now", now), ("default", default)) if choice == text)


def _models_for(setting: str, known: Known) -> Iterator[str]:
    if setting == "kilo.model":
        yield from (model["id"] for model in known.free_models)
    elif setting.startswith("models."):
        yield from (name for name, _ in _models(known, ()))


def _requests(known: Known, _given: Sequence[str]) -> Iterator[Candidate]:
    """The newest first."""
    for request in reversed(known.requests):
        yield request["id"], f"{request['state']}, {request['model'] or 'no model'}, from {request['client']}"


def _models(known: Known, _given: Sequence[str]) -> Iterator[Candidate]:
    """Those that settings name, that answered requests, and that the backend offers."""
    models: dict[str, str] = {}
    for setting in known.settings:
        if setting["name"].startswith("models.") and setting["type"] == "names":
            for name in setting["value"]:
                models.setdefault(name, setting["name"])
    for request in known.requests:
        if request["model_used"]:
            models.setdefault(request["model_used"], "used")
    for model in known.models:
        if model["listed"]:
            models.setdefault(model["id"], model["name"])
    yield from models.items()


_READERS: Mapping[Values, Callable[[Known, Sequence[str]], Iterator[Candidate]]] = {
    Values.ACCOUNTS: _accounts,
    Values.SETTINGS: _settings,
    Values.SETTING_VALUES: _setting_values,
    Values.REQUESTS: _requests,
    Values.MODELS: _models,
}
