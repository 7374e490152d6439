"""What ``codexctl quota`` and ``codexctl models`` print. Pure."""

from __future__ import annotations

from codexctl.render.accounts import no_accounts
from codexctl.render.format import Json, ago, bar, bar_cells, bar_colour, clock_time, duration, name_of, until
from codexctl.render.table import GAP, Cell, aligned, table
from codexctl.render.text import Style, cell_width, plain

WIDE_BAR_CELLS = 20
INDENT = "  "
SETTINGS_CELLS = 18
MIN_EFFORTS_CELLS = 20
"""What the other cells of a typical row leave of 80 columns."""


def quotas(result: Json, style: Style) -> list[str]:
    """``accounts.quota``: one block per account."""
    if not result["accounts"]:
        return no_accounts(style)
    blocks = [_quota(quota, style) for quota in result["accounts"]]
    return blocks[0] + [line for block in blocks[1:] for line in ("", *block)]


def _quota(quota: Json, style: Style) -> list[str]:
    account = quota["account"]
    lines = [f"{style.paint(name_of(account), 'bold')}, plan {plain(account['plan'])}"]
    if quota["windows"]:
        rows = [_window_row(window, quota, style) for window in quota["windows"]]
        inner = style.narrower(len(INDENT))
        lines += [INDENT + line for line in aligned(("WINDOW", "USED", "RESETS", ""), rows, inner)]
    lines += [f"{INDENT}{name:8}  {text}" for name, text in _facts(quota, style.now) if text]
    return lines + (style.prose(f"Not refreshed: {quota['error']}", INDENT) if quota["error"] else [])


def _window_row(window: Json, quota: Json, style: Style) -> list[Cell]:
    is_tightest = window["limit"] is None and window["name"] == quota["tightest"]
    used = window["used_percent"]
    dim = "dim" if quota["stale"] else None
    return [
        Cell([plain(window["name"])], dim),
        Cell([bar(used, bar_cells(style.width, WIDE_BAR_CELLS))], dim or bar_colour(used)),
        Cell([until(window["resets_at"], style.now) if window["resets_at"] else ""], dim),
        Cell(["tightest" if is_tightest else ""], "bold"),
    ]


def _facts(quota: Json, now: float) -> list[tuple[str, str]]:
    limited, fetched_at = quota["cooldown_until"], quota["fetched_at"]
    if fetched_at is None:
        updated = "never; `codexctl quota --refresh` fetches figures"
    else:
        stale = ", stale; `codexctl quota --refresh` fetches new figures" if quota["stale"] else ""
        updated = f"{ago(fetched_at, now)}{stale}" if now - fetched_at >= 1 else f"just now{stale}"
    is_limited = limited is not None and limited > now
    return [
        ("limited", f"for {duration(limited - now)}, until {clock_time(limited, now)}" if is_limited else ""),
        ("credits", _credits(quota["credits"])),
        ("updated", updated),
    ]


def _credits(credits_: Json | None) -> str:
    if credits_ is None:
        return ""
    if credits_["unlimited"]:
        return "unlimited"
    if not credits_["has_credits"]:
        return "none"
    return plain(credits_["balance"] or "some")


def models(result: Json, style: Style) -> list[str]:
    """``accounts.models``."""
    title = f"{style.paint(name_of(result['account']), 'bold')}, plan {plain(result['account']['plan'])}"
    lines = [title, *_source(result, style)]
    if not result["models"]:
        return [*lines, "The backend offers this account no models."]
    headings = ("MODEL", f"{'WINDOW':>9}", "EFFORTS", "SETTINGS")
    longest = max(cell_width(plain(model["id"])) for model in result["models"])
    rooms = _share_room(longest, style.width)
    lines += table(headings, (_model_row(model, *rooms) for model in result["models"]), style)
    if any(model["default_effort"] for model in result["models"]):
        lines.append(style.paint("* the default effort, for requests that do not set one", "dim"))
    return lines


def _source(result: Json, style: Style) -> list[str]:
    """Where the list comes from, and why."""
    if result["source"] == "built-in":
        lines = style.prose("The backend's list is not known yet; this is the built-in one.")
    elif style.now - result["fetched_at"] >= 1:
        lines = style.prose(f"Fetched from the backend {ago(result['fetched_at'], style.now)}.")
    else:
        lines = ["Fetched from the backend just now."]
    return lines + (style.prose(f"Not refreshed: {result['error']}") if result["error"] else [])


def _share_room(longest: int, width: int | None) -> tuple[int, int]:
    """How many cells efforts and settings get so that a row fits. In a pipe each model is on one line."""
    if width is None:
        return 1000, 1000
    room = width - longest - len("272,000  ") - 3 * len(GAP) - SETTINGS_CELLS
    return max(room, MIN_EFFORTS_CELLS), SETTINGS_CELLS


def _model_row(model: Json, efforts_cells: int, settings_cells: int) -> list[Cell]:
    dim = None if model["listed"] else "dim"
    window = f"{model['context_window']:>9,}" if model["context_window"] is not None else ""
    efforts = [f"{plain(effort)}{'*' * (effort == model['default_effort'])}" for effort in model["efforts"]]
    return [
        Cell([plain(model["id"])], dim),
        Cell([window], dim),
        Cell(_break_into_lines(efforts, efforts_cells), dim),
        Cell(_break_into_lines(_marks(model), settings_cells), dim),
    ]


def _marks(model: Json) -> list[str]:
    names = [plain(use.removeprefix("models.").removeprefix("aliases ")) for use in model["used_by"]]
    if not model["offered"]:
        return [*names, "(not offered)"]
    marks = {"(refused)": model["refused"], "(hidden)": not model["listed"]}
    return names + [mark for mark, holds in marks.items() if holds]


def _break_into_lines(words: list[str], width: int) -> list[str]:
    """``words`` on lines of about ``width`` cells."""
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines
