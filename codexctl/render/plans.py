"""What ``codexctl quota`` and ``codexctl models`` print. Pure."""

from __future__ import annotations

from codexctl.render.accounts import nobody
from codexctl.render.base import (
    Cell,
    Json,
    Style,
    ago,
    bar,
    bar_colour,
    clock_time,
    duration,
    name_of,
    plain,
    table,
    until,
)

BAR_CELLS = 20
INDENT = "  "


def quotas(result: Json, style: Style) -> list[str]:
    """``accounts.quota``: a block an account."""
    if not result["accounts"]:
        return nobody(style)
    blocks = [_quota(quota, style) for quota in result["accounts"]]
    return blocks[0] + [line for block in blocks[1:] for line in ("", *block)]


def _quota(quota: Json, style: Style) -> list[str]:
    account = quota["account"]
    lines = [f"{style.paint(name_of(account), 'bold')}, plan {plain(account['plan'])}"]
    if quota["windows"]:
        rows = [_window_row(window, quota, style.now) for window in quota["windows"]]
        inner = style.narrower(len(INDENT))
        lines += [INDENT + line for line in table(("WINDOW", "USED", "RESETS", ""), rows, inner)]
    lines += [f"{INDENT}{name:8}  {text}" for name, text in _facts(quota, style.now) if text]
    return lines + (style.prose(f"Not asked now: {quota['error']}", INDENT) if quota["error"] else [])


def _window_row(window: Json, quota: Json, now: float) -> list[Cell]:
    is_tightest = window["limit"] is None and window["name"] == quota["tightest"]
    used = window["used_percent"]
    dim = "dim" if quota["stale"] else None
    return [
        Cell([plain(window["name"])], dim),
        Cell([bar(used, BAR_CELLS)], dim or bar_colour(used)),
        Cell([until(window["resets_at"], now) if window["resets_at"] else ""], dim),
        Cell(["tightest" if is_tightest else ""], "bold"),
    ]


def _facts(quota: Json, now: float) -> list[tuple[str, str]]:
    limited, fetched_at = quota["cooldown_until"], quota["fetched_at"]
    if fetched_at is None:
        figures = "none yet; `codexctl quota --refresh` asks for them"
    else:
        stale = ", stale; `codexctl quota --refresh` asks for new ones" if quota["stale"] else ""
        figures = f"from {ago(fetched_at, now)}{stale}" if now - fetched_at >= 1 else f"from just now{stale}"
    is_limited = limited is not None and limited > now
    return [
        ("limited", f"for {duration(limited - now)}, until {clock_time(limited, now)}" if is_limited else ""),
        ("credits", _credits(quota["credits"])),
        ("figures", figures),
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
    if not result["models"]:
        return [title, "The backend offers it no model."]
    headings = ("MODEL", "NAME", f"{'WINDOW':>9}", "EFFORTS")
    lines = [title, *table(headings, (_model_row(model) for model in result["models"]), style)]
    if any(model["default_effort"] for model in result["models"]):
        lines.append(style.paint("* the effort where a request does not say", "dim"))
    return lines


def _model_row(model: Json) -> list[Cell]:
    dim = None if model["listed"] else "dim"
    window = f"{model['context_window']:>9,}" if model["context_window"] is not None else ""
    efforts = [f"{plain(effort)}{'*' * (effort == model['default_effort'])}" for effort in model["efforts"]]
    name = plain(model["name"]) + ("" if model["listed"] else " (hidden)")
    return [Cell([text], dim) for text in (plain(model["id"]), name, window, " ".join(efforts))]
