"""Taking a link down on purpose, with costs raised first or without, and putting everything back.

Whatever is changed is armed first: a transient timer on the host puts it back when nobody does, so that a killed run
or a lost controller leaves the mesh whole. Nothing is written to a disk; a reboot puts everything back, too.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.frr.igps import speaking
from meshctl.roles.together import together
from meshctl.topology import End, Port, Topology

from .parse import ospf_nics

RESTORED_AFTER = 240.0
"""Seconds until the host itself puts back what a killed run has left. More than any cut lasts."""

NO_TRANSIT = 65535
"""The OSPF cost of a link that nothing is to take while another path is there (RFC 2328, LSInfinity's 16 bits)."""

ROUTES = ("ip", "-j", "-4", "route", "show")

_UNIT = "meshctl-recable-$1"
# $1 the NIC, $2 the cost's line of configuration, $3 seconds
_RESTORE = 'ip link set dev "$1" up; vtysh -c "configure terminal" -c "interface $1" -c "$2" >/dev/null'
_ARM = (
    f'systemctl stop "{_UNIT}.timer" 2>/dev/null; exec systemd-run -q --collect --unit="{_UNIT}" --on-active="$3" '
    f'--timer-property=AccuracySec=100ms /bin/sh -c \'{_RESTORE}\' sh "$1" "$2"'
)
_COST = 'exec vtysh -c "configure terminal" -c "interface $1" -c "$2"'
_DISARM = f'{_RESTORE}; systemctl stop "{_UNIT}.timer" 2>/dev/null; :'


@dataclass(frozen=True, slots=True)
class Plug:
    """One end of the link that is to go down."""

    host: Host
    port: Port
    cost: str = "ip ospf cost"
    """The line of configuration that sets a cost, without the number."""

    @property
    def normal(self) -> str:
        """The line of configuration that gives the cost that the topology has."""
        return f"no {self.cost}" if self.port.cost is None else f"{self.cost} {self.port.cost}"

    async def arm(self) -> None:
        """From now on the host puts everything back by itself, after RESTORED_AFTER seconds."""
        await self.host.safeguard(["sh", "-c", _ARM, "sh", self.port.nic, self.normal, f"{RESTORED_AFTER:g}"])

    async def raise_cost(self) -> None:
        """Nothing takes the link any more that has another way."""
        argv = ["sh", "-c", _COST, "sh", self.port.nic, f"{self.cost} {NO_TRANSIT}"]
        await self.host.run(argv, reason="traffic is to leave this link before it goes down")

    async def lower_cost(self) -> None:
        """The topology's cost again."""
        argv = ["sh", "-c", _COST, "sh", self.port.nic, self.normal]
        await self.host.run(argv, reason="the link may carry traffic again")

    async def down(self) -> None:
        """Switch the NIC off; the other end loses its carrier, unless the NIC's driver keeps its laser on."""
        await self.host.run(["ip", "link", "set", "dev", self.port.nic, "down"], reason="certify takes this link down")

    async def up(self) -> None:
        """Switch the NIC on."""
        await self.host.run(["ip", "link", "set", "dev", self.port.nic, "up"], reason="certify puts this link back")

    async def restore(self) -> None:
        """NIC up, cost as in the topology, timer gone; does no harm when it was so already."""
        await self.host.safeguard(["sh", "-c", _DISARM, "sh", self.port.nic, self.normal])

    async def used(self) -> int:
        """How many OSPF routes of this host leave through the NIC."""
        routes = await self.host.query(ROUTES)
        return ospf_nics(routes.stdout).count(self.port.nic)

    async def carrier(self) -> bool:
        """Whether the NIC sees a signal; False while it is switched off."""
        return (await self.host.query(["cat", f"/sys/class/net/{self.port.nic}/carrier"], ok=None)).stdout[:1] == "1"


def plug(topology: Topology, hosts: Mapping[str, Host], end: End) -> Plug:
    """The plug at that end of a cable."""
    port = next(port for port in topology.node(end.node).ports if port.nic == end.nic)
    return Plug(hosts[end.node], port, speaking(topology)[0].cost)


@dataclass(frozen=True)
class Link:
    """Both ends of one cable, and the two things that can be done to it. A lab may have other ways of pulling it."""

    ends: tuple[Plug, Plug]
    pull: Callable[[], Awaitable[object]]
    put_back: Callable[[], Awaitable[object]]

    async def usage(self) -> tuple[int, ...]:
        """How many routes leave through it, at either end."""
        return tuple(await asyncio.gather(*(end.used() for end in self.ends)))

    async def raise_costs(self) -> None:
        """At both ends, or traffic would go on in one direction."""
        await together(*(end.raise_cost() for end in self.ends))

    async def lower_costs(self) -> None:
        """At both ends."""
        await together(*(end.lower_cost() for end in self.ends))


@asynccontextmanager
async def armed(cluster: Cluster, index: int) -> AsyncIterator[Link]:
    """A cable that may be taken down inside; afterwards it is as before, whatever happened."""
    cable = cluster.topology.cables[index]
    one, two = (plug(cluster.topology, cluster.hosts, end) for end in (cable.a, cable.b))
    try:
        await together(one.arm(), two.arm())
        yield Link((one, two), one.down, one.up)
    finally:
        await asyncio.shield(together(one.restore(), two.restore()))
