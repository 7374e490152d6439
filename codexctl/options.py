"""Arguments that several commands take, and how they are read."""

from __future__ import annotations

import argparse
import re
import time

from codexctl.invocation import Argument, argument

_AGO = re.compile(r"(?:\d+[smhdw])+")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def since(text: str) -> float:
    """``10m`` or ``1h30m`` ago, as a time."""
    if not _AGO.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time such as 30s, 10m, 1h30m or 7d")
    parts = re.findall(r"(\d+)([smhdw])", text)
    return max(0.0, time.time() - sum(int(count) * _UNITS_S[unit] for count, unit in parts))


def count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of entries")
    return int(text)


def limit_argument(of_the_past: int, before_following: int) -> Argument:
    """``-n``, with what holds where it is not given."""
    help_ = f"at most the last N (default {of_the_past}; before following {before_following})"
    return argument("-n", dest="limit", type=count, metavar="N", help=help_)
