"""Where a browser is seen, and what its helpers leave of the terminal."""

from __future__ import annotations

import os

import pytest

from codexctl import browser
from codexctl.browser import has_browser, open_page

URL = "https://auth.example.com/oauth/authorize?a=1&b=2"


@pytest.fixture
def program(tmp_path):
    """Gives a function that makes a shell script of that name; it notes its first argument in ``opened``."""

    def make(name, script):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/opened\n{script}\n')
        path.chmod(0o755)
        return path

    return make


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "1"}, "linux", False),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "1"}, "darwin", False),
        ({"SSH_CONNECTION": "1", "BROWSER": "helper"}, "linux", True),
        ({"WSL_DISTRO_NAME": "Ubuntu", "PATH": "/nowhere:HERE"}, "linux", True),
        ({"WSL_DISTRO_NAME": "Ubuntu", "PATH": "/nowhere"}, "linux", False),
        ({"PATH": "HERE"}, "linux", False),
    ],
)
def test_where_a_browser_is_seen(environ, platform, expected, program):
    folder = program("wslview", "").parent
    environ = {name: value.replace("HERE", str(folder)) for name, value in environ.items()}
    assert has_browser(environ, platform) is expected


def test_what_a_helper_prints_does_not_reach_the_terminal(program, tmp_path, monkeypatch, capfd):
    helper = program("helper", "echo noise; echo more >&2")
    monkeypatch.setenv("BROWSER", f"{helper} %s")
    assert open_page(URL, os.environ)
    assert (tmp_path / "opened").read_text() == URL
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it outlives its Popen
def test_a_browser_that_stays_is_not_waited_for(program, tmp_path, monkeypatch):
    monkeypatch.setattr(browser, "OPEN_S", 0.3)
    stay = program("stay", f"read line < {tmp_path}/pipe")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("BROWSER", f"{stay} %s")
    assert open_page(URL, os.environ)
    with (tmp_path / "pipe").open("w"):
        pass  # it ends


def test_a_browser_that_fails(program, monkeypatch):
    monkeypatch.setenv("BROWSER", f"{program('broken', 'exit 1')} %s")
    assert not open_page(URL, os.environ)


def test_a_text_browser_has_the_terminal(program, monkeypatch, capfd):
    text_browser = program("w3m", "echo page")
    monkeypatch.setenv("BROWSER", f"{text_browser} %s")
    assert open_page(URL, os.environ)
    assert capfd.readouterr().out == "page\n"


def test_windows_opens_it_from_wsl(program, tmp_path):
    folder = program("wslview", "echo noise").parent
    assert open_page(URL, {"WSL_DISTRO_NAME": "Ubuntu", "PATH": str(folder)})
    assert (tmp_path / "opened").read_text() == URL
