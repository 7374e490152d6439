"""What ``codexctl claude`` and ``codexctl codex`` print. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from codexctl.render.format import Json
from codexctl.render.table import Cell, aligned, natural_width
from codexctl.render.text import Style, plain

INDENT = "  "


class Client(NamedTuple):
    """The wording for one client.

    ``command`` is the codexctl command that sets it up, ``hint`` says how to make it use codexd, and ``column`` is what
    its settings are called.
    """

    name: str
    command: str
    modes: Mapping[str, str]
    hint: str
    column: str

    @property
    def name_inside(self) -> str:
        """The name inside a sentence."""
        return self.name.replace("The ", "the ")

    def status(self, result: Json, style: Style) -> list[str]:
        """``.status``."""
        if result["problem"]:
            return style.prose(f"Problem: {result['problem']}")
        at = f" at {plain(result['base_url'])}" if result["base_url"] else ""
        says = self.name if result["takes_effect"] else f"By its settings, {self.name_inside}"
        lines = [f"{says} {self.modes[result['mode']]}{at}", f"{INDENT}settings  {plain(result['path'])}"]
        lines[:0] = self._overridden(result, style)
        if not result["exists"]:
            lines[-1] += " (no such file yet)"
        lines.append(f"{INDENT}codexd    {plain(result['address'])}")
        if result["values"]:
            rows = [[Cell([plain(each["name"])]), Cell([plain(each["value"])])] for each in result["values"]]
            lines += ["", *_table((self.column, "VALUE"), rows, style)]
        return lines + style.paragraphs([*result["notes"], self._next_step(result)])

    def _overridden(self, result: Json, style: Style) -> list[str]:
        """That the file is not what counts, and why."""
        if result["takes_effect"]:
            return []
        headline = style.paint(f"{self.name} does not do what its settings say:", "red")
        return [headline, *(line for text in result["overridden_by"] for line in style.prose(text, INDENT)), ""]

    def _next_step(self, result: Json) -> str:
        if result["can_reset"]:
            return f"`codexctl {self.command} reset` restores what was there before."
        return self.hint if result["mode"] != "codexd" else ""

    def proxied(self, result: Json, style: Style) -> list[str]:
        """``.proxy``: the change, and the result of the request that proves it."""
        lines = self.set_up(result, style)
        return [*lines, "", *self._proof(result, style)] if result["proof"] else lines

    def _proof(self, result: Json, style: Style) -> list[str]:
        proof = result["proof"]
        if proof["ok"]:
            account = f" on {plain(proof['account'])}" if proof["account"] else ""
            answered = f"{plain(proof['message'])[:-1]}{account}."
            if not result["takes_effect"]:
                return style.prose(f"codexd itself works ({answered[:-1]}), but {self.name_inside} does not use it.")
            return [style.paint("It works", "green") + f": {answered}"]
        lines = [style.paint("The request failed.", "red"), *style.prose(proof["message"])]
        if proof["request"]:
            lines += style.prose(f"To see what happened: codexctl why {proof['request']}")
        again = f"Fix the problem, then run `codexctl {self.command} proxy` again."
        return lines + style.prose(f"{self.name} stays set up. {again}")

    def set_up(self, result: Json, style: Style) -> list[str]:
        """``.proxy``, ``.direct`` and ``.set``: what wins over the settings, and each one that changes."""
        return [*self._overridden(result, style), *self._changes(result, style)]

    def _changes(self, result: Json, style: Style) -> list[str]:
        path = plain(result["path"])
        if not result["changes"]:
            lines = [
                f"{path} already has these settings; nothing {'would change' if result['dry_run'] else 'changed'}."
            ]
        else:
            lines = [
                f"{path} {'would be changed' if result['dry_run'] else 'was changed'}:",
                *self._edits(result, style),
            ]
        if result["backup"]:
            lines += [f"{INDENT}backup of the file before the change:", f"{INDENT * 2}{plain(result['backup'])}"]
        return lines + style.paragraphs([*_kept(result), *([] if result["dry_run"] else result["notes"])])

    def was_reset(self, result: Json, style: Style) -> list[str]:
        """``.reset``."""
        if not result["changes"]:
            lines = [f"{plain(result['path'])} has no changes made by codexd."]
            return lines + style.paragraphs(_kept(result))
        return self._changes(result, style)

    def _edits(self, result: Json, style: Style) -> list[str]:
        rows = [_edit_row(edit) for edit in result["changes"]]
        inner = style.narrower(len(INDENT))
        return [INDENT + line for line in _table(("", self.column, "VALUE"), rows, inner)]


CLAUDE_CODE = Client(
    name="Claude Code",
    command="claude",
    modes={
        "codexd": "works through codexd",
        "anthropic": "uses Anthropic's servers",
        "other": "uses another server",
    },
    hint="`codexctl claude proxy` sets it up; `codexctl claude run` starts it without editing a file.",
    column="SETTING",
)
CODEX_CLI = Client(
    name="The Codex CLI",
    command="codex",
    modes={
        "codexd": "works through codexd",
        "openai": "uses OpenAI's servers",
        "other": "uses another server",
    },
    hint="`codexctl codex proxy` sets it up.",
    column="SETTING",
)


def _table(headings: Sequence[str], rows: Sequence[Sequence[Cell]], style: Style) -> list[str]:
    """A table whose last two columns are names and values, or a line for each row if that would cut a value."""
    if style.width is None or natural_width(headings, rows) <= style.width:
        return aligned(headings, rows, style)
    lines = []
    for *before, name, value in rows:
        start = "".join(f"{cell.lines[0]}  " for cell in before)
        text = f"{start}{name.lines[0]} = {' '.join(value.lines)}"
        lines += [style.paint(line, value.colour) for line in style.wrap_line(text)]
    return lines


def _edit_row(edit: Json) -> list[Cell]:
    """Like a diff: + is added, - is removed, ~ changes its value."""
    match edit["before"], edit["after"]:
        case None, after:
            sign, colour, values = "+", "green", [plain(after)]
        case before, None:
            sign, colour, values = "-", "red", [plain(before)]
        case before, after:
            sign, colour, values = "~", "bold", [plain(before), f"-> {plain(after)}"]
    return [Cell([sign], colour), Cell([plain(edit["name"])]), Cell(values, colour)]


def _kept(result: Json) -> list[str]:
    if not result["left"]:
        return []
    return [f"You have changed {', '.join(result['left'])} since codexd wrote the file; your changes stay."]
