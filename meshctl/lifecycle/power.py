"""A reboot seen from outside: ordered, gone, back with another boot id."""

from contextlib import AbstractAsyncContextManager, suppress
from typing import Protocol

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, CommandTimeout, ConnectError, ConnectionLost, HostKeyError
from meshctl.host.base import Host, Result
from meshctl.host.wait import until
from meshctl.lifecycle.phases import Phase
from meshctl.topology import Node, Topology

LEAVE = 300.0
"""Seconds from the order until the host is gone: services that don't stop are killed after 90 (systemd's default)."""

RETURN = 900.0
"""Seconds until it must be back. Servers with much memory and many controllers take ten minutes before they boot."""

KNOCK = 3.0
"""Seconds for one attempt to connect; sshd shuts out who knocks too often."""

BOOT_ID = ("cat", "/proc/sys/kernel/random/boot_id")
"""Another one at every boot; systemd-nspawn gives each container its own, so it is right in a lab as well."""


class Machine(Protocol):
    """What a reboot needs of a host beyond the Host contract; SshHost has it."""

    @property
    def connected(self) -> bool:
        """Whether the connection has not been seen to end."""
        ...

    async def query(self, argv: tuple[str, ...]) -> Result:
        """See Host."""
        ...

    async def reconnect(self, *, seconds: float | None = None) -> None:
        """Leave the connection and make a new one."""
        ...


class Lease(Protocol):
    """The run's lock, held on all hosts."""

    def absence(self, name: str) -> AbstractAsyncContextManager[None]:
        """Inside, this host goes down and comes back; it is locked again at the end."""
        ...


class Reboot(Phase):
    """Reboots a host and waits until it is back, with the cluster's lock held on the others all the time."""

    def __init__(self, topology: Topology, machines: dict[str, Machine], lease: Lease) -> None:
        super().__init__(topology)
        self._machines = machines
        self._lease = lease

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Raises WaitError when the host doesn't go, or doesn't come back."""
        del cluster
        machine = self._machines[node.name]
        async with self._lease.absence(node.name):
            before = (await host.query(BOOT_ID)).stdout
            with suppress(ConnectionLost):  # it may be faster than its answer
                await host.run(["systemctl", "reboot"], reason="its work is elsewhere")
            await until(f"{node.name} to go down", lambda: _there(machine), timeout=LEAVE)
            await until(f"{node.name} to come back", lambda: _away(machine, before), timeout=RETURN, every=0.2)


async def _there(machine: Machine) -> str:
    return "its SSH connection lives" if machine.connected else ""


async def _away(machine: Machine, before: str) -> str:
    """HostKeyError goes up at once; everything else may be a host that is still booting."""
    try:
        await machine.reconnect(seconds=KNOCK)
        now = (await machine.query(BOOT_ID)).stdout
    except HostKeyError:
        raise
    except (ConnectError, ConnectionLost, CommandError, CommandTimeout) as error:
        return error.message
    return "" if now != before else "it answers, but has not rebooted yet"
