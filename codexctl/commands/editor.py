"""``codexctl settings edit``: the user edits a copy of the file, which the daemon checks before it takes effect."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from codexctl.command import EXIT_REFUSED, EXIT_USAGE, Invocation, Stop
from codexctl.render import settings as render_settings
from codexctl.terminal import confirm, has_input_terminal, prompt, say

EDITORS = ("sensible-editor", "nano", "vim", "vi")
"""Tried if neither VISUAL nor EDITOR is set."""


def edit_settings(invocation: Invocation) -> None:
    """The command ``settings edit``."""
    file = invocation.call("settings.read")
    editor = _find_editor(invocation.environ)
    with _draft((file["text"] or file["template"]).encode()) as draft:
        before = draft.read_bytes()
        _edit_until_valid(invocation, editor, draft, before)
        result = {"changed": [], "file": file["file"]}
        if draft.read_bytes() != before:
            params = {"text": draft.read_bytes().decode(), "before": file["text"]}
            result = invocation.call("settings.write", params)
        draft.unlink()
    invocation.show(result, render_settings.changed)


@contextmanager
def _draft(text: bytes) -> Iterator[Path]:
    """A file with ``text`` to edit. If it was edited and still exists at the end, it is kept."""
    folder = Path(tempfile.mkdtemp(prefix="codexctl-"))  # 0700: the file may hold the API key
    draft = folder / "settings.toml"
    draft.write_bytes(text)
    try:
        yield draft
    finally:
        if draft.exists() and draft.read_bytes() != text:
            say(f"your edit is kept in {draft}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)  # with whatever the editor left there


def _find_editor(environ: Mapping[str, str]) -> list[str]:
    for name in ("VISUAL", "EDITOR"):
        if environ.get(name, "").strip():
            return _split(name, environ[name])
    found = next((editor for editor in EDITORS if shutil.which(editor)), None)
    if found is None:
        raise Stop(EXIT_USAGE, "no editor was found. Set EDITOR to the one you use, such as EDITOR=nano.")
    if not has_input_terminal():
        raise Stop(
            EXIT_USAGE,
            "there is no terminal to edit on. Change one setting with `codexctl settings set NAME VALUE`, or edit the "
            "file yourself and run `codexctl reload`.",
        )
    return [found]


def _split(name: str, command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise Stop(EXIT_USAGE, f"{name} is not a command: {command} ({error}). Set it to an editor.") from None


def _edit_until_valid(invocation: Invocation, editor: list[str], draft: Path, before: bytes) -> None:
    """Let the user edit until the daemon accepts the file, or nothing was edited."""
    while True:
        _run_editor(editor, draft)
        if draft.read_bytes() == before:
            return
        problems = _find_problems(invocation, draft.read_bytes())
        if not problems:
            return
        prompt("".join(f"{line}\n" for line in render_settings.problems(problems, invocation.style())))
        if not has_input_terminal() or not confirm("Edit it again?"):
            raise Stop(EXIT_REFUSED, "the settings file was not changed.")


def _find_problems(invocation: Invocation, text: bytes) -> list[str]:
    try:
        decoded = text.decode()
    except UnicodeDecodeError as wrong:
        return [f"The text is not UTF-8: {wrong}"]
    problems: list[str] = invocation.call("settings.check", {"text": decoded})["problems"]
    return problems


def _run_editor(editor: list[str], draft: Path) -> None:
    try:
        status = subprocess.run([*editor, str(draft)], check=False).returncode  # noqa: S603 - the user's own choice
    except OSError as error:
        raise Stop(EXIT_USAGE, f"can't start the editor {editor[0]} ({error.strerror}). Set EDITOR.") from None
    if status != 0:
        raise Stop(EXIT_REFUSED, f"the editor {editor[0]} failed (status {status}). The settings file was not changed.")
    if not draft.exists():
        raise Stop(EXIT_REFUSED, f"the editor {editor[0]} left no file. The settings file was not changed.")
