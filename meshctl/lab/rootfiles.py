"""Writing files of a host from outside, with the modes that they have on a host whatever this process' umask is."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RootFiles:
    """A root file system, or the upper layer of one over the files in `below`."""

    top: Path
    below: Path | None = None

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """A file of root's, in place of one that may be there."""
        path = self.top / name
        self._enterable(path.parent)
        path.write_text(text)
        path.chmod(mode)

    def folder(self, name: str, mode: int = 0o755, owner: int = 0) -> None:
        """A folder, and those above it."""
        path = self.top / name
        self._enterable(path)
        path.chmod(mode)
        os.chown(path, owner, owner)

    def append(self, name: str, line: str) -> None:
        """The file below with one more line; its mode and owner stay."""
        source = (self.below or self.top) / name
        kept = source.stat()
        self.write(name, source.read_text() + line, kept.st_mode & 0o777)
        os.chown(self.top / name, kept.st_uid, kept.st_gid)

    def _enterable(self, folder: Path) -> None:
        for step in [*reversed(folder.relative_to(self.top).parents), folder.relative_to(self.top)]:
            path = self.top / step
            if not path.exists():
                path.mkdir()
                path.chmod(0o755)
