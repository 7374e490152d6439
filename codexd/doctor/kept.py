"""What codexd keeps besides accounts and settings: whether each file can be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from codexd import jsontext
from codexd.clients.undo import FILE_NAME as UNDO_FILE
from codexd.doctor.finding import Finding, list_paths, ok, problem, shell, warning
from codexd.files import read_foreign
from codexd.paths import Places

SQLITE_HEAD = b"SQLite format 3\0"
"""How every SQLite database begins: https://www.sqlite.org/fileformat.html."""


@frozen
class Kept:
    """A file that is there; ``problem`` says why it can't be read."""

    path: Path
    problem: str | None = None


def look(places: Places) -> tuple[Kept, ...]:
    """The files that are there. None is changed, and no mode either."""
    texts = [places.limits, places.state_dir / UNDO_FILE]
    with suppress(OSError):  # the check of the files reports the folder
        texts += sorted(places.models.glob("*.json"))
    found = [Kept(path, _try_json(path)) for path in texts if os.path.lexists(path)]
    if os.path.lexists(places.usage):
        found.append(Kept(places.usage, _try_database(places.usage)))
    return tuple(found)


def _try_json(path: Path) -> str | None:
    try:
        content = jsontext.loads(read_foreign(path))
    except OSError as error:
        return error.strerror or str(error)
    except ValueError:
        return "it is not JSON"
    return None if isinstance(content, dict) else "it is not a JSON object"


def _try_database(path: Path) -> str | None:
    """Whether the file begins as a database does. An empty one is about to become one."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            head = file.read(len(SQLITE_HEAD))
    except OSError as error:
        return error.strerror or str(error)
    return None if head in (b"", SQLITE_HEAD) else "it is not an SQLite database"


def check_kept(found: tuple[Kept, ...]) -> Iterator[Finding]:
    """A broken cache is fetched again; without the undo record, the clients' settings can't be restored."""
    for each in found:
        if each.problem is None:
            continue
        text = f"{each.path} can't be read: {each.problem}."
        if each.path.name == UNDO_FILE:
            text += " codexd can't restore the settings of your clients without it; backups are next to those."
            yield problem("undo_record_broken", each.path, text, shell("mv", each.path, f"{each.path}.broken"))
        else:
            text += " codexd keeps it aside and begins a new one at its next start."
            yield warning("cache_broken", each.path, text, shell("ls -l", each.path))
    if found and all(each.problem is None for each in found):
        names = list_paths(dict.fromkeys(Path(each.path.name) for each in found), most=9)
        yield ok("kept_files", found[0].path.parent, f"What else codexd keeps can be read: {names}.")
