"""The storage pool on Ceph, on every member, and the default profile's root disk on it."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError
from meshctl.host.base import Host
from meshctl.roles import incusapi
from meshctl.roles.base import Problem, Role, Scope
from meshctl.roles.incusapi import Thing, Wanted
from meshctl.roles.together import together
from meshctl.topology import Node

from . import parse

CLIENT = "incus"
"""The cephx user; role ceph_config writes its keyring on every host, which must be there before the pool."""

ROOT = "root"
_RBD = 30.0
"""Seconds for an rbd command."""

_MADE = "Run bootstrap again: it makes the pool, and finishes one that is half made."


@dataclass(frozen=True, slots=True)
class _Seen:
    pools: dict[str, Thing]
    devices: dict[str, dict[str, str]]


class IncusStorageRole(Role):
    """The remote pool."""

    name: ClassVar[str] = "incus_storage"
    summary: ClassVar[str] = "Incus' storage pool on Ceph, on every member"
    needs: ClassVar[frozenset[str]] = frozenset({"incus", "ceph_health"})
    scope: ClassVar[Scope] = Scope.CLUSTER

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Make the pool where it is missing or half made, and give the default profile a root disk if it has none.

        RefusedError when the OSD pool holds images that no pool of this Incus accounts for.
        """
        del node
        seen = await _look(host)
        pool = seen.pools.get(self.topology.incus.remote_pool)
        if pool is None or not pool.created_on(self._names):
            await together(
                self._free_of_placeholder(host),
                cluster.each(lambda _node, member: incusapi.clear_folder(member, self.topology.incus.remote_pool)),
            )
            await incusapi.make(host, self._wanted, pool)
        await self._root_disk(host, cluster, seen.devices)

    @property
    def _names(self) -> list[str]:
        return [node.name for node in self.topology.nodes]

    @property
    def _wanted(self) -> Wanted:
        source = {"source": self.topology.ceph.pool}
        return Wanted(
            "storage-pools",
            self.topology.incus.remote_pool,
            "ceph",
            {"ceph.cluster_name": "ceph", "ceph.user.name": CLIENT},
            dict.fromkeys(self._names, source),
        )

    async def _free_of_placeholder(self, host: Host) -> None:
        """Incus killed while it made the pool leaves its mark, and then takes the OSD pool for another Incus'."""
        osd_pool = self.topology.ceph.pool
        listing = await host.query(["rbd", "--id", CLIENT, "ls", osd_pool], timeout=_RBD)
        images, mark = parse.images(listing.stdout), parse.placeholder(osd_pool)
        if others := sorted(images - {mark}):
            raise RefusedError(
                host.name,
                f"Ceph's pool {osd_pool} holds images that this Incus knows nothing of: {', '.join(others[:5])}",
                advice="Name another pool in ceph.pool, or recover them with `incus admin recover`.",
            )
        if mark in images:
            argv = ["rbd", "--id", CLIENT, "--no-progress", "rm", f"{osd_pool}/{mark}"]
            await host.run(argv, reason="left behind by an interrupted attempt; it is empty", timeout=_RBD)

    async def _root_disk(self, host: Host, cluster: Cluster, devices: dict[str, dict[str, str]]) -> None:
        wanted = {"type": "disk", "path": "/", "pool": self.topology.incus.remote_pool}
        other = [name for name, device in devices.items() if name != ROOT and device.get("path") == "/"]
        differs = other[0] if other else ""
        if not other and devices.get(ROOT) != wanted:
            differs = await incusapi.ensure_device(host, ROOT, wanted)
        if differs:
            cluster.note(f"the default profile of Incus keeps its own root disk ({differs})")

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """The pool is Created on all members, is Ceph's and uses the topology's OSD pool; there is a root disk."""
        host = cluster.leader
        seen = await _look(host)
        return [*self._judge_pool(host.name, seen.pools), *_judge_root(host.name, seen.devices)]

    def _judge_pool(self, host: str, pools: dict[str, Thing]) -> list[Problem]:
        name, names = self.topology.incus.remote_pool, ", ".join(self._names)
        pool, command = pools.get(name), f"incus storage show {name}"
        if pool is None:
            return [Problem(host, f"there is no storage pool {name}", name, ", ".join(pools) or "none", command, _MADE)]
        if not pool.created_on(self._names):
            seen = f"{pool.status} on {', '.join(sorted(pool.locations))}"
            return [
                Problem(host, f"storage pool {name} is not everywhere", f"Created on {names}", seen, command, _MADE)
            ]
        osd_pool = pool.config.get("ceph.osd.pool_name") or pool.config.get("source", "")
        if (pool.kind, osd_pool) != ("ceph", self.topology.ceph.pool):
            expected, seen = f"ceph, OSD pool {self.topology.ceph.pool}", f"{pool.kind}, {osd_pool or 'none'}"
            advice = (
                "State that OSD pool (ceph.pool) or another name (incus.remote_pool) in the topology; volumes stay put."
            )
            what = f"storage pool {name} is on something else"
            return [Problem(host, what, expected, seen, command, advice, final=True)]
        return []


def _judge_root(host: str, devices: dict[str, dict[str, str]]) -> list[Problem]:
    if any(device.get("type") == "disk" and device.get("path") == "/" for device in devices.values()):
        return []
    what = "the default profile has no root disk"
    seen = ", ".join(devices) or "no device"
    return [
        Problem(host, what, "a disk with path=/", seen, "incus profile show default", "Run bootstrap: it adds one.")
    ]


async def _look(host: Host) -> _Seen:
    pools, devices = await asyncio.gather(
        incusapi.read(host, incusapi.POOLS, incusapi.pools),
        incusapi.read(host, incusapi.DEFAULT_PROFILE, incusapi.devices),
    )
    return _Seen(pools, devices)
