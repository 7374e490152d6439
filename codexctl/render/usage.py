"""What ``codexctl usage`` prints. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from codexctl.render.base import Cell, Json, Style, clock_time, milliseconds, plain, table

MILLION = 1_000_000


def usage(result: Json, style: Style) -> list[str]:
    """``usage.summary``: a row a model, an account or a day, and below them their total."""
    problem = style.prose(f"Problem: {result['problem']}") if result["problem"] else []
    if not result["rows"]:
        return [*style.prose("No request was made in that time."), *problem]
    headings = (result["by"].upper(), "REQUESTS", "FAILED", "INPUT", "CACHED", "OUTPUT", "LOSSES", "TTFT")
    grid = [headings, *map(_figures, [*result["rows"], result["total"]])]
    names, *columns = zip(*grid, strict=True)
    aligned = list(zip(names, *map(_to_the_right, columns), strict=True))
    rows = [[Cell([text]) for text in texts] for texts in aligned[1:-1]]
    total = [Cell([text], "bold") for text in aligned[-1]]
    lines = table(aligned[0], [*rows, total], style, cut_first=0)
    if result["since"] is not None:
        lines.append(style.paint(f"since {clock_time(result['since'], style.now)}", "dim"))
    return [*lines, *problem]


def _figures(row: Json) -> tuple[str, ...]:
    sent = row["input_tokens"]
    return (
        plain(row["name"]),
        f"{row['requests']:,}",
        f"{row['failed']:,}",
        tokens(sent),
        f"{row['cached_tokens'] / sent:.0%}" if sent else "",
        tokens(row["output_tokens"]),
        f"{row['losses']:,}",
        "" if row["ttft_ms"] is None else milliseconds(row["ttft_ms"]),
    )


def tokens(count: int) -> str:
    """Exact as long as it is short."""
    return f"{count:,}" if count < MILLION else f"{count / MILLION:,.2f} M"


def _to_the_right(column: Sequence[str]) -> list[str]:
    width = max(map(len, column))
    return [f"{text:>{width}}" for text in column]
