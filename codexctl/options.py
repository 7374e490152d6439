"""How the arguments of several commands are read."""

from __future__ import annotations

import argparse
import re
import time

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
