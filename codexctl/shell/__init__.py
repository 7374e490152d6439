"""``codexctl shell``: a prompt with completion, a toolbar, and the log above it, all imported only when it runs."""

from __future__ import annotations

from codexctl.command import Command, Invocation


def _shell(invocation: Invocation) -> None:
    from codexctl.shell.session import run_shell  # noqa: PLC0415 - prompt_toolkit takes 200 ms

    run_shell(invocation)


COMMANDS = (
    Command(
        ("shell",),
        "Work with codexd at an interactive prompt",
        "codexctl shell\ncodexctl shell --socket /run/user/1000/codexd/control.sock",
        _shell,
        details="The same as `codexctl` alone. The prompt completes commands, keeps a history, and shows the state "
        "of the active account and new log entries. Without a terminal, it runs the commands on its standard input, "
        "one per line.",
    ),
)
