"""The settings file of another program, read and replaced with care: it is its user's, not ours."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import frozen

from codexd.clients.formats import Format
from codexd.errors import ClientFileRefused
from codexd.files import PRIVATE, delete_leftovers, sync_folder, unused_name, write_atomic

MAX_BYTES = 4 * 1024 * 1024
BACKUP_ENDING = ".before-codexd"


@frozen
class Content:
    """What a file holds. ``path``: the file itself, behind any link. ``text``: None where there is no file.

    ``names``: how many hard links it has. ``owner``: a user's id.
    """

    path: Path
    format: Format
    text: str | None
    has_bom: bool = False
    mode: int | None = None
    names: int = 1
    owner: int | None = None

    @property
    def is_blank(self) -> bool:
        return not (self.text or "").strip()

    @property
    def settings_text(self) -> str:
        """Of the format in any case: no file and an empty one mean no settings."""
        return self.format.blank if self.text is None or self.is_blank else self.text

    @property
    def data(self) -> bytes | None:
        return None if self.text is None else encode(self.text, has_bom=self.has_bom)


def encode(text: str, *, has_bom: bool) -> bytes:
    return (codecs.BOM_UTF8 if has_bom else b"") + text.encode()


def read_settings(path: Path, form: Format) -> Content:
    """The file at ``path``.

    Raises:
        ClientFileRefused: it can't be read, or is nothing that could be edited safely; says why.
    """
    with _explained(path, "read"):
        real = path.resolve()
        try:
            status = real.stat()
        except FileNotFoundError:
            return Content(real, form, None)
        if not stat.S_ISREG(status.st_mode):
            raise ClientFileRefused(f"{path} is no file. Move it away, then try again.")
        if status.st_size > MAX_BYTES:
            raise ClientFileRefused(f"{path} is larger than {MAX_BYTES >> 20} MiB: that is no settings file.")
        data = real.read_bytes()
    has_bom = data.startswith(codecs.BOM_UTF8)
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError:
        raise ClientFileRefused(f"{path} is not UTF-8 text. Save it as UTF-8, then try again.") from None
    content = Content(real, form, text, has_bom, stat.S_IMODE(status.st_mode), status.st_nlink, status.st_uid)
    _check_text(path, content)
    return content


def _check_text(path: Path, content: Content) -> None:
    try:
        content.format.check(content.settings_text)
    except ValueError as wrong:
        raise ClientFileRefused(
            f"{path} can't be edited: {wrong}. {content.format.broken_hint} Mend the file, then try again."
        ) from None


def check_writable(content: Content) -> None:
    """A new file is renamed into place, which needs no leave to write to the old one, and parts it from its links.

    Raises:
        ClientFileRefused
    """
    if content.mode is None:
        return
    problem = None
    if not content.mode & stat.S_IWUSR:
        problem = "is read-only, so it stays as it is. Allow writing with `chmod u+w`"
    elif content.owner != os.geteuid():
        problem = f"belongs to another user (uid {content.owner}), so it stays as it is. Change it as that user"
    elif content.names > 1:
        problem = f"has {content.names} names (hard links), which an edit would part. Replace them by symbolic links"
    if problem:
        raise ClientFileRefused(f"{content.path} {problem}{content.format.read_only_hint}.")


def replace(content: Content, data: bytes | None, mode: int | None = None) -> None:
    """Put ``data`` in place of the file, mode 0600 unless ``mode`` says otherwise; None: no file any more.

    Raises:
        ClientFileRefused: it can't be written, or is not what was read any more; it is as before.
    """
    with _explained(content.path, "written"):
        if _read(content.path) != content.data:
            raise ClientFileRefused(f"{content.path} has just been changed by another program. Try again.")
        if data is None:
            content.path.unlink(missing_ok=True)
            sync_folder(content.path.parent)
            return
        if not content.path.parent.is_dir():
            content.path.parent.mkdir(mode=0o700, parents=True)
        write_atomic(content.path, data, PRIVATE if mode is None else mode)


def name_backup(content: Content) -> Path:
    """Where a copy of the file is to stand."""
    return unused_name(content.path.with_name(content.path.name + BACKUP_ENDING))


def back_up(content: Content, backup: Path) -> None:
    """Keep a copy of the file, which there must be, at ``backup``, mode 0600.

    Raises:
        ClientFileRefused
    """
    with _explained(backup, "written"):
        write_atomic(backup, content.data or b"")


def tidy(content: Content) -> None:
    """Delete what a killed daemon left half written next to the file: it may hold codexd's key."""
    with suppress(OSError):
        for name in (content.path.name, content.path.name + BACKUP_ENDING):
            delete_leftovers(content.path.parent, name)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


@contextmanager
def _explained(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise ClientFileRefused(f"{path} can't be {done}: {reason}. Nothing was changed.") from None
