"""What ``codexctl requests`` and ``codexctl why`` print: results of the control socket in, lines of text out. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from codexctl.render.base import (
    STATE_COLOURS,
    Cell,
    Json,
    Style,
    clock_time,
    duration,
    milliseconds,
    plain,
    table,
    wrap,
)

TOLD_LOSSES = ("dropped", "approximated")
"""Those that the header ``codexd-losses`` counts. Claude Code's requests have several of the other kinds each."""

NAMED_PATHS = 2
"""Of the fields that were lost alike, but for their indexes."""

STATE_WIDTH = len("running 200")

_INDEX = re.compile(r"\[\d+\]")


def requests(result: Json, style: Style) -> list[str]:
    """``requests.list``: a row a request; below it what went wrong and what its translation lost."""
    listed = result["requests"]
    if not listed:
        return style.prose("No such request has been made since the daemon started.")
    several = len({request["account"] for request in listed} - {None}) > 1
    headings = ("TIME", "REQUEST", "STATE", "MODEL", "TOOK", "TOKENS")
    lines = table(headings, (_request_row(each, style.now, with_account=several) for each in listed), style)
    return lines + _remarks_below(listed, style)


def _remarks_below(listed: list[Json], style: Style) -> list[str]:
    lines = []
    for request in listed:
        if remarks := list(remarks_on(request)):
            lines.append(style.paint(request["id"], "bold"))
            lines += [line for text in remarks for line in style.prose(text, "  ")]
    return ["", *lines] if lines else []


def _request_row(request: Json, now: float, *, with_account: bool) -> list[Cell]:
    asked, used = request["model"] or "", request["model_used"]
    account = [plain(request["account"])] if with_account and request["account"] else []
    return [
        Cell([clock_time(request["started_at"], now)]),
        Cell([request["id"], plain(request["client"]), *account]),
        Cell([_state(request)], STATE_COLOURS.get(request["state"], "red")),
        Cell([plain(asked), *([f"-> {plain(used)}"] if used and used != asked else [])]),
        Cell([milliseconds(took_ms(request, now)), *_ttft(request)]),
        Cell(list(_tokens(request))),
    ]


def _state(request: Json) -> str:
    return request["state"] if request["status"] is None else f"{request['state']} {request['status']}"


def took_ms(request: Json, now: float) -> float:
    """How long it took, or has been running."""
    taken: float | None = request["duration_ms"]
    return max(0.0, now - request["started_at"]) * 1000 if taken is None else taken


def _ttft(request: Json) -> Iterator[str]:
    if request["ttft_ms"] is not None:
        yield f"ttft {milliseconds(request['ttft_ms'])}"


def _tokens(request: Json) -> Iterator[str]:
    tokens = request["tokens"]
    if tokens is None:
        yield ""
    elif tokens.get("estimated"):
        yield f"about {tokens['output']:,} out"
    else:
        yield f"{tokens['input']:,} in"
        yield f"{tokens['output']:,} out"


def remarks_on(request: Json) -> Iterator[str]:
    """What went wrong, and what its translation lost of it that may make its answer another."""
    if request["error"]:
        yield plain(request["error"])
    alike: dict[tuple[str, ...], list[str]] = {}
    for loss in request["losses"]:
        if loss["kind"] in TOLD_LOSSES:
            alike.setdefault((loss["kind"], _INDEX.sub("", loss["path"]), loss["note"]), []).append(loss["path"])
    for (kind, _, note), paths in alike.items():
        yield plain(f"{kind} {_name_some(paths)}: {note}")


def _name_some(paths: list[str]) -> str:
    """A long history can lose the same field of hundreds of items; ``--json`` has them all."""
    named, more = paths[:NAMED_PATHS], len(paths) - NAMED_PATHS
    return f"{', '.join(named)} and {more:,} more" if more > 0 else " and ".join(named)


# -- followed -------------------------------------------------------------------------------------


def started(request: Json, style: Style) -> list[str]:
    """A request that has begun to run."""
    return _line(request, request["started_at"], "started", "dim", [_client(request)], style)


def ended(request: Json, style: Style) -> list[str]:
    """A request that has ended; below it what went wrong and what its translation lost."""
    colour = STATE_COLOURS.get(request["state"], "red")
    at = request["started_at"] + took_ms(request, style.now) / 1000
    tokens = request["tokens"]
    words = [milliseconds(took_ms(request, style.now)), *_ttft(request)]
    if tokens and not tokens.get("estimated"):
        cached = f" ({tokens['cached']:,} cached)" if tokens["cached"] else ""
        words.append(f"{tokens['input']:,} in{cached}")
    if tokens:
        words.append(f"{tokens['output']:,} out")
    if request.get("retries"):
        words.append(f"retried {request['retries']} times" if request["retries"] > 1 else "retried once")
    lines = _line(request, at, _state(request), colour, words, style)
    return [*lines, *(each for text in remarks_on(request) for each in style.prose(text, " " * 4))]


def _line(request: Json, at: float, state: str, colour: str | None, words: list[str], style: Style) -> list[str]:
    when, state = clock_time(at, style.now), f"{state:{STATE_WIDTH}}"
    head = f"{when}  {state}  "
    first, *others = wrap(f"{head}{request['id']}  {_route(request)}  {', '.join(words)}", style)
    return [f"{style.paint(when, 'dim')}  {style.paint(state, colour)}  {first[len(head) :]}", *others]


def _client(request: Json) -> str:
    return f"from {plain(request['client'])}"


def _route(request: Json) -> str:
    asked, used = request["model"] or "no model", request["model_used"]
    return plain(f"{asked} -> {used}" if used and used != asked else asked)


def running(requests: list[Json], now: float) -> str:
    """Those that run, in short: it stands below the others for as long as they do."""
    oldest = requests[0]
    words = [_route(oldest), duration(took_ms(oldest, now) / 1000)]
    if oldest["tokens"]:
        words.append(f"about {oldest['tokens']['output']:,} tokens")
    more = f", and {len(requests) - 1} more" if len(requests) > 1 else ""
    return f"running: {', '.join(words)}{more}"


# -- explained ------------------------------------------------------------------------------------


def explanation(result: Json, style: Style) -> list[str]:
    """``requests.explain``."""
    request, steps = result["request"], result["timeline"]
    colour = STATE_COLOURS.get(request["state"], "red")
    title = f"{style.paint(request['id'], 'bold')}  {style.paint(_state(request), colour)}"
    lines = [f"{title}  {clock_time(request['started_at'], style.now)}", *style.prose(result["summary"])]
    times = [f"+{milliseconds(step['at_ms'])}" for step in steps]
    width = max(map(len, times), default=0)
    lines.append("")
    for at, step in zip(times, steps, strict=True):
        lines += _hanging(f"{at:>{width}}", step["what"], style)
    if result["advice"]:
        lines += ["", style.paint("What now", "bold")]
    for text in result["advice"]:
        lines += _hanging("-", text, style)
    return lines


def _hanging(head: str, text: str, style: Style) -> list[str]:
    """``text`` in a column of its own, right of ``head``."""
    indent = " " * (len(head) + 4)
    first, *others = style.prose(text, indent) or [indent]
    return [f"  {style.paint(head, 'dim')}  {first[len(indent) :]}", *others]
