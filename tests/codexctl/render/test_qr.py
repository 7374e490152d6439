"""A QR code of half blocks."""

from __future__ import annotations

import re

import pytest
import segno

from codexctl.render.qr import BORDER, qr_code

URL = "https://auth.openai.com/codex/device"
MODULES = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}


def read(lines):
    """The rows of modules that the lines show."""
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    return [[MODULES[char][half] for char in line] for line in plain for half in (0, 1)]


@pytest.mark.parametrize("text", [URL, "https://auth.example.com/oauth/authorize?" + "x" * 400])
def test_it_shows_the_modules_of_the_code(text):
    expected = [list(row) for row in segno.make_qr(text, error="l", boost_error=False).matrix_iter(border=BORDER)]
    rows = read(qr_code(text, 200, 200))
    assert rows[: len(expected)] == expected
    assert not any(any(row) for row in rows[len(expected) :])


def test_it_is_black_on_white_whatever_the_terminal_is():
    assert all(line.startswith("\x1b[38;5;16;48;5;231m") and line.endswith("\x1b[0m") for line in qr_code(URL, 80, 24))


@pytest.mark.parametrize(("columns", "rows", "fits"), [(33, 17, True), (32, 17, False), (33, 16, False), (0, 0, False)])
def test_one_that_does_not_fit_is_left_out(columns, rows, fits):
    assert bool(qr_code(URL, columns, rows)) == fits
