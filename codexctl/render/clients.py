"""What the commands print that set a client up and back: ``claude`` and ``codex``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from codexctl.render.base import Cell, Json, Style, plain, table

INDENT = "  "


class Client(NamedTuple):
    """How a client is spoken of.

    ``command``: of codexctl. ``modes``: what each mode means. ``unset``: what its user may do to use codexd.
    ``column``: what its settings are called.
    """

    name: str
    command: str
    modes: Mapping[str, str]
    unset: str
    column: str

    def status(self, result: Json, style: Style) -> list[str]:
        """``.status``."""
        if result["problem"]:
            return style.prose(f"Problem: {result['problem']}")
        at = f" at {plain(result['base_url'])}" if result["base_url"] else ""
        lines = [f"{self.name} {self.modes[result['mode']]}{at}", f"{INDENT}settings  {plain(result['path'])}"]
        if not result["exists"]:
            lines[-1] += " (no such file yet)"
        lines.append(f"{INDENT}codexd    {plain(result['address'])}")
        if result["values"]:
            rows = [[Cell([plain(each["name"])]), Cell([plain(each["value"])])] for each in result["values"]]
            lines += ["", *table((self.column, "VALUE"), rows, style, cut_first=1)]
        return lines + _notes([*result["notes"], self._next_step(result)], style)

    def _next_step(self, result: Json) -> str:
        if result["can_reset"]:
            return f"`codexctl {self.command} reset` puts back what was there before."
        return self.unset if result["mode"] != "codexd" else ""

    def proxied(self, result: Json, style: Style) -> list[str]:
        """``.proxy``: the change, and what the request gave."""
        proof = result["proof"]
        if proof is None:
            return self.set_up(result, style)
        if proof["ok"]:
            account = f" on {plain(proof['account'])}" if proof["account"] else ""
            told = [style.paint("It works", "green") + f": {plain(proof['message'])[:-1]}{account}."]
        else:
            told = [style.paint("The request failed.", "red"), *style.prose(proof["message"])]
            if proof["request"]:
                told += style.prose(f"More: codexctl why {proof['request']}")
            again = f"{self.name} stays set up. Once that is mended, run `codexctl {self.command} proxy` again."
            told += style.prose(again[0].upper() + again[1:])
        return [*self.set_up(result, style), "", *told]

    def set_up(self, result: Json, style: Style) -> list[str]:
        """``.proxy``, ``.direct`` and ``.set``: each setting with its value."""
        path = plain(result["path"])
        if not result["changes"]:
            lines = [f"{path} says that already; nothing {'would change' if result['dry_run'] else 'was changed'}."]
        else:
            lines = [f"{path} {'would be changed' if result['dry_run'] else 'was changed'}:"]
            lines += self._edits(result, style)
        if result["backup"]:
            lines += [f"{INDENT}a copy of the file as it was:", f"{INDENT * 2}{plain(result['backup'])}"]
        return lines + _notes([*_left(result), *([] if result["dry_run"] else result["notes"])], style)

    def was_reset(self, result: Json, style: Style) -> list[str]:
        """``.reset``."""
        if not result["changes"]:
            lines = ["Nothing of codexd is in " + plain(result["path"]) + "."]
            return lines + _notes(_left(result), style)
        return self.set_up(result, style)

    def _edits(self, result: Json, style: Style) -> list[str]:
        rows = [_edit_row(edit) for edit in result["changes"]]
        inner = style.narrower(len(INDENT))
        return [INDENT + line for line in table(("", self.column, "VALUE"), rows, inner, cut_first=2)]


CLAUDE_CODE = Client(
    name="Claude Code",
    command="claude",
    modes={
        "codexd": "works through codexd",
        "anthropic": "uses Anthropic's servers",
        "other": "uses another server",
    },
    unset="`codexctl claude proxy` sets it up; `codexctl claude run` starts it with no file edited.",
    column="VARIABLE",
)
CODEX_CLI = Client(
    name="The Codex CLI",
    command="codex",
    modes={
        "codexd": "works through codexd",
        "openai": "uses OpenAI's servers",
        "other": "uses another server",
    },
    unset="`codexctl codex proxy` sets it up.",
    column="SETTING",
)


def _edit_row(edit: Json) -> list[Cell]:
    """As a diff has it: + is new, - is gone, ~ has another value."""
    match edit["before"], edit["after"]:
        case None, after:
            sign, colour, values = "+", "green", [plain(after)]
        case before, None:
            sign, colour, values = "-", "red", [plain(before)]
        case before, after:
            sign, colour, values = "~", "bold", [plain(before), f"-> {plain(after)}"]
    return [Cell([sign], colour), Cell([plain(edit["name"])]), Cell(values, colour)]


def _left(result: Json) -> list[str]:
    if not result["left"]:
        return []
    return [f"You have changed {', '.join(result['left'])} since codexd wrote it; that stays as you made it."]


def _notes(notes: list[str], style: Style) -> list[str]:
    return [line for note in notes if note for line in ("", *style.prose(note))]
