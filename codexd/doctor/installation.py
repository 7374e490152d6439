"""Python, the packages that codexd needs, the programs on the PATH, and the limits of this process."""

from __future__ import annotations

import os
import re
import resource
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from attrs import frozen

from codexd import __version__
from codexd.doctor.finding import Finding, note, ok, problem, warning

NAME = "codexd"
PROGRAMS = ("codexd", "codexctl")
FEW_DESCRIPTORS = 1024
"""A turn takes two descriptors: 1,024 are enough for some 500 at once."""

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*([^;]*)(?:;\s*(.*))?")
_CLAUSE = re.compile(r"(>=|<=|==|!=|~=|<|>)\s*([0-9][0-9.]*)")
_PYTHON_MARKER = re.compile(r"python_version\s*(>=|<=|==|!=|<|>)\s*[\"']([0-9.]+)[\"']")


@frozen
class Installation:
    """The running Python, the packages by name (None: missing), and the programs by name, as the PATH has them."""

    python: str
    prefix: str
    requires_python: str
    requirements: tuple[str, ...]
    packages: Mapping[str, str | None]
    programs: Mapping[str, tuple[Path, ...]]
    descriptors: tuple[int, int]
    """The soft and the hard limit of open files; -1: no limit."""
    daemon: Path | None = None
    """The folder of the program that the running daemon was started from, if known."""
    reinstall: str | None = None
    """The command that installs codexd again with all that it needs."""


# -- looking --------------------------------------------------------------------------------------


def look(environ: Mapping[str, str], daemon: Path | None, reinstall: str | None) -> Installation:
    requirements, requires_python = _read_metadata()
    names = [name for name, _ in _needed(requirements, sys.version.split()[0])]
    return Installation(
        python=sys.version.split()[0],
        prefix=sys.prefix,
        requires_python=requires_python,
        requirements=requirements,
        packages={name: _read_version(name) for name in names},
        programs={name: _find_programs(name, environ.get("PATH", "")) for name in PROGRAMS},
        descriptors=resource.getrlimit(resource.RLIMIT_NOFILE),
        daemon=daemon,
        reinstall=reinstall,
    )


def _read_metadata() -> tuple[tuple[str, ...], str]:
    try:
        found = metadata.metadata(NAME)
    except metadata.PackageNotFoundError:  # runs from a checkout
        return (), ""
    return tuple(found.get_all("Requires-Dist") or ()), str(found["Requires-Python"] or "")


def _read_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _find_programs(name: str, path: str) -> tuple[Path, ...]:
    """Every program of this name on the PATH, the one that is run first; links to the same file count once."""
    found: dict[str, Path] = {}
    for folder in filter(None, path.split(os.pathsep)):
        program = Path(folder) / name
        if os.access(program, os.X_OK) and program.is_file():
            found.setdefault(os.path.realpath(program), program)
    return tuple(found.values())


# -- checking -------------------------------------------------------------------------------------


def check_installation(found: Installation) -> Iterator[Finding]:
    """Python and packages against what codexd asks for, and which programs the PATH has."""
    yield from _check_packages(found)
    for name, programs in found.programs.items():
        yield from _check_program(name, programs, found)
    if found.daemon is not None and os.path.realpath(found.daemon) != os.path.realpath(Path(found.prefix) / "bin"):
        text = f"The running codexd was started from {found.daemon}, but this codexctl belongs to {found.prefix}."
        yield note("daemon_of_other_installation", found.daemon, text)


def _check_packages(found: Installation) -> Iterator[Finding]:
    if not is_satisfied(found.python, found.requires_python):
        text = f"codexd needs Python {found.requires_python}, but this is {found.python}."
        yield problem("python_unsupported", found.python, text, "python3 --version")
    wrong = []
    for name, wanted in _needed(found.requirements, found.python):
        version = found.packages.get(name)
        if version is None:
            wrong.append(name)
            yield problem("package_missing", name, f"The package {name} is not installed.", found.reinstall)
        elif not is_satisfied(version, wanted):
            wrong.append(name)
            text = f"{name} {version} is installed, but codexd needs {name}{wanted}."
            yield problem("package_version", name, text, found.reinstall)
    if not found.requirements:
        yield note("no_metadata", NAME, "codexd runs without being installed, so its packages can't be checked.")
    elif not wrong:
        text = f"codexd {__version__} on Python {found.python}, with all {len(found.packages)} packages that it needs."
        yield ok("packages", found.prefix, text)


def _check_program(name: str, programs: tuple[Path, ...], found: Installation) -> Iterator[Finding]:
    own = Path(found.prefix) / "bin" / name
    is_own = [os.path.realpath(program) == os.path.realpath(own) for program in programs]
    if not programs:
        if own.exists():
            text = f"{name} is not on the PATH; it is {own}."
            yield note("not_on_path", name, text, f'export PATH="{own.parent}:$PATH"')
    elif not is_own[0]:
        text = f"Your shell runs {programs[0]}, which is not of this installation, {found.prefix}."
        yield warning("other_program_first", name, text, f"type -a {name}")
    elif len(programs) > 1:
        others = ", ".join(map(str, programs[1:]))
        yield note("several_programs", name, f"{name} is installed more than once: {programs[0]} is run, not {others}.")


def _needed(requirements: Iterable[str], python: str) -> Iterator[tuple[str, str]]:
    """Name and version range of each requirement that applies to this Python, without the optional ones."""
    for requirement in requirements:
        parts = _REQUIREMENT.fullmatch(requirement.strip())
        if parts is None or "extra" in (parts[3] or ""):
            continue
        marker = _PYTHON_MARKER.search(parts[3] or "")
        minor = ".".join(python.split(".")[:2])
        if marker is None or is_satisfied(minor, f"{marker[1]}{marker[2]}"):
            yield parts[1], parts[2].strip().strip("()")


def is_satisfied(version: str, wanted: str) -> bool:
    """Whether ``version`` is in a range such as ``>=0.28,<0.29``. Pre-releases count as their release."""
    return all(_holds(_numbers(version), sign, _numbers(bound)) for sign, bound in _CLAUSE.findall(wanted))


def _holds(version: tuple[int, ...], sign: str, bound: tuple[int, ...]) -> bool:
    length = max(len(version), len(bound))
    left, right = (each + (0,) * (length - len(each)) for each in (version, bound))
    match sign:
        case ">=":
            return left >= right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case "<":
            return left < right
        case "==":
            return left == right
        case "!=":
            return left != right
    return left >= right and version[: len(bound) - 1] == bound[:-1]  # ~=


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def check_limits(found: Installation) -> Iterator[Finding]:
    """How many files a codexd that is started in this shell may open."""
    soft, hard = found.descriptors
    most = soft if hard == resource.RLIM_INFINITY else max(soft, hard)
    if hard != resource.RLIM_INFINITY and hard < FEW_DESCRIPTORS:
        text = f"A process here may open only {hard} files, which a few hundred requests at once use up."
        yield warning("few_descriptors", "ulimit -n", text, "ulimit -Hn")
    else:
        shown = "any number of" if most in (-1, resource.RLIM_INFINITY) else f"{most:,}"
        yield ok("descriptors", "ulimit -n", f"A process here may open {shown} files.")
