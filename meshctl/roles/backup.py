"""What of a layer belongs into a backup: the optional module `backup` of a role.

What it may have, found by its presence:

    async def shared(host, cluster) -> AsyncIterator[Piece]      what the layer keeps for all hosts, through any of them
    async def own(node, host, cluster) -> AsyncIterator[Piece]   what a host alone has
    async def standstill(cluster) -> AsyncIterator[Piece]        what can only be copied while a daemon stands still

`shared` and `own` only look, on a cluster that goes on working; `standstill` is asked for by name, and has everything
run again before it ends. A piece is what can't be made again: not files that the topology leads to, not programs, not
instances' data. Whatever is here may be a secret, so none of it goes through parsers that quote in their errors.
"""

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from meshctl.errors import CommandError, HostError
from meshctl.host.base import Host

SECONDS = 60.0
"""For a command whose output becomes a piece."""

CHUNK = 4 << 20
"""Bytes of a large file that travel at once."""

_OUTPUT = '"$@" </dev/null | base64 -w0'
_FILES = (
    'for pattern; do for f in $pattern; do [ -f "$f" ] || continue; '
    'echo "$f"; base64 -w0 -- "$f" || exit; echo; done; done'
)
_NOISE = "?"
"""No base64: stands for what is missing, or belongs to no path."""
_PART = 'dd if="$1" bs="$2" skip="$3" count=1 status=none | base64 -w0'


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of the archive. `size` is exactly how many bytes `chunks` brings."""

    name: str
    """Path in the archive."""
    size: int
    chunks: AsyncIterator[bytes] = field(repr=False)


def piece(name: str, content: bytes) -> Piece:
    """What is here already."""

    async def whole() -> AsyncIterator[bytes]:
        yield content

    return Piece(name, len(content), whole())


async def output(host: Host, name: str, argv: Sequence[str], *, seconds: float = SECONDS) -> Piece:
    """What a command prints, to the byte. Raises CommandError, naming that command, and its kin."""
    try:
        told = await host.query(["bash", "-o", "pipefail", "-c", _OUTPUT, "bash", *argv], timeout=seconds)
    except CommandError as error:
        raise CommandError(host.name, argv, error.status, error.stderr) from None
    return piece(name, _bytes(host, name, told.stdout))


async def files(host: Host, *patterns: str) -> AsyncIterator[Piece]:
    """The files that these match, as `hosts/NAME/path`; those that aren't there are no fault."""
    told = (await host.query(["sh", "-c", _FILES, "sh", *patterns], timeout=SECONDS)).stdout.splitlines()
    for path, content in zip_longest(told[::2], told[1::2], fillvalue=_NOISE):
        name = f"hosts/{host.name}{path}"
        yield piece(name, _bytes(host, name, content if path.startswith("/") else _NOISE))


async def large(host: Host, name: str, path: str) -> Piece:
    """A file that doesn't change any more, in parts."""
    size = int((await host.query(["stat", "-c", "%s", "--", path])).stdout)

    async def parts() -> AsyncIterator[bytes]:
        for number in range(-(-size // CHUNK)):
            argv = ["bash", "-o", "pipefail", "-c", _PART, "bash", path, str(CHUNK), str(number)]
            yield _bytes(host, name, (await host.query(argv, timeout=SECONDS)).stdout)

    return Piece(name, size, parts())


def _bytes(host: Host, name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise HostError(
            host.name,
            f"{name} came in a form that is no base64 (not shown: it may be a secret)",
            advice="A login script on the host may print something where no terminal is.",
        ) from None
