"""Somebody whose client's settings file is set up and put back."""

from __future__ import annotations

from pathlib import Path

BOM = b"\xef\xbb\xbf"


class SettingsUser:
    """``file``: of the client, in a folder of its own; ``state``: what codexd remembers."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file = folder / "client" / name
        self.file.parent.mkdir()
        self.state = folder / "clients.json"

    def write(self, data: bytes | None) -> None:
        if data is not None:
            self.file.write_bytes(data)

    @property
    def data(self) -> bytes | None:
        return self.file.read_bytes() if self.file.exists() else None

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.file.parent.iterdir())
