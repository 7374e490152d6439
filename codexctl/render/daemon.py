"""What ``codexctl status`` and ``stop`` print. Pure."""

from __future__ import annotations

from codexctl.render.base import ADD, STATE_COLOURS, Cell, Json, Style, ago, plain, simulated_mark, table


def status(result: Json, style: Style) -> list[str]:
    """``daemon.status``."""
    lines = [
        style.paint("codexd", "bold")
        + f" {result['version']} is running (pid {result['pid']}, started {ago(result['started_at'], style.now)})"
    ]
    if result["simulated"]:
        lines += style.prose("SIMULATED: backend and accounts are made up; nothing leaves this machine.")
    account = (
        f"{result['active_account']}{simulated_mark(result)}"
        if result["active_account"]
        else f"none; add one with: {ADD} (or switch to one)"
    )
    facts = (
        ("listening on", ", ".join(result["addresses"]) or "nothing"),
        ("account", account),
        ("streams", f"{result['streams_in_flight']} in flight"),
        ("settings", result["settings_path"]),
    )
    lines += [f"  {name:12}  {plain(text)}" for name, text in facts]
    if result["tasks"]:
        headings = ("TASK", "STATE", "RESTARTS", "LAST ERROR")
        lines += ["", *table(headings, (_task_row(task) for task in result["tasks"]), style)]
    for problem in result["problems"]:
        lines += ["", *style.prose(f"Problem: {problem}")]
    return lines


def _task_row(task: Json) -> list[Cell]:
    colour = STATE_COLOURS.get(task["state"], "red")
    texts = (task["name"], task["state"], str(task["restarts"]), plain(task["last_error"] or ""))
    return [Cell([text], colour if text == task["state"] else None) for text in texts]


def stopping(result: Json, style: Style) -> list[str]:
    """``daemon.stop``."""
    streams = result["streams_in_flight"]
    if not streams:
        return style.prose("codexd is stopping.")
    noun = "request has" if streams == 1 else "requests have"
    return style.prose(f"codexd is stopping; {streams} {noun} up to {result['drain_seconds']:g} s to end.")
