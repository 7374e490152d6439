"""The screen of ``codexctl top``: a model in, lines of styled text out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from codexctl.render.daemon import LEVEL_COLOURS, serving
from codexctl.render.format import STATE_COLOURS, Json, clock_time, counted, duration, short_duration
from codexctl.render.requests import explanation, short_id
from codexctl.render.text import PROSE_WIDTH, Style, cell_width, plain, wrap
from codexctl.top.keys import KEYS
from codexctl.top.layout import Line, Size, fill_line, fill_rows, fits, spread
from codexctl.top.model import Cancelling, Filtering, Help, Model, Switching, Why, account_names
from codexctl.top.tables import account_lines, account_table, request_lines

MIN_COLUMNS, MIN_ROWS = 40, 10
TALL_ROWS = 30
"""With this many rows, there is room for empty lines."""

KEY_CELLS = 17
LAST_KEYS = (("?", "help"), ("q", "quit"))
LIST_KEYS = (
    ("enter", "why"),
    ("s", "switch"),
    ("c", "cancel"),
    ("/", "filter"),
    ("f", "running, failed"),
    *LAST_KEYS,
)

ABOUT = (
    (
        "Running requests come first, then ended ones, the newest on top. While a request runs, OUT and TOK/S are "
        "estimated from its text, and TOK/S covers the last 5 seconds. Once it has ended, they are the backend's "
        "figures for the whole request. SILENT says how long an answer has had no new text."
    ),
    "Quota bars show how much is used, followed by the time of the reset. * marks the active account.",
    "In a pipe, use codexctl requests -f, codexctl status and codexctl quota instead.",
)


def screen(model: Model, size: Size, now: float) -> list[Line]:
    """The whole screen: ``size.rows`` lines, each of ``size.columns`` cells."""
    if size.columns < MIN_COLUMNS or size.rows < MIN_ROWS:
        lines: list[Line] = [[("bold", f"The terminal must be at least {MIN_COLUMNS}x{MIN_ROWS}.")]]
    else:
        head, foot = _header(model, size.columns, now), _footer(model, size.columns)
        body = _stale_body if model.gone else _body
        lines = [*fill_rows([head, *body(model, Size(size.columns, size.rows - 2), now)], size.rows - 1), foot]
    return [fill_line(line, size.columns) for line in fill_rows(lines, size.rows)]


def settle(model: Model, size: Size, now: float) -> None:
    """Don't show a notice for ever, nor scroll a text beyond its end: scrolling back has to take effect at once."""
    model.age(now)
    if isinstance(model.pane, Why):
        lines = len(_why_lines(model.pane, size.columns, now))
        model.pane = replace(model.pane, top=min(model.pane.top, max(0, lines - (size.rows - 2))))


def _body(model: Model, size: Size, now: float) -> list[Line]:
    match model.pane:
        case Help():
            return _help_lines(size.columns)
        case Why() as why:
            return _scrolled(_why_lines(why, size.columns, now), why.top, size.rows)
        case Switching() as menu:
            return _menu_lines(model, menu, size.columns, now)
    return _overview(model, size, now)


def _stale_body(model: Model, size: Size, _now: float) -> list[Line]:
    """Why there is nothing new, and below it what was shown when the daemon went away."""
    why = _prose(model.gone, size.columns)
    body = _body(model, Size(size.columns, size.rows - len(why)), model.gone_at)
    return [*why, *([("dim", text) for _, text in line] for line in body)]


def _overview(model: Model, size: Size, now: float) -> list[Line]:
    """Accounts, tasks and errors get at most a quarter of the rows each; the requests get the rest."""
    share = max(1, (size.rows - 4) // 4)
    space: list[Line] = [[]] if size.rows >= TALL_ROWS else []
    above = [*_refusal_lines(model, now), *space, *account_lines(model, size.columns, share + 1, now), *space]
    below = [*space, *_task_lines(model, share), *space, *_error_lines(model, size.columns, share, now), *space]
    requests = request_lines(model, Size(size.columns, size.rows - len(above) - len(below)), now)
    return [*above, *requests, *below]


# -- the first line and the last


def _header(model: Model, columns: int, now: float) -> Line:
    if model.gone:
        return [("bold red", f"codexd has been away for {duration(now - model.gone_at)}. Waiting for it to come back.")]
    if model.status is None:
        return [("bold", "codexd")]
    status = model.status
    mark = "  SIMULATED, WITH FAULTS" if status.get("faults") is not None else "  SIMULATED"
    simulated: Line = [("yellow", mark)] if status["simulated"] else []
    left: Line = [("bold", f"codexd {plain(status['version'])}"), *simulated]
    details: Line = [("", f"  {_addresses(status)}"), ("", f"  up {short_duration(now - status['started_at'])}")]
    running = model.running
    rate = sum(each.tokens_per_s(now) or 0 for each in running)
    right: Line = [("bold", f"{len(running)} running"), ("", f"  {rate:,.0f} tok/s")]
    while details and not fits([*left, *details], right, columns):
        details.pop()
    return spread([*left, *details], right if fits(left, right, columns) else right[:1], columns)


def _refusal_lines(model: Model, now: float) -> list[Line]:
    """Why no request can be served; nothing if one can. Without an account, the list of accounts says so."""
    if model.status is None or model.status["serving"]["possible"] or not model.accounts:
        return []
    return [[("bold red", plain(serving(model.status, now)))]]


def _addresses(status: Json) -> str:
    return plain(", ".join(each.removeprefix("http://") for each in status["addresses"]) or "not listening")


def _footer(model: Model, columns: int) -> Line:
    match model.pane:
        case Filtering():
            return [("bold", "Filter: "), ("", model.filter), ("reverse", " "), ("dim", "  enter applies, esc cancels")]
        case Cancelling(request):
            return [("bold yellow", f"Cancel {request}?"), ("bold", "  y cancels it, any other key goes back")]
        case Why():
            return _hints(("up down", "scroll"), ("esc", "back"))
        case Switching():
            return _hints(("up down", "choose"), ("enter", "switch"), ("esc", "back"))
        case Help():
            return _hints(("any key", "back"))
        case _:
            return [("bold", plain(model.notice))] if model.notice else _fit_hints(columns)


def _hints(*keys: tuple[str, str]) -> Line:
    return [each for key, effect in keys for each in (("bold", key), ("dim", f" {effect}  "))]


def _fit_hints(columns: int) -> Line:
    """The keys of the list. A narrow terminal keeps the first ones, and those for help and to quit."""
    shown = list(LIST_KEYS)
    while len(shown) > len(LAST_KEYS) and sum(cell_width(text) for _, text in _hints(*shown)) > columns:
        del shown[-len(LAST_KEYS) - 1]
    return _hints(*shown)


# -- tasks and errors


def _task_lines(model: Model, max_lines: int) -> list[Line]:
    """The names of the tasks that run well, and a line for each task that was restarted or does not run."""
    tasks = model.status["tasks"] if model.status else []
    if not tasks:
        return []
    restarted = [task for task in tasks if task["restarts"] or task["state"] != "running"]
    well = len(tasks) - len(restarted)
    names = ", ".join(plain(task["name"]) for task in tasks if task not in restarted)
    lines: list[Line] = [[("bold", "TASKS  "), ("green", f"{well} running"), ("dim", f"  {names}")]]
    restarted.sort(key=lambda task: (task["state"] == "running", -task["restarts"]))
    lines += map(_task_line, restarted)
    if len(lines) > max_lines + 1:
        more = len(lines) - max_lines
        lines = [*lines[:max_lines], [("dim", f"  and {more} more; see codexctl status")]]
    return lines


def _task_line(task: Json) -> Line:
    return [
        ("", f"  {plain(task['name'])}  "),
        (STATE_COLOURS.get(task["state"], "red"), task["state"]),
        ("yellow", f"  restarted {task['restarts']} times" if task["restarts"] != 1 else "  restarted once"),
        ("dim", f"  {plain(task['last_error'] or '')}"),
    ]


def _error_lines(model: Model, columns: int, max_lines: int, now: float) -> list[Line]:
    """The warnings and errors of the last hour, the newest at the bottom."""
    found: list[list[Line]] = [
        [[("yellow", f"  Problem: {plain(text)}")]] for text in (model.status["problems"] if model.status else ())
    ]
    names = account_names(model.accounts)
    found += [_wrap_error(_error_line(entry, names, now), columns) for entry in model.recent_entries(now)[-max_lines:]]
    title = ("bold", "LAST ERRORS")
    return [[title], *_keep_newest(found, max_lines)] if found else [[title, ("dim", "  none in the last hour")]]


def _keep_newest(entries: list[list[Line]], max_lines: int) -> list[Line]:
    """The lines of the last entries that fit; of the very last at least its beginning."""
    *older, newest = entries
    kept = newest[:max_lines]
    if len(newest) > max_lines:
        *before, (style, text) = kept[-1]
        kept[-1] = [*before, (style, f"{text[:-1]}…")]
    for lines in reversed(older):
        if len(lines) + len(kept) > max_lines:
            break
        kept = [*lines, *kept]
    return kept


def _wrap_error(line: Line, columns: int) -> list[Line]:
    """``line``, with what went wrong on as many lines as it needs, and without the rest if there is no room for it."""
    (_, at), (colour, text), (_, more) = line
    if cell_width(at + text + more) <= columns:
        return [line]
    first, *others = wrap(text, columns - cell_width(at), "", "") or [""]
    return [[("dim", at), (colour, first)], *([("", " " * cell_width(at)), (colour, other)] for other in others)]


def _error_line(entry: Json, names: Mapping[str, str], now: float) -> Line:
    """What went wrong comes first, because the line may be cut."""
    fields = entry["fields"]
    text = fields.get("error") or entry["message"]
    account = names.get(fields.get("account", ""), fields.get("account"))
    more = [str(each) for each in (fields.get("model"), account) if each]
    request = f"{short_id(entry['request'])}  " if entry["request"] else ""
    return [
        ("dim", f"  {clock_time(entry['at'], now)}  "),
        (LEVEL_COLOURS.get(entry["level"], ""), f"{request}{plain(str(text))}"),
        ("dim", plain(f"  ({', '.join(more)})") if more else ""),
    ]


# -- help, the menu of accounts, why


def _help_lines(columns: int) -> list[Line]:
    lines: list[Line] = [[("bold", "Keys")]]
    for keys, words in KEYS:
        first, *others = wrap(words, columns - KEY_CELLS, "", "")
        lines += [
            [("bold", f"  {keys:{KEY_CELLS - 2}}"), ("", first)],
            *([("", " " * KEY_CELLS + each)] for each in others),
        ]
    for text in ABOUT:
        lines += [[("", "")], *_prose(text, columns)]
    return lines


def _menu_lines(model: Model, menu: Switching, columns: int, now: float) -> list[Line]:
    """The accounts with the one to switch to marked, and what the switch costs."""
    names = account_names(model.accounts)
    head, *rows = account_table(model.accounts, names, columns, now)
    lines: list[Line] = [[("bold", "Switch to which account?")], [("", "")], head]
    for account, line in zip(model.accounts, rows, strict=True):
        is_chosen = account["id"] == menu.account
        whole = fill_line(line, columns)
        lines.append([("reverse", text) for _, text in whole] if is_chosen else whole)
    chosen = model.account(menu.account)
    if chosen is not None:
        lines.append([("", "")])
        for text in (_describe_cost(chosen, menu), chosen["reason"] or ""):
            lines += _prose(text, columns) if text else []
    return lines


def _describe_cost(account: Json, menu: Switching) -> str:
    name = account["label"]
    if account["active"]:
        return f"{name} is the active account."
    if menu.cost is None:
        return ""
    cost = menu.cost
    if not cost["sessions"]:
        return f"Switching to {name} costs nothing: no session from the last hour uses another account."
    dropped = (
        f", and {counted(cost['reasoning_items'], 'piece')} of reasoning dropped" if cost["reasoning_items"] else ""
    )
    return (
        f"Switching to {name} moves {counted(cost['sessions'], 'session')} from the last hour: "
        f"{counted(cost['tokens'], 'token')} are read again without the prompt cache{dropped}. Running requests "
        "finish on the account they started on."
    )


def _why_lines(why: Why, columns: int, now: float) -> list[Line]:
    """``requests.explain``, as ``codexctl why`` shows it."""
    lines: list[Line] = [[("bold", f"Why: {why.request}")], [("", "")]]
    if why.problem:
        return [*lines, *_prose(why.problem, columns, "yellow")]
    if why.explanation is None:
        return [*lines, [("dim", "  Asking codexd ...")]]
    title, *rest = explanation(why.explanation, Style(now, columns))
    return [[("bold", title)], *([("", line)] for line in rest)]


def _scrolled(lines: list[Line], top: int, rows: int) -> list[Line]:
    """``rows`` of ``lines`` from ``top`` on, or the last ones. If there are more below, the last line says so."""
    first = min(top, max(0, len(lines) - rows))
    shown = lines[first : first + rows]
    if first + rows < len(lines):
        shown[-1] = [("dim", f"  {len(lines) - first - rows + 1} more lines below")]
    return shown


def _prose(text: str, columns: int, style: str = "") -> list[Line]:
    return [[(style, line)] for line in wrap(plain(text), min(columns, PROSE_WIDTH), "  ", "  ")]
