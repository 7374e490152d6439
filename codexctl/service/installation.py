"""Which codexd a service should run: the one that is installed together with this codexctl."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shlex
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Self

PROGRAM = "codexd"
CACHE_MARK = "CACHEDIR.TAG"
"""The file that marks a folder as a cache (https://bford.info/cachedir/). uv puts one into its cache."""

CACHE_FOLDERS = (".cache", "Caches")
REPLACED_FOLDERS = ("/nix/store/", "/gnu/store/", "/Cellar/")
"""Parts of the paths that Nix, Guix and Homebrew replace at each upgrade."""

TEMPORARY = (Path("/tmp"), Path("/var/tmp"), Path(tempfile.gettempdir()))  # noqa: S108 - nothing is written there


class Kind(Enum):
    """How codexd was installed, in words for people."""

    PIPX = "pipx"
    UV_TOOL = "uv tool"
    VENV = "a virtual environment"
    PYTHON = "Python's own packages"


UPGRADE: Mapping[Kind, str] = {
    Kind.PIPX: "pipx upgrade codexd",
    Kind.UV_TOOL: "uv tool upgrade codexd",
}

REINSTALL: Mapping[Kind, str] = {
    Kind.PIPX: "pipx reinstall codexd",
    Kind.UV_TOOL: "uv tool install --reinstall codexd",
}


class Installation(NamedTuple):
    """An installed codexd.

    ``executable`` is a path that stays the same over an upgrade. ``notes`` are worth knowing; ``problem`` is why a
    service can't use it.
    """

    kind: Kind
    executable: Path
    notes: tuple[str, ...] = ()
    problem: str | None = None


class Interpreter(NamedTuple):
    """The Python that runs codexctl.

    ``called_as`` is the path of this program; ``source`` the folder of the sources if it was installed in editable
    mode.
    """

    prefix: Path
    base_prefix: Path
    scripts: tuple[Path, ...]
    called_as: Path
    search_path: str
    source: Path | None = None

    @classmethod
    def current(cls, environ: Mapping[str, str]) -> Self:
        user_scheme = sysconfig.get_preferred_scheme("user")
        return cls(
            Path(sys.prefix),
            Path(sys.base_prefix),
            (Path(sysconfig.get_path("scripts")), Path(sysconfig.get_path("scripts", user_scheme))),
            Path(sys.argv[0]).absolute(),
            environ.get("PATH", os.defpath),
            _find_source(),
        )


def find_installation(python: Interpreter) -> Installation | None:
    """The codexd that belongs to this codexctl. None: there is no such program."""
    executable = next((path for path in _candidates(python) if os.access(path, os.X_OK)), None)
    if executable is None:
        return None
    kind = _find_kind(python)
    if any(part in str(executable) for part in REPLACED_FOLDERS):
        executable = _find_link(executable, python.search_path) or executable
    return Installation(kind, executable, tuple(_note(executable, python)), _find_problem(executable, python.prefix))


def reinstall_command(python: Interpreter) -> str:
    """The command that installs codexd again with all that it needs."""
    by_hand = f"{shlex.quote(sys.executable)} -m pip install --force-reinstall codexd"
    return REINSTALL.get(_find_kind(python), by_hand)


def _candidates(python: Interpreter) -> Iterator[Path]:
    """Where the program may be.

    A virtual environment has only its own; another Python may have several, of which the one beside codexctl is meant.
    """
    beside = python.called_as.with_name(PROGRAM)
    own = [folder / PROGRAM for folder in python.scripts]
    yield from own[:1] if _is_virtual(python) else [beside, *own]


def _is_virtual(python: Interpreter) -> bool:
    return python.prefix != python.base_prefix


def _find_kind(python: Interpreter) -> Kind:
    if (python.prefix / "pipx_metadata.json").exists():
        return Kind.PIPX
    if (python.prefix / "uv-receipt.toml").exists():
        return Kind.UV_TOOL
    return Kind.VENV if _is_virtual(python) else Kind.PYTHON


def _find_link(executable: Path, search_path: str) -> Path | None:
    """The program on the PATH that leads to ``executable``, and will lead to the next version of it."""
    found = shutil.which(PROGRAM, path=search_path)
    if found is None or Path(found).resolve() != executable.resolve():
        return None
    return None if any(part in found for part in REPLACED_FOLDERS) else Path(found).absolute()


def _find_problem(executable: Path, prefix: Path) -> str | None:
    if _is_cache(prefix):
        return (
            f"{executable} is in a cache, which may be emptied at any time, as after `uvx` and `pipx run`. Install "
            "codexd first: `uv tool install codexd` or `pipx install codexd`."
        )
    if any(part in str(executable) for part in REPLACED_FOLDERS):
        return (
            f"{executable} goes away at the next upgrade. Install codexd into your profile, so that the program on "
            "your PATH leads to it."
        )
    try:
        str(executable).encode()
    except UnicodeEncodeError:
        return f"{executable!s} is not UTF-8, which a service needs. Install codexd in another folder."
    if not str(executable).isprintable():
        return f"{str(executable)!r} has control characters. Install codexd in another folder."
    return None


def _is_cache(prefix: Path) -> bool:
    """Whether ``prefix`` is below a cache.

    uv marks the virtual environments that it makes as caches, too, so only the folders above count.
    """
    return any((folder / CACHE_MARK).exists() or folder.name in CACHE_FOLDERS for folder in prefix.parents)


def _note(executable: Path, python: Interpreter) -> Iterator[str]:
    if python.source is not None:
        yield (
            f"codexd is installed in editable mode: the service runs the code in {python.source} as it is whenever "
            "the service starts."
        )
    if any(executable.is_relative_to(folder) for folder in TEMPORARY):
        yield f"{executable} is in a temporary folder. The service stops working when that is emptied."


def _find_source() -> Path | None:
    """The folder that this codexctl is installed from in editable mode.

    Source: https://packaging.python.org/en/latest/specifications/direct-url/
    """
    with suppress(importlib.metadata.PackageNotFoundError, ValueError, TypeError, AttributeError, LookupError):
        found = json.loads(importlib.metadata.distribution(PROGRAM).read_text("direct_url.json") or "{}")
        if found["dir_info"]["editable"]:
            from urllib.parse import urlsplit  # noqa: PLC0415 - rarely needed
            from urllib.request import url2pathname  # noqa: PLC0415 - rarely needed

            return Path(url2pathname(urlsplit(found["url"]).path))
    return None
