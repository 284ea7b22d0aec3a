"""Putting files on a host: what to ask, what to send, what to compare. Pure; `ssh.py` does the talking.

New content is staged in a folder `.meshctl-new.TOKEN` (mode 0700) beside its target and moved over it when its owner
and mode are right, so each file is replaced atomically and nobody else ever sees a half-written or too readable one. A
killed run leaves at most that folder, which the next one removes; what still runs on the host for a lost connection
cleans up its own folder and no other. `mv -t` renames, so a symbolic link is replaced
itself, and a folder in the target's place is refused.
"""

import hashlib
import io
import posixpath
import stat
import tarfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from meshctl.host.base import File, Files
from meshctl.host.quoting import join

STAGE = ".meshctl-new"

_LOOK = r"""
stat --printf='%f %u %g %U %G %n\0' -- "$@" 2>/dev/null
printf '\0'
for p do
shift
[ -f "$p" ] && [ ! -L "$p" ] && set -- "$@" "$p"
done
[ $# -eq 0 ] || sha256sum -z -- "$@" 2>/dev/null
exit 0
"""
# -z: file names as they are and a NUL behind each, in GNU's and uutils' coreutils alike.


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands at a path."""

    mode: int
    uid: str
    gid: str
    owner: str
    group: str
    sha256: str = ""

    def matches(self, file: File) -> bool:
        """Whether it is `file`. Owners may be given by name or by number."""
        return (
            stat.S_ISREG(self.mode)
            and stat.S_IMODE(self.mode) == file.mode
            and file.owner in (self.owner, self.uid)
            and file.group in (self.group, self.gid)
            and self.sha256 == hashlib.sha256(file.content).hexdigest()
        )

    def __str__(self) -> str:
        kind = "" if stat.S_ISREG(self.mode) else ", not a regular file"
        return f"{self.owner}:{self.group} {stat.S_IMODE(self.mode):04o}, SHA-256 {self.sha256[:12] or 'unknown'}{kind}"


def wanted(file: File) -> str:
    """What `Seen` would print for this file."""
    return f"{file.owner}:{file.group} {file.mode:04o}, SHA-256 {hashlib.sha256(file.content).hexdigest()[:12]}"


def check_path(path: str) -> None:
    """Raise ValueError for a path that is not absolute and plain."""
    if not path.startswith("/") or posixpath.normpath(path) != path or path == "/" or "\0" in path:
        raise ValueError(f"not an absolute, normalised path: {path!r}")


def look(paths: Iterable[str]) -> list[str]:
    """The command that shows what stands at these paths."""
    return ["sh", "-c", _LOOK, "sh", *paths]


def parse_look(output: bytes) -> dict[str, Seen]:
    """What `look` printed, by path; what is missing on the host is missing here."""
    records = output.decode(errors="surrogateescape").split("\0")
    border = records.index("")
    digests = {record[66:]: record[:64] for record in records[border + 1 :] if record}
    seen = {}
    for record in records[:border]:
        mode, uid, gid, owner, group, path = record.split(" ", 5)
        seen[path] = Seen(int(mode, 16), uid, gid, owner, group, digests.get(path, ""))
    return seen


def differing(files: Files, seen: dict[str, Seen]) -> list[str]:
    """The paths whose file is missing or different, sorted."""
    return sorted(path for path, file in files.items() if path not in seen or not seen[path].matches(file))


def staged(path: str, token: str) -> str:
    """Where a file waits until it is complete."""
    folder, name = posixpath.split(path)
    return posixpath.join(folder, f"{STAGE}.{token}", name)


def archive(files: Files, token: str) -> bytes:
    """A tar stream with every file at its staged place, readable by its owner alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, file in files.items():
            member = tarfile.TarInfo(staged(path, token).lstrip("/"))
            member.size = len(file.content)
            member.mode = 0o600
            tar.addfile(member, io.BytesIO(file.content))
    return buffer.getvalue()


def store(files: Files, token: str) -> list[str]:
    """The command that puts the `archive` on its stdin in place and then shows what stands there, as `look` does.

    `token` (letters and digits) is the same as the archive's, and another one for every call.

    Ownership is set by name in the shell, because tar falls back to the number when there is no such user.
    Each file is flushed before it is moved, so that a power loss can't leave an empty one (XFS, delayed allocation).
    """
    return ["sh", "-c", "\n".join(_steps(files, token)) + _LOOK, "sh", *files]


def _steps(files: Files, token: str) -> Iterator[str]:
    folders = sorted({posixpath.dirname(path) for path in files})
    stages = [posixpath.join(folder, f"{STAGE}.{token}") for folder in folders]
    left_over = " ".join(f"{join([posixpath.join(folder, STAGE)])}*" for folder in folders)
    yield "set -eu"
    yield "umask 022"
    yield join(["mkdir", "-p", "--", *folders])
    yield "umask 077"
    yield f"unstage() {{ {join(['rm', '-rf', '--', *stages])}; }}"
    yield "trap unstage EXIT"
    yield "trap 'exit 75' HUP INT TERM"
    yield f"rm -rf -- {left_over}"
    yield join(["mkdir", "--", *stages])
    yield "tar -C / --no-same-owner --no-same-permissions --touch -xf -"
    yield from _ownership(files, token)
    yield join(["sync", "--", *(staged(path, token) for path in files)])
    for folder in folders:
        inside = [staged(path, token) for path in files if posixpath.dirname(path) == folder]
        yield join(["mv", "-f", "-t", folder, "--", *inside])
    yield "unstage"
    yield "trap - EXIT"
    yield "set +e"


def _ownership(files: Files, token: str) -> Iterator[str]:
    owners: dict[str, list[str]] = defaultdict(list)
    modes: dict[int, list[str]] = defaultdict(list)
    for path, file in files.items():
        owners[f"{file.owner}:{file.group}"].append(staged(path, token))
        modes[file.mode].append(staged(path, token))
    for owner, paths in owners.items():
        yield join(["chown", "--", owner, *paths])
    for mode, paths in modes.items():
        yield join(["chmod", "--", f"{mode:04o}", *paths])


def still_different(files: Files, seen: dict[str, Seen], paths: Collection[str]) -> str:
    """One sentence about files that are not what was just written; never their content."""
    parts = [f"{path} should be {wanted(files[path])}, but is {seen.get(path, 'missing')}" for path in paths]
    return "; ".join(parts)


def advice(said: str) -> str:
    """What to do about a refusal to take files."""
    if "invalid user" in said or "invalid group" in said:
        return "The owner comes with a package or role that must have run on this host before."
    if "cannot overwrite directory" in said:
        return "A folder stands where the file belongs. See what it is, and move it away."
    if "No space left" in said or "Read-only file system" in said:
        return "Look at the host's disk first: `df -h` and `dmesg`."
    return ""
