"""Colours and keys of the shell."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

# "reverse" with the colours the wrong way round: the same on a terminal with colours, and still a bar without.
_BAR = "reverse fg:#303030 bg:#d0d0d0"
STYLE = Style.from_dict(
    {
        "prompt": "bold",
        "bottom-toolbar": _BAR,
        "bottom-toolbar.text": "",
        "good": "bg:#87d787",
        "tight": "bg:#ffd75f",
        "bad": "bg:#ff8787 bold",
        "quiet": "bg:#9e9e9e",
        "completion-menu": "fg:#d0d0d0 bg:#303030",
        "completion-menu.completion.current": "reverse fg:#d0d0d0 bg:#303030 bold",
        "completion-menu.meta.completion": "fg:#9e9e9e bg:#262626",
        "completion-menu.meta.completion.current": "fg:#d0d0d0 bg:#262626",
        "auto-suggestion": "fg:#808080",
    }
)


def make_key_bindings(show_help: Callable[[list[str]], None]) -> KeyBindings:
    bindings = KeyBindings()
    nothing_typed = Condition(lambda: not get_app().current_buffer.text)

    @bindings.add("f1")
    @bindings.add("?", filter=nothing_typed)
    def _(event: KeyPressEvent) -> None:
        show_help(_words(event.current_buffer.text))

    return bindings


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    return words[1:] if words[:1] == ["codexctl"] else words
