"""The requests on the screen of ``codexctl top``: those that run first, and more on the chosen one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codexctl.render.base import Json, clock_time, milliseconds, plain
from codexctl.top.model import SILENT_S, Model, Request, Shown
from codexctl.top.text import (
    MARK,
    Column,
    Fragment,
    Line,
    Size,
    count,
    cut_line,
    fit,
    fixed,
    gap_at,
    heading,
    row,
    short,
    width_of,
)

ID_CHARS = 8
"""Of a request's id: as a beginning it is enough for every command."""

ROWS_WITH_DETAILS = 7
"""Of the requests; with fewer the rows are needed for themselves."""

SIMULATED = " (simulated)"


@dataclass(frozen=True)
class _Seen:
    """A request at a time, which is what a cell shows."""

    request: Request
    now: float

    @property
    def info(self) -> Json:
        return self.request.info


def request_lines(model: Model, size: Size, now: float) -> list[Line]:
    """A title, the requests around the chosen one, and two lines on that one, in exactly ``size.rows`` lines."""
    listed, chosen = model.listed(), model.chosen()
    gap = gap_at(size.columns)
    fitted = fit(COLUMNS, size.columns - MARK, gap)
    head: list[Line] = [[("bold", "  "), *heading(fitted, gap)]]
    if told := _filter_words(model, len(listed)):
        head.insert(0, [("bold yellow", told)])
    if chosen is None:
        none = "No request fits." if model.requests else "No request has been made since the daemon started."
        return fixed([*head, [("dim", f"  {none}")]], size.rows)
    details = _details(chosen, size.columns, now) if size.rows >= ROWS_WITH_DETAILS else []
    room = max(1, size.rows - len(head) - len(details))
    first = max(0, min(listed.index(chosen) - room // 2, len(listed) - room))
    lines = head
    for each in listed[first : first + room]:
        is_chosen = each is chosen
        cells = row(_Seen(each, now), fitted, gap)
        line = cut_line([("", "> " if is_chosen else "  "), *cells], size.columns)
        lines.append([("reverse", text) for _, text in line] if is_chosen else line)
    return [*fixed(lines, size.rows - len(details)), *details]


def _filter_words(model: Model, number: int) -> str:
    if not model.filter and model.shown is Shown.ALL:
        return ""
    kind = "" if model.shown is Shown.ALL else f"{model.shown.value} "
    text = f" with {plain(model.filter)!r}" if model.filter else ""
    return f"  Only {kind}requests{text}: {number} of {len(model.requests)}. Esc shows all."


def _state(seen: _Seen) -> Fragment:
    info = seen.info
    if not seen.request.is_running:
        return "red" if seen.request.is_failed else "", f"{info['state']} {info['status'] or ''}"
    if info["ttft_ms"] is None:
        return "yellow", "waiting"
    silent_s = seen.request.silent_s(seen.now)
    return ("yellow", f"silent {short(silent_s)}") if silent_s >= SILENT_S else ("green", "streaming")


def _model(seen: _Seen) -> Fragment:
    return "", seen.info["model_used"] or seen.info["model"] or ""


def _account(seen: _Seen) -> Fragment:
    return "", (seen.info["account"] or "").removesuffix(SIMULATED)  # which the first line says


def _asked(seen: _Seen) -> Fragment:
    return "", seen.info["model"] or ""


def _ttft(seen: _Seen) -> Fragment:
    return "", _ms(seen.info["ttft_ms"])


def _time(seen: _Seen) -> Fragment:
    elapsed_s = seen.request.elapsed_s(seen.now)
    return "", short(elapsed_s) if seen.request.is_running else _ms(elapsed_s * 1000)


def _input(seen: _Seen) -> Fragment:
    tokens = seen.info["tokens"]
    return "", count(tokens["input"]) if tokens and not tokens["estimated"] else ""


def _cached(seen: _Seen) -> Fragment:
    tokens = seen.info["tokens"]
    return "", f"{tokens['cached'] / tokens['input']:.0%}" if tokens and tokens["input"] else ""


def _output(seen: _Seen) -> Fragment:
    output = seen.request.output_tokens
    return "", count(output) if output is not None else ""


def _rate(seen: _Seen) -> Fragment:
    rate = seen.request.tokens_per_s(seen.now)
    return "", f"{rate:,.0f}" if rate is not None else ""


def _ms(value: float | None) -> str:
    return "" if value is None else milliseconds(value).replace(" ", "")


COLUMNS: tuple[Column[_Seen], ...] = (
    Column("REQUEST", 8, lambda seen: ("", short_id(seen.request.id))),
    Column("STARTED", 8, lambda seen: ("", clock_time(seen.info["started_at"], seen.now)), from_width=110),
    Column("STATE", 11, _state),
    Column("CLIENT", 18, lambda seen: ("", seen.info["client"]), most=34, from_width=96),
    Column("ASKED FOR", 18, _asked, most=26, from_width=130),
    Column("MODEL", 13, _model, most=20, from_width=48),
    Column("ACCOUNT", 17, _account, most=32, from_width=76),
    Column("TTFT", 6, _ttft, right=True, from_width=96),
    Column("TIME", 6, _time, right=True),
    Column("IN", 8, _input, right=True, from_width=110),
    Column("CACHED", 6, _cached, right=True, from_width=130),
    Column("OUT", 7, _output, right=True, from_width=56),
    Column("TOK/S", 5, _rate, right=True),
)


def _details(request: Request, columns: int, now: float) -> list[Line]:
    """What the row of the chosen request has no room for."""
    info, tokens = request.info, request.info["tokens"]
    asked, used = info["model"], info["model_used"]
    facts = [
        request.id,
        clock_time(info["started_at"], now),
        info["client"],
        f"{asked} -> {used}" if asked and used and asked != used else asked or used,
        f"first token after {milliseconds(info['ttft_ms'])}" if info["ttft_ms"] is not None else None,
        f"{tokens['input']:,} in ({tokens['cached']:,} cached)" if tokens and not tokens["estimated"] else None,
        f"{info['retries']} retried" if info["retries"] else None,
    ]
    why = f"{info['account']}: {info['account_reason']}" if info["account"] and info["account_reason"] else ""
    said: Fragment = ("red", info["error"]) if info["error"] else ("dim", why)
    lines: list[Line] = [_wordwise([plain(fact) for fact in facts if fact], columns)]
    return [*lines, [("", "  "), (said[0], plain(said[1] or ""))]]


def _wordwise(facts: Sequence[str], columns: int) -> Line:
    """As many of ``facts`` as fit, none of them cut."""
    text = "  " + facts[0]
    for fact in facts[1:]:
        longer = f"{text}  {fact}"
        text = longer if width_of(longer) <= columns else text
    return [("dim", text)]


def short_id(request: str) -> str:
    return request.removeprefix("req_")[:ID_CHARS]
