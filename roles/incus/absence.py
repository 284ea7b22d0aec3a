"""Incus before and after an absence: instances move away or stop as their owners said, then the daemon hands over."""

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, CommandTimeout
from meshctl.host.base import Host
from meshctl.roles import incusapi
from meshctl.roles.absence import GOODBYE, RETURN, witness
from meshctl.roles.units import units
from meshctl.topology import Node

USES = frozenset({"ovn", "ceph_health"})
"""Instances run on both, although members can be had without."""

UNITS = ("incus-startup.service", "incus.socket", "incus-user.socket", "incus.service")

EVACUATION = 1800.0
"""Seconds for all instances of a host to move. Memory and disks of big ones take their time."""


async def drain(node: Node, host: Host, cluster: Cluster) -> None:
    """Evacuate the member (each instance by its own `cluster.evacuate`), then stop the daemon, which hands over.

    Incus' database changes its leader in an orderly way only while the network is there.
    """
    other = witness(node, cluster)
    await other.until("Incus' database", lambda: silent(other), timeout=GOODBYE)
    if await _member(other, node) == "Online":
        argv = ["incus", "cluster", "evacuate", "-q", "--force", node.name]
        await other.run(argv, reason="its instances move, or stop where the owner said so", timeout=EVACUATION)
    if any(unit.active for unit in (await units(host, *UNITS)).values()):
        await host.run(["systemctl", "stop", *UNITS], reason="another member leads the database", timeout=GOODBYE)
    await other.until("Incus' database", lambda: silent(other), timeout=GOODBYE)


async def restore(node: Node, host: Host, cluster: Cluster) -> None:
    """Start the daemon, and bring the instances back."""
    enabled = await host.query(["systemctl", "is-enabled", *UNITS[:3]], ok=None)
    wanted = [unit for unit, word in zip(UNITS, enabled.stdout.split(), strict=False) if word == "enabled"]
    active = await host.query(["systemctl", "is-active", *wanted, "incus.service"], ok=None)
    if not active.ok:
        argv = ["systemctl", "start", *sorted(wanted, reverse=True), "incus.service"]
        await host.run(argv, reason="Incus does not run", timeout=RETURN)
    other = witness(node, cluster)
    await host.until("Incus", lambda: silent(host), timeout=RETURN)
    if await _member(host, node) == "Evacuated":
        argv = ["incus", "cluster", "restore", "-q", "--force", node.name]
        await host.run(argv, reason="its instances come back", timeout=EVACUATION)

    async def away() -> str:
        seen = await _member(other, node)
        return "" if seen == "Online" else f"{node.name} is {seen}"

    await other.until(f"the member {node.name}", away, timeout=RETURN)


async def _member(host: Host, node: Node) -> str:
    seen = await incusapi.read(host, incusapi.MEMBERS, incusapi.members)
    return seen[node.name].status if node.name in seen else "no member"


async def silent(host: Host) -> str:
    """Without a leader, as for half a minute after its death, every question blocks; then all look Offline at first."""
    try:
        seen = await incusapi.read(host, incusapi.MEMBERS, incusapi.members)
    except (CommandError, CommandTimeout) as error:
        return error.message
    return "all members look Offline" if {member.status for member in seen.values()} == {"Offline"} else ""
