"""Opening a page in the user's browser, and whether the user would see it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

OPEN_S = 3.0
"""A helper has ended after this long; what still runs is the browser itself."""

TEXT_BROWSERS = ("links", "links2", "elinks", "lynx", "w3m", "www-browser")
"""They need the terminal for themselves."""

_OPEN = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"


def has_browser(environ: Mapping[str, str], platform: str) -> bool:
    """Whether the user would see a browser that is opened here. Setting ``BROWSER`` says so."""
    if environ.get("BROWSER"):
        return True
    if environ.get("SSH_CONNECTION"):
        return False
    if not platform.startswith("linux") or environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"):
        return True
    return _find_opener_of_windows(environ) is not None


def open_page(url: str, environ: Mapping[str, str]) -> bool:
    """Open ``url``; return whether that worked. What a helper or the browser prints does not reach the terminal."""
    import subprocess  # noqa: PLC0415 - it takes 10 ms

    if Path(environ.get("BROWSER", "").partition(" ")[0]).name in TEXT_BROWSERS:
        return subprocess.run([sys.executable, "-c", _OPEN, url], check=False).returncode == 0  # noqa: S603 - no shell
    opener = None if environ.get("BROWSER") else _find_opener_of_windows(environ)
    command = [opener, url] if opener else [sys.executable, "-c", _OPEN, url]
    try:
        process = subprocess.Popen(  # noqa: S603 - no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the browser survives Ctrl-C
        )
        return process.wait(OPEN_S) == 0
    except subprocess.TimeoutExpired:
        return True
    except OSError:
        return False


def _find_opener_of_windows(environ: Mapping[str, str]) -> str | None:
    """In WSL, the program of the package wslu that opens the browser of Windows, which also reaches our ports."""
    if not environ.get("WSL_DISTRO_NAME"):
        return None
    folders = (Path(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder)
    found = (folder / "wslview" for folder in folders)
    return next((str(path) for path in found if os.access(path, os.X_OK)), None)
