"""``codexctl shell``: its entry in the table of commands, which imports nothing of the session itself."""

from __future__ import annotations

from codexctl.invocation import Command, Invocation


def _shell(invocation: Invocation) -> None:
    from codexctl.shell.session import run_shell  # noqa: PLC0415 - prompt_toolkit takes 200 ms that no other command pays

    run_shell(invocation)


SHELL_COMMANDS = (
    Command(
        ("shell",),
        "Work with codexd at a prompt; `codexctl` alone does the same",
        "codexctl shell",
        _shell,
        details="With completion, a history, the state of the active account, and the log as it comes. Without a "
        "terminal it runs the commands on its standard input, one a line.",
    ),
)
