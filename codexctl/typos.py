"""What was meant by a command line that can't be read: a typo, or the name that another program uses. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from codexctl.command import Command
from codexctl.completion import find_unknown

MEANT: Mapping[str, Sequence[str]] = {
    "accounts": ("account", "users", "profiles", "who", "whoami"),
    "accounts add": ("login", "signin", "sign-in", "auth", "accounts login", "accounts new", "accounts signin"),
    "accounts list": ("accounts ls", "accounts show"),
    "accounts remove": ("logout", "signout", "accounts rm", "accounts delete", "accounts del", "accounts logout"),
    "accounts switch": ("use", "select", "activate", "accounts use", "accounts select", "accounts activate"),
    "accounts verify": ("accounts check", "accounts test"),
    "claude proxy": ("claude on", "claude setup", "claude install", "claude enable", "claude use"),
    "claude reset": ("claude off", "claude undo", "claude uninstall", "claude disable"),
    "codex proxy": ("codex on", "codex setup", "codex install", "codex enable", "codex use"),
    "codex reset": ("codex off", "codex undo", "codex uninstall", "codex disable"),
    "doctor": ("diagnose", "diagnostics", "check", "checkup", "bugreport", "troubleshoot"),
    "logs": ("log", "tail", "journal"),
    "quota": ("limits", "limit", "rate-limits", "accounts quota", "accounts limits"),
    "requests": ("ps", "history"),
    "requests cancel": ("abort", "requests stop", "requests kill", "requests abort"),
    "restart": ("respawn", "upgrade", "update"),
    "service install": ("autostart", "service add", "service enable", "service setup"),
    "service logs": ("service log", "service journal"),
    "service restart": ("service start", "service reload", "service upgrade"),
    "service uninstall": ("service remove", "service disable", "service delete", "service stop"),
    "settings": ("config", "configure", "conf", "options", "preferences"),
    "settings edit": ("settings open",),
    "settings get": ("settings show", "settings read", "settings print"),
    "settings set": ("settings change", "settings put", "settings update"),
    "settings unset": ("settings reset", "settings rm", "settings remove", "settings delete"),
    "status": ("info", "health", "ping"),
    "stop": ("kill", "shutdown", "quit", "exit"),
    "test": ("ask", "chat", "prompt"),
    "top": ("monitor", "watch", "dashboard"),
    "usage": ("cost", "costs", "stats", "tokens"),
    "why": ("explain", "reason"),
}
"""A command, and other names for it."""

_OTHER_NAMES = {name: command for command, names in MEANT.items() for name in names}
_START = ("start", "serve", "run", "up", "daemon")


def explain(commands: Iterable[Command], words: Sequence[str]) -> str | None:
    """Which of ``words`` is wrong, and what may have been meant. None if each could stand where it does."""
    known = list(commands)
    found = find_unknown(known, words)
    if found is None:
        return None
    word, path, candidates = found
    if not candidates and not word.startswith("-"):
        return None
    what = "an option" if word.startswith("-") else "a command"
    where = f" of codexctl {' '.join(path)}" if path else ""
    return f'"{word}" is not {what}{where}. {_advise(known, word, path, candidates)}'


def _advise(commands: Sequence[Command], word: str, path: tuple[str, ...], candidates: Sequence[str]) -> str:
    is_option = word.startswith("-")
    if is_option and (close := difflib.get_close_matches(word, candidates, n=1)):
        return f"Did you mean {close[0]}?"
    if not path and word in _START:
        return "The daemon is a program of its own; start it with: codexd"
    if not is_option and (meant := _find_command(commands, word.lower(), path, candidates)):
        return f'Did you mean "codexctl {meant}"?'
    return f"`{' '.join(('codexctl help', *path))}` lists the {'options' if is_option else 'commands'}."


def _find_command(
    commands: Sequence[Command], word: str, path: tuple[str, ...], candidates: Sequence[str]
) -> str | None:
    """By another name, by a similar word that could stand here, or by a similar last word of any command."""
    typed = " ".join((*path, word))
    known = [" ".join(command.words) for command in commands]
    if _OTHER_NAMES.get(typed) in known:
        return _OTHER_NAMES[typed]
    if close := difflib.get_close_matches(word, candidates, n=1):
        return " ".join((*path, close[0]))
    last_words = {command.words[-1]: " ".join(command.words) for command in reversed(commands)}
    close = [] if path else difflib.get_close_matches(word, last_words, n=1)
    return last_words[close[0]] if close else None
