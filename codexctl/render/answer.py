"""What ``codexctl test`` prints. Pure."""

from __future__ import annotations

import re

from codexctl.render.base import Json, Style, milliseconds, plain
from codexctl.render.requests import remarks_on

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """``text`` without terminal control sequences, its lines and tabs kept: a model may write anything."""
    return _UNSAFE.sub(lambda found: repr(found[0])[1:-1], text)


def report(request: Json | None, took_ms: float, style: Style) -> list[str]:
    """Who answered, and what it took, by the daemon's own record; None when that is gone already.

    The record of an answer whose last bytes have just been read may not have an end yet, so ``took_ms`` is ours.
    """
    if request is None:
        return ["", *style.prose("It was answered; the daemon no longer knows more about it.")]
    account = f" on {plain(request['account'])}" if request["account"] else ""
    used = request["model_used"] or "another program"
    facts = [f"{plain(used)}{account} answered {plain(request['model'] or '')}"]
    if request["ttft_ms"] is not None:
        facts.append(f"first words after {milliseconds(request['ttft_ms'])}")
    facts.append(f"all after {milliseconds(took_ms)}")
    if (tokens := request["tokens"]) is not None:
        cached = f" ({tokens['cached']:,} of them cached)" if tokens["cached"] else ""
        facts.append(f"{tokens['input']:,} tokens in{cached}, {tokens['output']:,} out")
    lines = [style.paint(line, "dim") for line in style.prose("; ".join(facts) + ".")]
    return ["", *lines, *(line for text in remarks_on(request) for line in style.prose(text))]
