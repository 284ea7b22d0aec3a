"""All of Ceph at work: every placement group active+clean, HEALTH_OK without a warning, the founding over."""

from collections.abc import Sequence
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.base import Problem, Role, Scope
from meshctl.roles.ceph import (
    CONFIG_DUMP,
    FOUNDING_KEY,
    FOUNDING_NOTE,
    MIN_SIZE_KEY,
    MIN_SIZE_NOTE,
    OSD_DUMP,
    STATUS,
    Command,
    Setting,
    purge_new,
    survey,
    tell,
)
from meshctl.roles.together import together
from meshctl.topology import Node

from . import parse

_ENOENT = -2

COPIES = 24 * 3600.0
"""Seconds for Ceph to make all copies anew that whole hosts had."""

_THERE = 'for folder; do [ ! -d "$folder" ] || echo "$folder"; done'
_REMOVE = (
    'for folder; do ! mountpoint -q "$folder" || umount "$folder"; rmdir --ignore-fail-on-non-empty -- "$folder"; done'
)


class CephHealthRole(Role):
    """Nothing of its own: it waits, and then takes back what only the founding needed."""

    name: ClassVar[str] = "ceph_health"
    summary: ClassVar[str] = "all placement groups active+clean; Ceph is HEALTH_OK"
    needs: ClassVar[frozenset[str]] = frozenset({"ceph_mgr", "ceph_osd", "ceph_pool"})
    scope: ClassVar[Scope] = Scope.CLUSTER
    poll: ClassVar[float] = 0.1

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """End the founding when all placement groups are clean: nothing of it outlasts the run.

        That includes OSDs which an interrupted run announced and never made; later ones may be an operator's. And pools
        that `recover` has let serve from one copy want as many as before.
        """
        await self._strict(host)
        leftovers = await _leftovers(host)
        if leftovers is None:
            return
        settings, ghosts = leftovers
        await host.until("clean placement groups", lambda: _unclean(host), timeout=self.gate_timeout(), every=0.1)
        if ghosts:  # first: nothing would tell of their folders once they are purged
            await together(*(_remove_folders(member, ghosts) for member in cluster.hosts.values()))
        forget: Command = {"prefix": "config-key rm", "key": FOUNDING_KEY}
        purges = [purge_new(ghost) for ghost in ghosts]
        await tell(host, [*settings, *purges], [forget], reason="the founding is over")

    async def _strict(self, host: Host) -> None:
        (note,) = await survey(host, MIN_SIZE_NOTE, ok=(0, _ENOENT))
        if note.status == _ENOENT:
            return
        await host.until("clean placement groups", lambda: _unclean(host), timeout=COPIES, every=0.5)
        pools = note.read(parse.min_sizes)
        wanted: list[Command] = [
            {"prefix": "osd pool set", "pool": name, "var": "min_size", "val": str(value)}
            for name, value in pools.items()
        ]
        forget: Command = {"prefix": "config-key rm", "key": MIN_SIZE_KEY}
        await tell(host, wanted, [forget], reason="there are copies enough again")

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Every placement group is active+clean, and health is HEALTH_OK with no warning."""
        leader = cluster.leader
        (told,) = await survey(leader, STATUS)
        status = told.read(parse.status)
        problems = []
        if self.topology.osd_count and (seen := status.unclean):
            what, expected = "placement groups are not active+clean", f"{status.pg_count} {parse.CLEAN}"
            advice = "ceph osd tree shows which OSDs are down; while Ceph copies, waiting is enough (ceph -w)"
            problems.append(Problem(leader.name, what, expected, seen, "ceph pg dump_stuck", advice))
        if status.health != "HEALTH_OK":
            seen = "; ".join(f"{name}: {summary}" for name, summary in status.checks.items()) or status.health
            advice = f"meshctl doctor {self.topology.source} knows the common ones and their cure"
            problems.append(
                Problem(leader.name, f"Ceph is {status.health}", "HEALTH_OK", seen, "ceph health detail", advice)
            )
        return problems


async def _leftovers(host: Host) -> tuple[list[Command], list[int]] | None:
    """What takes back the settings, and the OSDs that were announced and never made; None when the founding is over."""
    note, config, osds = await survey(host, FOUNDING_NOTE, CONFIG_DUMP, OSD_DUMP, ok=(0, _ENOENT))
    if note.status == _ENOENT:
        return None
    present = config.read(parse.present)
    settings = [Setting(who, name, "") for who, name in note.read(parse.founding) if (who, name) in present]
    return [setting.remove for setting in settings], osds.read(parse.ghosts)


async def _remove_folders(host: Host, ghosts: Sequence[int]) -> None:
    """An interrupted ceph-volume leaves the folder that it made, or after a power loss an empty one."""
    folders = [f"/var/lib/ceph/osd/ceph-{ghost}" for ghost in ghosts]
    found = (await host.query(["sh", "-c", _THERE, "sh", *folders])).stdout.split()
    if found:
        await host.run(["sh", "-c", _REMOVE, "sh", *found], reason="of OSDs that were announced and never made")


async def _unclean(host: Host) -> str:
    (told,) = await survey(host, STATUS)
    return told.read(parse.status).unclean
