"""The archive of a backup: a tar, encrypted while it is written, with a list of its own content as the last member.

Nothing of it is on a disk unencrypted. age notices alteration and a missing end; the list proves that all that was
meant to be in it is, and that it can be read back as it was.
"""

import asyncio
import hashlib
import json
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from meshctl.errors import MeshctlError, UsageError
from meshctl.lifecycle.envelope import DamagedError, Envelope
from meshctl.roles.backup import Piece

LIST = "MANIFEST.json"
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive says of itself. `missing`: what should be in it, and why it isn't."""

    cluster: str
    at: str
    by: str
    members: tuple[Member, ...]
    missing: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The last member."""
        return json.dumps({"schema": "meshctl/backup-archive/1", **asdict(self)}, indent=1).encode()


@dataclass
class Archive:
    """An archive being written. `async with` makes a draft beside `path`; `finish` gives it its name."""

    path: Path
    envelope: Envelope
    members: list[Member] = field(default_factory=list)
    _adding: asyncio.Lock = field(default_factory=asyncio.Lock)
    _failure: MeshctlError | None = None

    async def __aenter__(self) -> Self:
        self._draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(
                f"{self.path} can't be written: {error.strerror}", advice="Choose another --out."
            ) from error
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self._plain = os.fdopen(writing, "wb", buffering=0)
        self._thread = threading.Thread(target=self._seal, args=(reading, descriptor), daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._plain.closed:
            self._plain.close()
        await asyncio.to_thread(self._thread.join)
        self._draft.unlink(missing_ok=True)

    def _seal(self, reading: int, descriptor: int) -> None:
        try:
            with os.fdopen(reading, "rb") as plain, os.fdopen(descriptor, "wb") as sealed:
                self.envelope.encrypt(plain, sealed)
                sealed.flush()
                os.fsync(sealed.fileno())
        except MeshctlError as error:
            self._failure = error
        except OSError as error:  # what was left to be written when the file was closed
            self._failure = MeshctlError(f"the archive can't be written: {error}", advice="Is its disk full?")

    async def add(self, piece: Piece) -> None:
        """One file, as it comes. Raises MeshctlError when the archive can't be written, or the piece isn't whole.

        After a piece that broke off nothing more can be added: its head has promised its size.
        """
        async with self._adding:
            await self._write(_head(piece.name, piece.size))
            digest, size = hashlib.sha256(), 0
            try:
                async for chunk in piece.chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    await self._write(chunk)
            finally:
                if size != piece.size and not self._failure:
                    self._failure = MeshctlError(f"{piece.name} should have {piece.size} bytes; {size} came")
            await self._write(bytes(-size % _BLOCK))
            self.members.append(Member(piece.name, size, digest.hexdigest()))

    async def _write(self, data: bytes) -> None:
        if self._failure:
            raise self._failure
        try:
            await asyncio.to_thread(_all, self._plain, data)
        except OSError:
            await asyncio.to_thread(self._thread.join)
            raise self._failure or MeshctlError("the archive can't be written") from None

    async def finish(self, contents: Contents) -> int:
        """The list, the end, and the name; the archive's size. Raises MeshctlError when it could not be written."""
        encoded = contents.encode()
        padding = bytes(-len(encoded) % _BLOCK + 2 * _BLOCK)
        await self._write(_head(LIST, len(encoded)) + encoded + padding)
        self._plain.close()
        await asyncio.to_thread(self._thread.join)
        if self._failure:
            raise self._failure
        size = self._draft.stat().st_size
        self._draft.replace(self.path)
        return size


def _head(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.GNU_FORMAT)


def _all(stream: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def inspect(path: Path, envelope: Envelope) -> Contents:
    """Read an archive from end to end, and prove that it is whole.

    Raises UsageError when it can't be read, SecretsError when it can't be opened, DamagedError when it is damaged.
    """
    with _opened(path, envelope) as plain:
        try:
            seen, listed = _walk(plain)
        except tarfile.TarError as error:
            raise DamagedError(f"{path} is damaged: {error}", advice="Take another one.") from error
    if listed is None:
        raise DamagedError(f"{path} has no {LIST}: it is no backup of meshctl's, or has no end")
    contents = _contents(path, listed)
    if tuple(seen) != contents.members:
        wrong = sorted({one.name for one in set(seen) ^ set(contents.members)})
        raise DamagedError(f"{path} does not hold what it lists: {', '.join(wrong[:5])}", advice="Take another one.")
    return contents


def _walk(plain: IO[bytes]) -> tuple[list[Member], bytes | None]:
    seen, listed = [], None
    with tarfile.open(fileobj=plain, mode="r|") as tar:
        for info in tar:
            file = tar.extractfile(info)
            if file is None:
                continue
            if info.name == LIST:
                listed = file.read()
                continue
            seen.append(Member(info.name, info.size, hashlib.file_digest(file, "sha256").hexdigest()))  # type: ignore[arg-type]
    while plain.read(1 << 20):  # to the end, which is where age notices that there is none
        pass
    return seen, listed


def _contents(path: Path, listed: bytes) -> Contents:
    try:
        told: dict[str, Any] = json.loads(listed)
        members = tuple(Member(one["name"], one["size"], one["sha256"]) for one in told["members"])
        return Contents(told["cluster"], told["at"], told["by"], members, tuple(told["missing"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{path} has a {LIST} that can't be read: {error!r}") from error


@contextmanager
def _opened(path: Path, envelope: Envelope) -> Iterator[IO[bytes]]:
    """What is in it, while a thread decrypts; the thread's error comes first, because it says more."""
    failures: list[MeshctlError] = []
    try:
        sealed = path.open("rb")
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    reading, writing = os.pipe2(os.O_CLOEXEC)
    thread = threading.Thread(target=_decrypt, args=(envelope, sealed, writing, path, failures.append), daemon=True)
    thread.start()
    damage: DamagedError | None = None
    with os.fdopen(reading, "rb") as plain:
        try:
            yield plain
        except DamagedError as found:
            damage = found
    thread.join()
    if failures:
        raise failures[0]
    if damage:
        raise damage


def _decrypt(
    envelope: Envelope, sealed: IO[bytes], writing: int, path: Path, fail: Callable[[MeshctlError], None]
) -> None:
    with sealed, os.fdopen(writing, "wb") as plain:
        try:
            envelope.decrypt(sealed, plain, str(path))
            plain.flush()
        except MeshctlError as error:
            fail(error)
        except BrokenPipeError:
            return
