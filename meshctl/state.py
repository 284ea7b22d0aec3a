"""The operator's folder for one cluster: CA, known hosts, run logs. Mode 0700, files 0600, refused when looser."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from meshctl.errors import SecretsError
from meshctl.secrets import PLAIN, Seal


@dataclass(frozen=True)
class StateFolder:
    """Where meshctl keeps what is the operator's alone. Nothing in it is the truth about a host."""

    path: Path
    seal: Seal = PLAIN
    """To whom the CA's key in it is encrypted."""

    @classmethod
    def default(cls, cluster: str, seal: Seal = PLAIN) -> "StateFolder":
        """`$XDG_STATE_HOME/meshctl/CLUSTER`, as the XDG base directory specification has it."""
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
        return cls(Path(base) / "meshctl" / cluster, seal)

    @property
    def known_hosts(self) -> Path:
        """SSH host keys of this cluster's hosts, in OpenSSH's format."""
        return self.path / "known_hosts"

    @property
    def runs(self) -> Path:
        """One JSON-lines log per run."""
        return self.path / "runs"

    def ensure(self) -> None:
        """Make the folder. Raises SecretsError when it can't be made, or is there but others may enter it."""
        with _translated(self.path, "made"):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._refuse_loose(self.path)

    def read_secret(self, name: str) -> bytes | None:
        """A secret file's content, None when there is none.

        Raises SecretsError when it can't be read, or when others may read it or enter.
        """
        file = self.path / name
        with _translated(file, "read"):
            if not file.exists():
                return None
            self._refuse_loose(self.path)
            self._refuse_loose(file)
            return file.read_bytes()

    def write_secret(self, name: str, content: bytes) -> None:
        """Write a secret file with mode 0600, atomically: a kill leaves the old content or the new.

        Raises SecretsError when it can't be written (a full disk); the old content is still there then.
        """
        self.ensure()
        target = self.path / name
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        with _translated(target, "written"):
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(target)
            self._settle()

    def promote_secret(self, name: str, successor: str) -> None:
        """Replace a secret file by another one, atomically."""
        (self.path / successor).replace(self.path / name)
        self._settle()

    def remove_secret(self, name: str) -> None:
        """Remove a secret file, if it is there."""
        (self.path / name).unlink(missing_ok=True)
        self._settle()

    def _settle(self) -> None:
        """A file's new name survives a loss of power only once its folder is on the disk."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @staticmethod
    def _refuse_loose(path: Path) -> None:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise SecretsError(
                f"{path} has mode {mode:04o}; only its owner may have access",
                advice=f"Find out who could have read it, then: chmod go= {path}",
            )


@contextmanager
def _translated(target: Path, verb: str) -> Iterator[None]:
    """What this machine's disk has to say, as an error with advice."""
    try:
        yield
    except OSError as error:
        raise SecretsError(
            f"{target} can't be {verb}: {error.strerror}",
            advice="See what is wrong with it (`ls -ld`, `df -h`), or choose another folder with --state-dir.",
        ) from error


@dataclass(frozen=True)
class VolatileState(StateFolder):
    """For previews: reads the operator's folder and keeps in memory what would be written to it."""

    written: dict[str, bytes] = field(default_factory=dict, repr=False)

    def read_secret(self, name: str) -> bytes | None:
        """What was written here, else what the folder has."""
        return self.written.get(name) or super().read_secret(name)

    def write_secret(self, name: str, content: bytes) -> None:
        """Keep it; the folder stays as it is."""
        self.written[name] = content
