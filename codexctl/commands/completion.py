"""``codexctl completion``, and the ``codexctl __complete -- WORDS`` that its scripts run at each Tab press."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from codexctl.client import ControlClient, NoDaemon, OlderDaemon, Refused
from codexctl.command import Command, Invocation, Values, argument
from codexctl.completion import Candidate, complete, find_values
from codexctl.daemons import choose_socket
from codexctl.render.format import Json
from codexctl.render.text import plain
from codexctl.terminal import write_out

FILES = ":files"
"""Printed instead of candidates: the shell itself completes file names."""

ANSWER_TIMEOUT_S = 1.0
"""A Tab press should return nothing rather than block."""

LISTED_REQUESTS = 50


def print_candidates(commands: Iterable[Command], words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Print what the last of ``words`` may become: on each line a candidate, a tab and its meaning."""
    words = words[1:] if words[:1] == ["--"] else words
    try:
        socket = _find_socket(words, environ)
    except NoDaemon:
        socket = Path(os.devnull)  # nothing answers there, so only words and options are completed
    lookup = _Lookup(_Daemon(socket))
    try:
        found = complete(commands, words, lookup)
    except OlderDaemon:
        found = []
    lines = [FILES] if lookup.wants_files else [f"{plain(word)}\t{plain(meaning)}" for word, meaning in found]
    write_out("".join(f"{line}\n" for line in lines))


def _find_socket(words: Sequence[str], environ: Mapping[str, str]) -> Path:
    """The socket of the daemon that the typed command will talk to.

    Raises:
        NoDaemon: there are several to choose from.
    """
    for word, following in pairwise(words):
        if word == "--socket":
            return Path(following).expanduser()
        if word.startswith("--socket="):
            return Path(word.removeprefix("--socket=")).expanduser()
    return choose_socket(environ, lambda _: None)


class _Lookup:
    """Looks up the values of arguments. ``wants_files`` is set if they are files, which the shell finds itself."""

    def __init__(self, daemon: _Daemon) -> None:
        self._daemon = daemon
        self.wants_files = False

    def __call__(self, kind: Values, given: Sequence[str]) -> Iterable[Candidate]:
        if kind is Values.FILES:
            self.wants_files = True
            return ()
        return find_values(kind, given, self._daemon)


class _Daemon:
    """What the daemon knows (``completion.Known``), asked for when needed; nothing if it does not answer."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._deadline = time.monotonic() + ANSWER_TIMEOUT_S

    @cached_property
    def accounts(self) -> Sequence[Json]:
        return self._ask("accounts.list", "accounts")

    @cached_property
    def settings(self) -> Sequence[Json]:
        return self._ask("settings.list", "settings")

    @cached_property
    def requests(self) -> Sequence[Json]:
        return self._ask("requests.list", "requests", {"limit": LISTED_REQUESTS})

    @cached_property
    def models(self) -> Sequence[Json]:
        return self._ask("accounts.models", "models")

    @cached_property
    def free_models(self) -> Sequence[Json]:
        return self._ask("kilo.models", "models")

    def _ask(self, method: str, name: str, params: dict[str, Any] | None = None) -> Sequence[Json]:
        left_s = self._deadline - time.monotonic()
        if left_s > 0:
            with suppress(NoDaemon, Refused), ControlClient(self._socket, reply_timeout_s=left_s) as client:
                listed: Sequence[Json] = client.call(method, params)[name]
                return listed
        return ()


def _print_script(invocation: Invocation) -> None:
    script = SCRIPTS[invocation.arguments.shell]
    result = {"shell": invocation.arguments.shell, "script": script}
    invocation.show(result, lambda shown, _style: [shown["script"].rstrip("\n")])


# -- the scripts

# Bash splits COMP_WORDS at each of COMP_WORDBREAKS, such as the @ of an email address, and replaces only the last
# piece with what it gets back. So the pieces are joined, and everything before the last break is cut off again. An @
# belongs to the piece after it (readline's rl_special_prefixes). This also runs on the bash 3.2 of macOS, which has
# neither compopt nor negative indexes.
_BASH = r"""# codexctl completion for bash
_codexctl() {
    local line=${COMP_LINE:0:COMP_POINT} words=() count=0 index piece
    for ((index = 0; index <= COMP_CWORD; index++)); do
        piece=${COMP_WORDS[index]}
        if ((count > 0)) && [[ -n $line && $line != [[:space:]]* ]]; then
            words[count - 1]+=${piece:0:${#line}}
        else
            line=${line#"${line%%[![:space:]]*}"}
            words[count++]=${piece:0:${#line}}
        fi
        line=${line#"$piece"}
    done
    local current=${words[count - 1]} program=${words[0]/#\~/$HOME} candidate
    local kept=${current%"${current##*["$COMP_WORDBREAKS"]}"}
    kept=${kept%@}
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        if [[ $candidate == :files ]]; then
            compopt -o default 2>/dev/null || COMPREPLY=($(compgen -f -- "$current"))
            return
        fi
        COMPREPLY+=("$(printf '%q' "${candidate#"$kept"}")")
    done < <("$program" __complete -- "${words[@]:1}" 2>/dev/null)
}
complete -o nosort -F _codexctl codexctl 2>/dev/null || complete -F _codexctl codexctl
"""

_ZSH = r"""#compdef codexctl
# codexctl completion for zsh
_codexctl() {
    local program=${(Q)words[1]/#\~/$HOME} line
    local -a lines found
    lines=("${(@f)$("$program" __complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    for line in $lines; do
        if [[ $line == :files ]]; then
            _files
            return
        fi
        line=${line//:/\\:}
        found+=("${line/$'\t'/:}")
    done
    _describe -V 'codexctl' found
}
if [[ $funcstack[1] == _codexctl ]]; then
    _codexctl "$@"
else
    compdef _codexctl codexctl
fi
"""

_FISH = r"""# codexctl completion for fish
function __codexctl_complete
    set -l words (commandline -opc)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    set -e words[1]
    set -l current (commandline -ct)
    for line in ($program __complete -- $words $current 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path $current
            return
        end
        echo $line
    end
end
complete -c codexctl -f -k -a '(__codexctl_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
"""Each runs ``codexctl __complete -- WORDS``, with the words up to the cursor."""

COMMANDS = (
    Command(
        ("completion",),
        "Print a script that completes commands with the Tab key",
        "codexctl completion bash\ncodexctl completion fish",
        _print_script,
        (argument("shell", choices=tuple(SCRIPTS), help="your shell"),),
        details="bash: add `source <(codexctl completion bash)` to ~/.bashrc. zsh: add `source <(codexctl completion "
        "zsh)` to ~/.zshrc, after compinit. fish: save the script as ~/.config/fish/completions/codexctl.fish. Names "
        "of accounts, settings, models and requests come from the running daemon.",
        needs_daemon=False,
    ),
)
