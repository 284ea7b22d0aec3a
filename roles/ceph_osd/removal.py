"""OSDs off a host: the daemons, and everything on the disks that hold OSDs of this cluster."""

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.disks import LOOK, DiskFacts, describe, disks, is_ours
from meshctl.roles.emptying import empty
from meshctl.roles.fsid import stated
from meshctl.roles.parsing import understand
from meshctl.roles.removal import erase, stop
from meshctl.roles.together import together
from meshctl.topology import Node

_LOOK = LOOK + b'{ for disk; do disk "$disk"; done; } 2>/dev/null </dev/null\nexit 0\n'
_MOUNTED = ("sh", "-c", 'for at in /var/lib/ceph/osd/*; do if mountpoint -q "$at"; then echo "$at"; fi; done')


async def holdings(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """Every disk of the topology with an OSD of this cluster on it."""
    del cluster
    return [f"{disk.title}: {describe(disk)}" for disk in await _disks(node, host)]


async def remove(node: Node, host: Host, cluster: Cluster) -> None:
    """Stop the OSDs, then empty their disks. Disks with anything else on them are left alone."""
    del cluster
    reason = "the cluster is being destroyed"
    await stop(host, "ceph-osd.target", "ceph-osd@*", "meshctl-osd@*", reason=reason)
    doomed = await _disks(node, host)
    if mounted := (await host.query(_MOUNTED)).stdout.split():
        await host.run(["umount", "--", *mounted], reason=reason)
    await together(*(_empty(host, disk) for disk in doomed))
    await erase(host, "/etc/ceph/meshctl-osd", reason=reason)


async def _empty(host: Host, disk: DiskFacts) -> None:
    reason = f"destroys everything on {disk.title}: {describe(disk)}"
    if disk.lvm:
        await host.run(["ceph-volume", "lvm", "zap", "--destroy", disk.path], reason=reason, timeout=300)
    else:
        await empty(host, disk, reason)


async def _disks(node: Node, host: Host) -> list[DiskFacts]:
    if not node.disks:
        return []
    known = await stated(host)
    argv = ["sh", "-s", "--", *(disk.path for disk in node.disks)]
    looks = await host.query(argv, stdin=_LOOK)
    found = understand(host.name, argv, disks, looks.stdout)
    return [disk for disk in found.values() if is_ours(disk, known)]
