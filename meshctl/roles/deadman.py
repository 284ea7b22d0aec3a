"""A dead-man switch for changes of the network: the host takes them back unless a new connection confirms them.

The host does all of it by itself (`deadman.sh`): a transient timer takes the change back while it runs, a unit at the
next boot when it lost power in between. docs/operations/network-changes.md tells it from the operator's side.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from meshctl.errors import (
    CommandError,
    CommandTimeout,
    ConnectError,
    ConnectionLost,
    HostError,
    RolledBackError,
    WaitError,
)
from meshctl.host.base import Host, Result
from meshctl.topology import Topology

SCRIPT = Path(__file__).with_name("deadman.sh").read_bytes()

DEADLINE = 15.0
"""Seconds from arming until the host takes the change back. A change takes less than one, a dial in vain three."""

RETURN = 30.0
"""Seconds after that in which the host must answer again. Taking back waits 10 s for a networkd that hangs."""

FOLDER = "/var/lib/meshctl/rollback"
PENDING = f"{FOLDER}/pending"

# $0 is the folder; replaced and not overwritten, because a shell may be reading it
_INSTALL = (
    'umask 077 && mkdir -p "$0" && cat >"$0/deadman.new" && mv "$0/deadman.new" "$0/deadman" && '
    'exec sh "$0/deadman" "$@"'
)
_COMMAND = '[ -e "$0/deadman" ] || exit 3; exec sh "$0/deadman" "$@"'
_NOT_PENDING = 3

_UNREACHABLE = (TimeoutError, ConnectError, ConnectionLost, CommandTimeout)


def deadline(topology: Topology) -> float:
    """Seconds until a host of this cluster takes a change back: longer where a login may take longer (emulation)."""
    return max(DEADLINE, topology.ssh.connect_timeout)


@asynccontextmanager
async def guarded(
    host: Host, paths: Collection[str], nics: Collection[str], *, deadline: float = DEADLINE
) -> AsyncIterator[None]:
    """Make a change of these files and NICs inside, and return only when it is in effect.

    Afterwards a new connection confirms it. Raises RolledBackError when the host could not be reached that way, or when
    the change failed: the host is as before then. When cancelled, the host takes the change back by itself.
    """
    clock = asyncio.get_running_loop().time
    ends = clock() + deadline
    token = uuid.uuid4().hex
    if not await _arm(host, token, deadline, paths, nics):
        yield  # a dry run
        return
    try:
        async with asyncio.timeout_at(ends):
            yield
            await _call(host, "confirm", token, fresh=max(1.0, ends - clock()))
    except (TimeoutError, HostError, WaitError) as error:
        restored = await _restored(host, token, max(0.0, ends - clock()))
        if restored is not None:
            raise _explain(host, error, restored, deadline) from error


async def unconfirmed(host: Host) -> bool:
    """Whether a change is neither confirmed nor taken back: that of a run that was killed a few seconds ago."""
    return (await host.query(["cat", "--", PENDING], ok=None)).ok


async def take_back(host: Host) -> None:
    """Take back what a killed run left unconfirmed, rather than let it happen in the middle of this one."""
    await _call(host, "rollback", "now")


async def _arm(host: Host, token: str, seconds: float, paths: Collection[str], nics: Collection[str]) -> bool:
    """False when nothing will be changed anyway."""
    argv = ["sh", "-c", _INSTALL, FOLDER, "arm", token, f"{seconds:g}", *sorted(paths), "--", *sorted(nics)]
    return await host.safeguard(argv, stdin=SCRIPT) is not None


async def _call(host: Host, *arguments: str, fresh: float | None = None) -> Result | None:
    return await host.safeguard(["sh", "-c", _COMMAND, FOLDER, *arguments], fresh=fresh)


async def _restored(host: Host, token: str, left: float) -> Sequence[str] | None:
    """What the host took back: at once if it can be reached, else when its timer ends. None: it had been confirmed.

    Raises ConnectError when it can't be reached even then.
    """
    try:
        result = await _call(host, "rollback", token, fresh=left + RETURN)
    except CommandError as error:
        if error.status == _NOT_PENDING:
            return None  # the answer to the confirmation was lost, not the confirmation
        raise
    except (ConnectError, ConnectionLost) as error:
        raise ConnectError(
            host.name,
            f"the host does not answer since its network was changed, although it should have taken that back: {error}",
            advice=f"On its console: `journalctl -u 'meshctl-rollback*'`, then `sh {FOLDER}/deadman rollback now`. "
            "A reboot takes the change back, too.",
        ) from error
    return result.stdout.splitlines() if result else ()


def _explain(host: Host, error: Exception, restored: Sequence[str], deadline: float) -> RolledBackError:
    if isinstance(error, _UNREACHABLE):
        why = f"the host could not be reached over a new connection within {deadline:g} s"
        advice = (
            f"{host.name} answers again, configured as before. Something that was rolled back takes away the way "
            "between it and this machine: an address that covers this machine's or the host's own, or the NIC that "
            "SSH comes in by. Correct the topology (`meshctl plan` shows the files), then run bootstrap again."
        )
    else:
        why = error.message if isinstance(error, HostError | WaitError) else str(error)
        advice = f"{host.name} is configured as before. Mend the cause, then run bootstrap again."
    return RolledBackError(host.name, why, restored, advice=advice)
