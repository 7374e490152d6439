"""What ``codexctl service`` prints. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codexctl.render.daemon import serving
from codexctl.render.format import Json, clock_time
from codexctl.render.text import Style, plain

DIFF_COLOURS = {"+": "green", "-": "red", "@": "dim"}
INDENT = "  "


def plan(result: Json, style: Style) -> list[str]:
    """What ``install`` or ``uninstall`` will do, step by step."""
    lines: list[str] = []
    if result["steps"] and (result["dry_run"] or not result["obstacles"]):
        heading = "This is what it would do:" if result["dry_run"] else "This is what it does:"
        lines += [style.paint(heading, "bold")]
        for step in result["steps"]:
            lines += _step(step, style, in_full=result["dry_run"])
    elif not result["obstacles"]:
        lines += style.prose(result["message"])
    for note in result["notes"]:
        lines += ["", *style.prose(f"Note: {note}")]
    for obstacle in result["obstacles"]:
        lines += ["", *_painted(style.prose(f"In the way: {obstacle}"), "red", style)]
    if result["obstacles"] and not result["dry_run"]:
        lines += ["", *style.prose("Nothing was changed.")]
    return lines[1:] if lines[:1] == [""] else lines


def _step(step: Json, style: Style, *, in_full: bool) -> Iterator[str]:
    """A step. A new file is shown in full if ``in_full``, a change always."""
    yield f"{INDENT}{plain(step['words'])}"
    if step["action"] == "update" or (step["action"] == "create" and in_full):
        for line in step["diff"]:
            yield style.paint(f"{INDENT * 2}{plain(line)}", DIFF_COLOURS.get(line[:1]))


def done(result: Json, style: Style) -> list[str]:
    """What is so after ``install``."""
    daemon = result["daemon"]
    lines = [style.paint(line, "green") for line in style.prose(result["message"])]
    if daemon is not None:
        lines += style.prose(f"codexd {daemon['version']} listens on {', '.join(daemon['addresses'])}.")
        lines += style.prose(serving(daemon, style.now))
        if daemon["serving"]["advice"]:
            lines += style.prose(daemon["serving"]["advice"])
    return lines


def message(result: Json, style: Style) -> list[str]:
    """One sentence after another."""
    return style.prose(result["message"])


def status(result: Json, style: Style) -> list[str]:
    """Is it installed, does it run, does it match this codexctl, and can requests be served."""
    if not result["installed"]:
        lines = style.prose(f"codexd is not installed as a service of {result['manager']}.")
        lines += style.prose("`codexctl service install` shows what that takes, and asks.")
        return [*lines, *style.paragraphs(result["notes"])]
    colour = "red" if result["problems"] else "green"
    lines = [style.paint(_describe_state(result, style.now), colour)]
    lines += [f"{INDENT}{name:12}  {plain(text)}" for name, text in _facts(result) if text]
    daemon = result["daemon"]
    if daemon is not None and daemon["serving"]["possible"]:
        lines += ["", *style.prose(serving(daemon, style.now))]
    for problem in result["problems"]:
        lines += ["", *_painted(style.prose(f"Problem: {problem}"), "red", style)]
    return [*lines, *style.paragraphs(f"Note: {note}" for note in result["notes"])]


def _describe_state(result: Json, now: float) -> str:
    state = result["state"]
    if state.startswith("failed"):
        return f"The service has {state}."
    if result["listening"] and result["pid"] is None and not state.startswith("activating"):
        return "The service waits for a request, which starts codexd."
    since = f", since {clock_time(result['since'], now)}" if result["since"] else ""
    return f"The service is {state}{since}."


def _facts(result: Json) -> Iterator[tuple[str, str]]:
    yield "manager", result["manager"]
    yield "runs", result["executable"] or "unknown"
    yield "starts", _starts(result)
    yield "process", f"{result['pid']}{_restarts(result['restarts'])}" if result["pid"] else ""
    yield "listens on", ", ".join(result["listens_on"])
    yield "files", ", ".join(file["path"] for file in result["files"])


def _starts(result: Json) -> str:
    if not result["enabled"]:
        return "not by itself"
    return "when the machine boots" if result["lingering"] else "when you log in"


def _restarts(count: int) -> str:
    if not count:
        return ""
    return ", restarted once after a failure" if count == 1 else f", restarted {count} times after failures"


def _painted(lines: Sequence[str], colour: str, style: Style) -> list[str]:
    return [style.paint(line, colour) for line in lines]
