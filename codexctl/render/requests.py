"""What ``codexctl requests``, ``why``, ``usage`` and ``test`` print: results in, lines of text out. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from codexctl.render.format import STATE_COLOURS, Json, clock_time, counted, duration, milliseconds
from codexctl.render.table import GAP, MIN_FIRST_CUT, Cell, natural_width, table
from codexctl.render.text import PROSE_WIDTH, Style, cell_width, pad, plain

REPORTED_LOSSES = ("dropped", "approximated")
"""The kinds that the header ``codexd-losses`` counts. Each request from Claude Code has several of the other kinds."""

NAMED_PATHS = 2
"""How many fields are named if several were lost in the same way and differ only in their indexes."""

STATE_WIDTH = len("running 200")
SHORT_ID_CHARS = 8

HEADINGS = ("TIME", "REQUEST", "STATE", "MODEL", "TOOK", "TOKENS")
WIDE_HEADINGS = ("TIME", "REQUEST", "STATE", "CLIENT", "ACCOUNT", "MODEL", "TOOK", "TTFT", "IN", "OUT")
NARROW_HEADINGS = ("TIME", "REQUEST", "STATE", "MODEL", "TOOK", "OUT")

_INDEX = re.compile(r"\[\d+\]")
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MILLION = 1_000_000


def requests(result: Json, style: Style, *, state: str | None = None) -> list[str]:
    """``requests.list``: one row per request; below the table, what went wrong and what was lost in translation."""
    listed = result["requests"]
    if not listed:
        return style.prose(f"No {f'{state} ' if state else ''}requests since codexd started.")
    if style.width is None:
        rows = [[*_wide_row(each, style.now), Cell(["; ".join(remarks_on(each))])] for each in listed]
        return table((*WIDE_HEADINGS, "REMARKS"), rows, style)
    return _list_lines(listed, style, style.width) + _remarks_below(listed, style)


def _list_lines(listed: list[Json], style: Style, width: int) -> list[str]:
    """One line for each request if a terminal of ``width`` has room for all facts or for only a few, else two."""
    rows = [_wide_row(each, style.now) for each in listed]
    if natural_width(WIDE_HEADINGS, rows) <= width:
        return table(WIDE_HEADINGS, rows, style)
    if width < PROSE_WIDTH:
        return table(NARROW_HEADINGS, (_narrow_row(each, style.now) for each in listed), style, cut_first=3)
    several = len({request["account"] for request in listed} - {None}) > 1
    rows = [_request_row(each, style.now, with_account=several) for each in listed]
    if natural_width(HEADINGS, rows) > width:
        listed = [{**each, "id": short_id(each["id"])} for each in listed]
        rows = [_request_row(each, style.now, with_account=several) for each in listed]
    return table(HEADINGS, rows, style, cut_first=3)


def _remarks_below(listed: list[Json], style: Style) -> list[str]:
    lines = []
    for request in listed:
        if remarks := [*_silence(request, style.now), *remarks_on(request)]:
            lines.append(style.paint(request["id"], "bold"))
            lines += [line for text in remarks for line in style.prose(text, "  ")]
    return ["", *lines] if lines else []


def _wide_row(request: Json, now: float) -> list[Cell]:
    tokens = request["tokens"]
    counts = ["", f"about {tokens['output']:,}"] if tokens and tokens.get("estimated") else []
    counts = counts or ([f"{tokens['input']:,}", f"{tokens['output']:,}"] if tokens else ["", ""])
    purpose = "".join(f" ({text})" for text in purpose_of(request))
    ttft = "" if request["ttft_ms"] is None else milliseconds(request["ttft_ms"])
    return [
        Cell([clock_time(request["started_at"], now)]),
        Cell([request["id"]]),
        _state_cell(request),
        Cell([plain(request["client"]) + purpose]),
        Cell([plain(request["account"] or "")]),
        Cell([_route(request)]),
        Cell([milliseconds(took_ms(request, now))]),
        Cell([ttft]),
        *(Cell([count]) for count in counts),
    ]


def _narrow_row(request: Json, now: float) -> list[Cell]:
    tokens = request["tokens"]
    return [
        Cell([clock_time(request["started_at"], now)]),
        Cell([short_id(request["id"])]),
        _state_cell(request),
        Cell([plain(request["model_used"] or request["model"] or "")]),
        Cell([milliseconds(took_ms(request, now))]),
        Cell([f"{tokens['output']:,}" if tokens else ""]),
    ]


def short_id(request_id: str) -> str:
    """The part of a request's id that is shown where room is scarce; every command takes it."""
    return request_id.removeprefix("req_")[:SHORT_ID_CHARS]


def _state_cell(request: Json) -> Cell:
    return Cell([state_of(request)], STATE_COLOURS.get(request["state"], "red"))


def _silence(request: Json, now: float) -> Iterator[str]:
    if request["silent_since"] is not None:
        yield f"waiting for the backend, silent for {duration(now - request['silent_since'])}"


def _request_row(request: Json, now: float, *, with_account: bool) -> list[Cell]:
    asked, used = request["model"] or "", request["model_used"]
    account = [plain(request["account"])] if with_account and request["account"] else []
    return [
        Cell([clock_time(request["started_at"], now)]),
        Cell([request["id"], plain(request["client"]), *purpose_of(request), *account]),
        _state_cell(request),
        Cell([plain(asked), *([f"-> {plain(used)}"] if used and used != asked else [])]),
        Cell([milliseconds(took_ms(request, now)), *_ttft(request)]),
        Cell(list(_tokens(request))),
    ]


def state_of(request: Json) -> str:
    """``done 200``. The status of a request that was ended is left out: it would only say if an answer had begun."""
    is_bare = request["status"] is None or request["state"] in ("cancelled", "stopped")
    return str(request["state"]) if is_bare else f"{request['state']} {request['status']}"


def purpose_of(request: Json) -> list[str]:
    """What the request was for, unless it was an ordinary one."""
    purpose = request["purpose"]
    return [] if purpose == "turn" else [plain(purpose)]


def took_ms(request: Json, now: float) -> float:
    """How long the request took, or has been running."""
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
    """What went wrong, and the losses in translation that may change the answer."""
    if request["error"] and request["state"] != "stopped":
        yield plain(request["error"])
    alike: dict[tuple[str, ...], list[str]] = {}
    for loss in request["losses"]:
        if loss["kind"] in REPORTED_LOSSES:
            alike.setdefault((loss["kind"], _INDEX.sub("", loss["path"]), loss["note"]), []).append(loss["path"])
    for (kind, _, note), paths in alike.items():
        yield plain(f"{kind} {_name_some(paths)}: {note}")


def _name_some(paths: list[str]) -> str:
    """The first of ``paths``: a long conversation can lose the same field hundreds of times. ``--json`` lists all."""
    named, more = paths[:NAMED_PATHS], len(paths) - NAMED_PATHS
    return f"{', '.join(named)} and {more:,} more" if more > 0 else " and ".join(named)


# -- requests -f


def started(request: Json, style: Style) -> list[str]:
    """A followed request that has started."""
    return _line(request, request["started_at"], "started", "dim", [_client(request)], style)


def ended(request: Json, style: Style) -> list[str]:
    """A followed request that has ended; below it, what went wrong and what was lost in translation."""
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
    lines = _line(request, at, state_of(request), colour, words, style)
    return [*lines, *(each for text in remarks_on(request) for each in style.prose(text, " " * 4))]


def _line(request: Json, at: float, state: str, colour: str | None, words: list[str], style: Style) -> list[str]:
    when, state = clock_time(at, style.now), f"{state:{STATE_WIDTH}}"
    head = f"{when}  {state}  "
    words = [*purpose_of(request), *words]
    first, *others = style.wrap_line(f"{head}{request['id']}  {_route(request)}  {', '.join(words)}")
    return [f"{style.paint(when, 'dim')}  {style.paint(state, colour)}  {first[len(head) :]}", *others]


def _client(request: Json) -> str:
    return f"from {plain(request['client'])}"


def _route(request: Json) -> str:
    asked, used = request["model"] or "no model", request["model_used"]
    return plain(f"{asked} -> {used}" if used and used != asked else asked)


def lost(request: Json, style: Style) -> list[str]:
    """A followed request that was running when the daemon went away."""
    words = [f"codexd went away after {duration(took_ms(request, style.now) / 1000)}"]
    return _line(request, style.now, "lost", "red", words, style)


def running(requests: list[Json], now: float) -> str:
    """One line about the running requests, shown below the others while there are any."""
    oldest = requests[0]
    words = [_route(oldest), duration(took_ms(oldest, now) / 1000)]
    if oldest["tokens"]:
        words.append(f"about {oldest['tokens']['output']:,} tokens")
    more = f", and {len(requests) - 1} more" if len(requests) > 1 else ""
    return f"running: {', '.join(words)}{more}"


# -- requests cancel


def cancelled(request: Json, style: Style) -> list[str]:
    """``requests.cancel``: the request as it was just before."""
    words = [_client(request), f"after {duration(took_ms(request, style.now) / 1000)}"]
    if request["tokens"]:
        words.append(f"about {counted(request['tokens']['output'], 'token')}")
    return style.prose(f"Cancelled {request['id']}: {_route(request)} {', '.join(words)}.")


# -- why


def explanation(result: Json, style: Style) -> list[str]:
    """``requests.explain``."""
    request, steps = result["request"], result["timeline"]
    colour = STATE_COLOURS.get(request["state"], "red")
    title = f"{style.paint(request['id'], 'bold')}  {style.paint(state_of(request), colour)}"
    lines = [f"{title}  {clock_time(request['started_at'], style.now)}", *style.prose(result["summary"])]
    times = [f"+{milliseconds(step['at_ms'])}" for step in steps]
    width = max(map(len, times), default=0)
    lines.append("")
    for at, step in zip(times, steps, strict=True):
        lines += _hanging(f"{at:>{width}}", step["what"], style)
    if result["advice"]:
        lines += ["", style.paint("What to do", "bold")]
    for text in result["advice"]:
        lines += _hanging("-", text, style)
    return lines


def _hanging(head: str, text: str, style: Style) -> list[str]:
    """``text`` in a column to the right of ``head``."""
    indent = " " * (len(head) + 4)
    first, *others = style.prose(text, indent) or [indent]
    return [f"  {style.paint(head, 'dim')}  {first[len(indent) :]}", *others]


# -- usage


def usage(result: Json, style: Style) -> list[str]:
    """``usage.summary``: one row per model, account or day, and the total."""
    problem = style.prose(f"Problem: {result['problem']}") if result["problem"] else []
    if not result["rows"]:
        return [*style.prose("There were no requests in that time."), *problem]
    headings = (result["by"].upper(), "REQUESTS", "FAILED", "INPUT", "CACHED", "OUTPUT", "LOSSES", "TTFT")
    grid = [headings, *map(_figures, [*result["rows"], result["total"]])]
    names, *columns = zip(*grid, strict=True)
    shown = _fit_columns(names, [_align_right(column) for column in columns], style.width)
    aligned = list(zip(names, *shown, strict=True))
    rows = [[Cell([text]) for text in texts] for texts in aligned[1:-1]]
    total = [Cell([text], "bold") for text in aligned[-1]]
    lines = table(aligned[0], [*rows, total], style, cut_first=0)
    if result["since"] is not None:
        lines.append(style.paint(f"since {clock_time(result['since'], style.now)}", "dim"))
    return [*lines, *problem]


def _fit_columns(names: Sequence[str], columns: list[list[str]], width: int | None) -> list[list[str]]:
    """Without the columns that matter least, if a row is too wide even with a cut name. Figures are never cut."""
    name_width = min(MIN_FIRST_CUT, max(map(cell_width, names)))
    for dropped in ("TTFT", "LOSSES", "CACHED", "FAILED"):
        if width is None or name_width + sum(len(GAP) + cell_width(column[0]) for column in columns) <= width:
            return columns
        columns = [column for column in columns if column[0].strip() != dropped]
    return columns


def _figures(row: Json) -> tuple[str, ...]:
    sent = row["input_tokens"]
    return (
        plain(row["name"]),
        f"{row['requests']:,}",
        f"{row['failed']:,}",
        _token_count(sent),
        f"{row['cached_tokens'] / sent:.0%}" if sent else "",
        _token_count(row["output_tokens"]),
        f"{row['losses']:,}",
        "" if row["ttft_ms"] is None else milliseconds(row["ttft_ms"]),
    )


def _token_count(count: int) -> str:
    """Exact below a million."""
    return f"{count:,}" if count < _MILLION else f"{count / _MILLION:,.2f} M"


def _align_right(column: Sequence[str]) -> list[str]:
    width = max(map(cell_width, column))
    return [pad(text, width, right=True) for text in column]


# -- test


def printable(text: str) -> str:
    """``text`` with its lines and tabs but without terminal control sequences, because a model may write anything."""
    return _UNSAFE.sub(lambda found: repr(found[0])[1:-1], text)


def answered(request: Json | None, took_ms: float, style: Style) -> list[str]:
    """Who answered and what it took; ``request`` is None if the daemon no longer has a record of it.

    ``took_ms`` is measured by codexctl: the record of an answer that was only just read may not have ended yet.
    """
    if request is None:
        return ["", *style.prose("The request was answered, but the daemon no longer has a record of it.")]
    account = f" on {plain(request['account'])}" if request["account"] else ""
    used = request["model_used"] or "another program"
    facts = [f"{plain(used)}{account} answered {plain(request['model'] or '')}"]
    if request["ttft_ms"] is not None:
        facts.append(f"first token after {milliseconds(request['ttft_ms'])}")
    facts.append(f"done after {milliseconds(took_ms)}")
    if (tokens := request["tokens"]) is not None:
        cached = f" ({tokens['cached']:,} cached)" if tokens["cached"] else ""
        facts.append(f"{tokens['input']:,} tokens in{cached}, {tokens['output']:,} out")
    lines = [style.paint(line, "dim") for line in style.prose("; ".join(facts) + ".")]
    return ["", *lines, *(line for text in remarks_on(request) for line in style.prose(text))]
