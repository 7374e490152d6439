"""What the keys of ``codexctl top`` do: a key changes the model, and may have an effect to carry out. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from codexctl.render.format import ADD
from codexctl.top.model import Cancelling, Filtering, Help, Model, Shown, Switching, Table, Why

PAGE = 10


@dataclass(frozen=True)
class Ask:
    """Call the daemon and pass the result to the model."""

    method: str
    params: dict[str, Any]


@dataclass(frozen=True)
class Quit:
    pass


Effect: TypeAlias = Ask | Quit | None

STEPS = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -PAGE, "pagedown": PAGE}
ENDS = {"home": 0, "g": 0, "end": -1, "G": -1}

KEYS = (
    ("up down  k j", "choose a request; also page up, page down, home, end"),
    ("enter  w", "why: what happened to the request and what to do about it"),
    ("c", "cancel the request"),
    ("s", "switch to another account"),
    ("/", "filter by words in id, client, model, account, state or error"),
    ("f", "show all requests, running ones or failed ones"),
    ("esc", "go back; in the list, clear the filter"),
    ("q", "quit"),
)


def press(model: Model, key: str) -> Effect:
    """Press ``key``: a character, or the name of a key such as ``pageup``."""
    match model.pane:
        case Table():
            model.notice = ""
            return _in_table(model, key)
        case Filtering(before):
            _type_filter(model, key, before)
        case Cancelling(request):
            model.pane = Table()
            if key in ("y", "Y"):
                return Ask("requests.cancel", {"id": request})
            model.notice = "The request was not cancelled."
        case Switching() as menu:
            return _in_menu(model, key, menu)
        case Why() as why:
            _in_why(model, key, why)
        case Help():
            model.pane = Table()
    return None


def _in_table(model: Model, key: str) -> Effect:
    if key in STEPS or key in ENDS:
        _go(model, key)
        return None
    match key:
        case "q":
            return Quit()
        case "enter" | "w":
            return _open_why(model)
        case "c" | "delete":
            _ask_to_cancel(model)
        case "s":
            return _open_menu(model)
        case "/":
            model.pane = Filtering(model.filter)
        case "f":
            kinds = list(Shown)
            model.shown = kinds[(kinds.index(model.shown) + 1) % len(kinds)]
        case "escape":
            model.filter, model.shown = "", Shown.ALL
        case "?" | "h" | "f1":
            model.pane = Help()
    return None


def _go(model: Model, key: str) -> None:
    ids = [each.id for each in model.listed()]
    chosen = model.chosen()
    if chosen is None:
        return
    if key in ENDS:
        model.selected = ids[ENDS[key]]
        return
    there = ids.index(chosen.id) + STEPS[key]
    model.selected = ids[max(0, min(there, len(ids) - 1))]


def _open_why(model: Model) -> Effect:
    chosen = model.chosen()
    if chosen is None:
        return None
    model.selected = chosen.id
    model.pane = Why(chosen.id)
    return Ask("requests.explain", {"id": chosen.id})


def _ask_to_cancel(model: Model) -> None:
    chosen = model.chosen()
    if chosen is None:
        return
    if chosen.is_running:
        model.selected = chosen.id
        model.pane = Cancelling(chosen.id)
    else:
        model.notice = f"{chosen.id} has already ended."


def _open_menu(model: Model) -> Effect:
    if not model.accounts:
        model.notice = f"No account is signed in. Sign in with: {ADD}"
        return None
    active = next((each for each in model.accounts if each["active"]), model.accounts[0])
    return _point_at(model, active["id"])


def _point_at(model: Model, account: str) -> Ask:
    model.pane = Switching(account)
    return Ask("accounts.switch", {"account": account, "dry_run": True})


def _in_menu(model: Model, key: str, menu: Switching) -> Effect:
    ids = [each["id"] for each in model.accounts]
    place = ids.index(menu.account) if menu.account in ids else 0
    if key in STEPS and ids:
        there = max(0, min(place + STEPS[key], len(ids) - 1))
        return _point_at(model, ids[there]) if there != place else None
    if key == "enter" and menu.account in ids:
        model.pane = Table()
        return Ask("accounts.switch", {"account": menu.account})
    if key in ("escape", "q", "s"):
        model.pane = Table()
    return None


def _in_why(model: Model, key: str, why: Why) -> None:
    if key in STEPS:
        model.pane = replace(why, top=max(0, why.top + STEPS[key]))
    elif key in ENDS:
        model.pane = replace(why, top=0 if ENDS[key] == 0 else 1_000_000)
    elif key in ("escape", "q", "enter", "w"):
        model.pane = Table()


def _type_filter(model: Model, key: str, before: str) -> None:
    match key:
        case "enter":
            model.pane = Table()
        case "escape":
            model.pane, model.filter = Table(), before
        case "backspace":
            model.filter = model.filter[:-1]
        case "c-u" | "c-w":
            model.filter = ""
        case _ if len(key) == 1 and key.isprintable():
            model.filter += key
