"""Empties the disks that the operator named with --wipe; without it, nothing is asked or done."""

import asyncio
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, CommandTimeout, ParseError, RefusedError
from meshctl.host.base import Host
from meshctl.roles.base import Problem, Role
from meshctl.roles.ceph import OSD_DUMP, ask
from meshctl.roles.disks import LOOK, DiskFacts, describe, disks, is_ours, obstacle
from meshctl.roles.emptying import empty
from meshctl.roles.fsid import common, stated
from meshctl.roles.parsing import understand
from meshctl.roles.together import together
from meshctl.topology import Node, Topology

from . import parse

_LOOK = LOOK + b'{ for disk; do disk "$disk"; users "$disk"; done; } 2>/dev/null </dev/null\nexit 0\n'


class WipeRole(Role):
    """Empties disks by name. What this cluster uses, and what anything else uses right now, is never touched."""

    name: ClassVar[str] = "wipe"
    summary: ClassVar[str] = "Empties the disks that --wipe names; does nothing without it."
    needs: ClassVar[frozenset[str]] = frozenset({"wiring"})

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self._doomed: dict[str, list[DiskFacts]] = {}

    async def prepare(self, cluster: Cluster) -> None:
        """Look at the named disks of all hosts, and decide.

        Raises RefusedError when one is in use, belongs to LVM, or may be one of this cluster's OSDs.
        """
        if not cluster.wipe:
            return
        found, fsid = await asyncio.gather(cluster.each(lambda n, h: _look(h, cluster.wiped(n))), _fsid(cluster))
        ours = [disk for seen in found.values() for disk in seen if is_ours(disk, fsid)]
        known = await _known(cluster) if ours else frozenset()
        for name, seen in found.items():
            self._doomed[name] = [disk for disk in seen if _must_go(name, disk, fsid, known, cluster)]

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Empty the host's disks, all at once."""
        doomed = self._doomed.get(node.name, [])
        await together(*(_wipe(host, disk) for disk in doomed))

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Nothing is left on the named disks but OSDs of this cluster."""
        if not cluster.wipe:
            return []
        found, fsid = await asyncio.gather(cluster.each(lambda n, h: _look(h, cluster.wiped(n))), _fsid(cluster))
        return [
            Problem(
                name,
                f"{disk.title} is not empty",
                "an empty disk",
                describe(disk),
                f"wipefs --no-act {disk.path}",
                "Something wrote to it again after it was emptied: find out what does (lsof), then run this again.",
            )
            for name, seen in found.items()
            for disk in seen
            if describe(disk) and not is_ours(disk, fsid)
        ]


async def _look(host: Host, paths: tuple[str, ...]) -> list[DiskFacts]:
    if not paths:
        return []
    argv = ["sh", "-s", "--", *paths]
    told = await host.query(argv, stdin=_LOOK)
    return list(understand(host.name, argv, disks, told.stdout).values())


async def _fsid(cluster: Cluster) -> str | None:
    """The one that the hosts' ceph.conf have; None when there is none yet, or several."""
    return common((await cluster.each(lambda _node, host: stated(host))).values())


async def _known(cluster: Cluster) -> frozenset[str] | None:
    """The uuids of the cluster's OSDs; None when it doesn't answer."""
    try:
        (dump,) = await ask(cluster.leader, OSD_DUMP)
        return dump.read(parse.uuids)
    except (CommandError, CommandTimeout, ParseError):
        return None


def _must_go(host: str, disk: DiskFacts, fsid: str | None, known: frozenset[str] | None, cluster: Cluster) -> bool:
    """Whether there is something on the disk that --wipe is meant for. Raises RefusedError when it is in use."""
    contents = describe(disk)
    if not contents:
        return False
    if is_ours(disk, fsid):
        if disk.label is None or disk.label.osd in (known or ()):
            cluster.note(f"{host}: {disk.title} holds an OSD of this cluster, so it is not wiped")
            return False
        if known is None:
            what, do = "may be an OSD of this cluster, whose monitors don't answer", "Bring the monitors back first."
            raise RefusedError(host, f"{disk.title} {what}: {contents}", advice=do)
    if hindrance := obstacle(disk):
        what, do = hindrance
        raise RefusedError(host, f"{disk.title} {what}, so it is not wiped: {contents}", advice=do)
    return True


async def _wipe(host: Host, disk: DiskFacts) -> None:
    await empty(host, disk, f"--wipe destroys everything on {disk.title}: {describe(disk)}")
