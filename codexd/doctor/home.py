"""The folders and files of codexd: who can use them, whether there is room to write, and whether caches can be read."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from attrs import frozen

from codexd import jsontext
from codexd.clients.undo import FILE_NAME as UNDO_FILE
from codexd.doctor.finding import Finding, Level, list_paths, note, ok, problem, shell, warning
from codexd.files import DISK_FULL, explain, read_foreign
from codexd.paths import Places

MAX_ENTRIES = 2000
"""At most this many files are looked at: a home that was set to ``/`` by mistake must not take minutes."""

LOW_BYTES, NO_BYTES = 100 * 1024 * 1024, 1024 * 1024
LOW_INODES = 100
MAX_SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103
"""The longest path of a Unix socket: ``sun_path`` of ``struct sockaddr_un``, without its last zero."""

OWN_NAMES = (
    "settings.toml",
    "accounts",
    "limits.json",
    "models",
    "clients.json",
    "claude-run.json",
    "usage.sqlite3",
    "running",
    "control.sock",
    "shell-history",
)
"""How the names of codexd's files begin: ``CODEXD_HOME`` may be a folder that holds much else."""

PROBE_BYTES = 4096
PROBE_PREFIX = ".codexd-doctor-"

SQLITE_HEAD = b"SQLite format 3\0"
"""How every SQLite database begins: https://www.sqlite.org/fileformat.html."""


@frozen
class Entry:
    """A file or folder as ``lstat`` describes it.

    ``target``: where a symbolic link leads. ``exists``: something is there; ``leads_to_folder``: a folder.
    """

    path: Path
    mode: int
    owner: int
    target: str | None = None
    exists: bool = True
    leads_to_folder: bool = False

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)


@frozen
class Space:
    """What is left on the file system of ``folder``. ``inodes`` is None where it has no fixed number of them."""

    folder: Path
    free_bytes: int
    inodes: int | None


@frozen
class Home:
    """``user``: the id of the user who runs this.

    ``unreadable``: what can't be read, and why. ``unwritable``: likewise, and a command that shows more.
    """

    places: Places
    user: int
    entries: tuple[Entry, ...]
    space: Space | None
    unreadable: tuple[tuple[Path, str], ...] = ()
    unwritable: tuple[tuple[Path, str, str], ...] = ()
    sudo_user: str | None = None


@frozen
class Kept:
    """A file that is there; ``problem`` says why it can't be read."""

    path: Path
    problem: str | None = None


# -- looking --------------------------------------------------------------------------------------


def look(places: Places, user: int, sudo_user: str | None) -> Home:
    """What is there now. Writes a small file into each folder and deletes it again."""
    unreadable: list[tuple[Path, str]] = []
    roots = tuple(dict.fromkeys((places.config_dir, places.state_dir)))
    entries = tuple(islice(_walk([*roots, places.socket], unreadable), MAX_ENTRIES))
    folders = dict.fromkeys((*roots, places.state_dir / "accounts", places.socket.parent))
    unwritable = tuple(_find_unwritable(folders))
    return Home(places, user, entries, _measure(places.state_dir), tuple(unreadable), unwritable, sudo_user)


def _walk(roots: Iterable[Path], unreadable: list[tuple[Path, str]]) -> Iterator[Entry]:
    """What is at ``roots`` and below, as far as it is codexd's. Only a root is followed if it is a symbolic link."""
    tops = tuple(roots)
    pending, seen = list(tops), set()
    while pending:
        path = pending.pop(0)
        if path in seen:
            continue
        seen.add(path)
        try:
            status = path.lstat()
            target = str(path.readlink()) if stat.S_ISLNK(status.st_mode) else None
            behind = _read_mode(path)
            is_folder = stat.S_ISDIR(behind or 0)
            yield Entry(path, status.st_mode, status.st_uid, target, behind is not None, leads_to_folder=is_folder)
            if path in tops and is_folder:
                pending += (each for each in sorted(path.iterdir()) if each.name.startswith(OWN_NAMES))
            elif stat.S_ISDIR(status.st_mode):
                pending += sorted(path.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            unreadable.append((path, error.strerror or str(error)))


def _read_mode(path: Path) -> int | None:
    """The mode of what is at ``path``, links followed; None if that can't be found out or leads nowhere."""
    try:
        return path.stat().st_mode
    except OSError:
        return None


def _measure(folder: Path) -> Space | None:
    try:
        found = os.statvfs(nearest_existing(folder))
    except OSError:
        return None
    return Space(folder, found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def nearest_existing(folder: Path) -> Path:
    """``folder``, or the nearest folder above it that exists."""
    return next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)


def _find_unwritable(folders: Iterable[Path]) -> Iterator[tuple[Path, str, str]]:
    """The folders into which nothing can be written, why, and a command that shows more. Those below follow from it."""
    found: list[Path] = []
    for folder in folders:
        if not any(above in folder.parents for above in found) and (why := _try_writing(folder)):
            found.append(folder)
            yield folder, *why


def _try_writing(folder: Path) -> tuple[str, str] | None:
    """Why nothing can be written into ``folder``, and what shows more; None if it can, or could once it is created."""
    above = nearest_existing(folder)
    try:
        if not os.path.lexists(folder):
            if stat.S_ISDIR(_read_mode(above) or 0) and os.access(above, os.W_OK | os.X_OK):
                return None
            return f"{folder} can't be created: you may not write into {above}.", shell("ls -ld", above)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=PROBE_PREFIX) as file:
            file.write(b"\0" * PROBE_BYTES)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = str(folder)
        return explain(error), shell("df -h" if error.errno in (*DISK_FULL, errno.EROFS) else "ls -ld", above)
    return None


def read_kept(places: Places) -> tuple[Kept, ...]:
    """What codexd keeps besides accounts and settings. No file is changed, and no mode either."""
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


# -- checking -------------------------------------------------------------------------------------


def check_files(home: Home) -> Iterator[Finding]:
    """Owners, permissions and links."""
    if wrong := _find_non_folders(home):
        for entry in wrong:
            text = f"{entry.path} is {_describe(entry)}, not a folder, so codexd can't keep its files there."
            yield problem("not_a_folder", entry.path, text, shell("mv", entry.path, f"{entry.path}.away"))
        return
    found = [*_check_user(home), *_check_owners(home), *_check_modes(home), *_check_links(home)]
    yield from found
    is_explained = any(finding.level is Level.PROBLEM for finding in found)
    for path, reason in () if is_explained else home.unreadable:
        yield problem("unreadable", path, f"{path} can't be read: {reason}.", shell("ls -ld", path))
    kept = [entry.path for entry in home.entries if ".unreadable" in entry.path.name or ".edited" in entry.path.name]
    if kept:
        text = f"Kept, because codexd could not use it: {list_paths(kept)}. Delete it once you don't need it any more."
        yield note("kept_aside", list_paths(kept), text)
    if not found and not home.unreadable:
        state = home.places.state_dir
        exists = any(entry.path == state for entry in home.entries)
        text = f"{state} belongs to you, and only you can use it." if exists else f"{state} will be created."
        yield ok("files_private", state, text)


def _find_non_folders(home: Home) -> list[Entry]:
    """The homes that are something else. Whatever else is wrong follows from that."""
    roots = (home.places.config_dir, home.places.state_dir)
    return [entry for entry in home.entries if entry.path in roots and not (entry.is_folder or entry.leads_to_folder)]


def _describe(entry: Entry) -> str:
    if entry.is_link:
        return f"a symbolic link to {entry.target}" + ("" if entry.exists else " which leads nowhere")
    return "a file" if stat.S_ISREG(entry.mode) else "something else"


def _check_user(home: Home) -> Iterator[Finding]:
    if home.user == 0 and home.sudo_user not in (None, "root"):
        yield warning(
            "run_with_sudo",
            "root",
            f"You run this as root with sudo, so it looks at root's codexd, not at that of {home.sudo_user}. Neither "
            "codexd nor codexctl needs root.",
            "codexctl doctor",
        )


def _check_owners(home: Home) -> Iterator[Finding]:
    foreign = [entry for entry in home.entries if entry.owner != home.user]
    if not foreign:
        return
    whose = "root" if all(entry.owner == 0 for entry in foreign) else f"another user (uid {foreign[0].owner})"
    why = " They are probably left from a run with sudo." if whose == "root" else ""
    roots = dict.fromkeys((home.places.config_dir, home.places.state_dir, home.places.socket.parent))
    at = [root for root in roots if any(entry.path.is_relative_to(root) for entry in foreign)]
    paths = list_paths(entry.path for entry in foreign)
    yield problem(
        "foreign_owner",
        paths,
        f"These belong to {whose}, so codexd can't use them: {paths}.{why}",
        f'{"" if home.user == 0 else "sudo "}chown -R "$(id -un)" {shell("", *at).strip()}',
    )


def _check_modes(home: Home) -> Iterator[Finding]:
    own = [entry for entry in home.entries if entry.owner == home.user and not entry.is_link]
    shown = [entry for entry in own if entry.mode & 0o077]
    logins = [entry.path for entry in shown if entry.path.name.startswith("auth.json")]
    reachable = [path for path in logins if not any(_is_closed(each, path) for each in own)]
    if reachable:
        text = f"Other users can read or change a login: {list_paths(reachable)}."
        yield problem("login_open_to_others", list_paths(reachable), text, shell("chmod 600", *reachable))
    others = [entry.path for entry in shown if entry.path not in reachable]
    if others:
        text = f"Other users have access to {list_paths(others)}. codexd's files are meant for you alone."
        yield warning("open_to_others", list_paths(others), text, shell("chmod -R go=", *_topmost(others)))
    closed = [entry.path for entry in own if entry.mode & _needed(entry) != _needed(entry)]
    if closed and home.user != 0:
        text = f"You have no full access to {list_paths(closed)}."
        yield problem("closed_to_you", list_paths(closed), text, shell("chmod -R u+rwX", *_topmost(closed)))


def _needed(entry: Entry) -> int:
    return 0o700 if entry.is_folder else 0o600


def _is_closed(entry: Entry, path: Path) -> bool:
    """Whether ``entry`` is a folder above ``path`` that others can't enter."""
    return entry.is_folder and entry.path in path.parents and not entry.mode & 0o011


def _check_links(home: Home) -> Iterator[Finding]:
    for entry in home.entries:
        if not entry.is_link:
            continue
        if not entry.exists:
            text = f"{entry.path} is a symbolic link to {entry.target}, which does not exist."
            yield problem("broken_link", entry.path, text, shell("ls -l", entry.path))
        elif entry.path.name == "auth.json":
            yield warning(
                "login_is_link",
                entry.path,
                f"{entry.path} is a symbolic link. The next refresh replaces it with a file, and the program that owns "
                f"{entry.target} is logged out. To share that login, let codexd follow it.",
                shell("codexctl accounts import --follow", entry.target),
            )
        elif entry.path in (home.places.config_dir, home.places.state_dir):
            yield note("home_is_link", entry.path, f"{entry.path} is a symbolic link to {entry.target}.")


def check_space(home: Home) -> Iterator[Finding]:
    """Whether codexd can write: a login that can't be saved is lost at the next restart."""
    free = list(_check_free(home.space)) if home.space else []
    is_explained = _find_non_folders(home) or any(finding.level is Level.PROBLEM for finding in free)
    for folder, text, look_for in () if is_explained else home.unwritable:
        yield problem("unwritable", folder, text, look_for)
    yield from free
    path = home.places.socket
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH_BYTES:
        yield problem(
            "socket_path_too_long",
            path,
            f"The path of the control socket has {length} bytes, more than the {MAX_SOCKET_PATH_BYTES} that this "
            f"system allows: {path}.",
            "export CODEXD_SOCKET=/tmp/codexd.sock",
        )


def _check_free(space: Space) -> Iterator[Finding]:
    left = f"{space.free_bytes / 1024 / 1024:,.0f} MiB"
    look_for = shell("df -h", nearest_existing(space.folder))
    if space.free_bytes < NO_BYTES:
        text = f"The disk of {space.folder} is full: {left} free. New tokens can't be saved."
        yield problem("disk_full", space.folder, text, look_for)
    elif space.free_bytes < LOW_BYTES:
        yield warning("disk_low", space.folder, f"The disk of {space.folder} is nearly full: {left} free.", look_for)
    if space.inodes is not None and space.inodes < LOW_INODES:
        yield problem(
            "no_inodes",
            space.folder,
            f"The file system of {space.folder} has room for only {space.inodes:,} more files, whatever their size.",
            shell("df -i", nearest_existing(space.folder)),
        )
    elif space.free_bytes >= LOW_BYTES:
        free = f"{space.free_bytes / 1024**3:,.1f} GiB"
        yield ok("disk_space", space.folder, f"{free} are free for {space.folder}.")


def _topmost(paths: Iterable[Path]) -> list[Path]:
    """``paths`` without those that are below another of them."""
    given = list(paths)
    return [path for path in given if not any(other in path.parents for other in given)]


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
