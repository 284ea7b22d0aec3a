"""Ceph's health and capacity, where its copies are, and flags that somebody left."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from meshctl.cluster import Cluster
from meshctl.errors import HostError
from meshctl.host.base import Host
from meshctl.roles.base import Problem
from meshctl.roles.ceph import MGR_STAT, OSD_DUMP, OSD_TREE, STATUS, Command, ask, mon_socket
from meshctl.roles.condition import Condition, Disease, Finding, Part, PlacementGroup, State, split, told, why
from meshctl.roles.parsing import parser
from meshctl.topology import Node, Topology

from . import parse

FLAG_LEFT = Disease(
    "flag-left-behind", "A flag like `noout` is still set: after a failure Ceph would not restore the missing copies."
)
FULL_OSD = Disease("full-osd", "An OSD is full or nearly so: at `full` every write stops, on the whole pool.")
DISEASES = (FLAG_LEFT, FULL_OSD)

FLAGS = frozenset({"noout", "noin", "noup", "nodown", "norebalance", "nobackfill", "norecover", "noscrub", "pause"})
_SKEW, _FULL = "MON_CLOCK_SKEW", ("OSD_NEARFULL", "OSD_BACKFILLFULL", "OSD_FULL", "POOL_FULL", "POOL_NEARFULL")
_FLAG_CHECKS = frozenset({"OSDMAP_FLAGS", "OSD_FLAGS"})
_PLACEMENT: Command = {"prefix": "pg dump", "dumpcontents": ["pgs_brief"], "to": "mgr"}
_USAGE: Command = {"prefix": "osd df", "to": "mgr"}


@dataclass(frozen=True, slots=True)
class Osds:
    """From `osd dump` and `osd tree`."""

    hosts: Mapping[int, str]
    up: frozenset[int]
    inside: frozenset[int]
    min_sizes: Mapping[int, int]
    """By pool's number."""
    flags: tuple[tuple[str, str], ...] = ()
    """(flag, what it is set on): "the cluster", a host, an OSD."""


@dataclass(frozen=True, slots=True)
class Group:
    """A line of `pg dump pgs_brief`."""

    id: str
    state: str
    acting: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What the cluster says through one monitor."""

    host: str
    status: parse.Status
    used: int
    total: int
    osds: Osds
    utilization: Mapping[int, float] = field(default_factory=dict)
    """Percent, by OSD."""
    groups: tuple[Group, ...] | None = None
    """None when no manager answers."""
    manager: str = ""


async def condition(cluster: Cluster) -> Condition:
    """Only a host whose own monitor is in quorum is asked: all others would be silent for long."""
    quorums, _ = split(await cluster.each(lambda node, host: told(_has_quorum(node, host))))
    inside = [name for name, has in quorums.items() if has]
    if not inside:
        detail = "no monitor that can be asked has a quorum"
        return Condition(State.BROKEN, detail, unknown=detail)
    answer = await told(_look(cluster.hosts[inside[0]]))
    if isinstance(answer, HostError):
        return Condition(State.BROKEN, f"{inside[0]}: {why(answer)}", unknown=why(answer))
    return judge(cluster.topology, answer)


async def _has_quorum(node: Node, host: Host) -> bool:
    (answer,) = await ask(host, {"prefix": "mon_status", "to": mon_socket(node.name)}, ok=None)
    return answer.status == 0 and answer.read(has_quorum)


@parser
def has_quorum(mon_status: str) -> bool:
    """Whether a monitor is in a quorum, from its `mon_status`."""
    return bool(json.loads(mon_status)["quorum"])


async def _look(host: Host) -> Look:
    """The managers apart: a dead one is silent, and must not make the monitors' answers wait."""
    monitors, managers = await asyncio.gather(
        ask(host, STATUS, OSD_DUMP, OSD_TREE, MGR_STAT), told(ask(host, _PLACEMENT, _USAGE))
    )
    status, dump, tree, manager = monitors
    used, total = status.read(capacity)
    map_ = dump.read(partial(osds, osd_tree=tree.output))
    look = Look(host.name, status.read(parse.status), used, total, map_, manager=manager.read(active_manager))
    if isinstance(managers, HostError):
        return look
    placed, usage = managers
    return replace(look, utilization=usage.read(utilization), groups=placed.read(groups))


@parser
def capacity(status: str) -> tuple[int, int]:
    """(used, total) bytes in `ceph status`."""
    pgmap = json.loads(status)["pgmap"]
    return pgmap.get("bytes_used", 0), pgmap.get("bytes_total", 0)


@parser
def active_manager(mgr_stat: str) -> str:
    """The active manager's name in `ceph mgr stat`; empty when there is none."""
    told_ = json.loads(mgr_stat)
    return str(told_["active_name"]) if told_["available"] else ""


@parser
def osds(osd_dump: str, osd_tree: str) -> Osds:
    """`ceph osd dump` and `ceph osd tree`."""
    dump, nodes = json.loads(osd_dump), json.loads(osd_tree)["nodes"]
    hosts = {child: node["name"] for node in nodes if node["type"] == "host" for child in node["children"]}
    set_on = [(flag, "the cluster") for flag in dump["flags_set"]]
    for name, flags in dump.get("crush_node_flags", {}).items():
        set_on += [(flag, str(name)) for flag in flags]
    for osd in dump["osds"]:
        set_on += [(flag, f"osd.{osd['osd']}") for flag in osd["state"]]
    return Osds(
        hosts,
        frozenset(osd["osd"] for osd in dump["osds"] if osd["up"]),
        frozenset(osd["osd"] for osd in dump["osds"] if osd["in"]),
        {pool["pool"]: pool["min_size"] for pool in dump["pools"]},
        tuple((flag, where) for flag, where in set_on if flag in FLAGS),
    )


@parser
def groups(pg_dump: str) -> tuple[Group, ...]:
    """`ceph pg dump pgs_brief`."""
    return tuple(Group(one["pgid"], one["state"], tuple(one["acting"])) for one in json.loads(pg_dump)["pg_stats"])


@parser
def utilization(osd_df: str) -> dict[int, float]:
    """Percent in use by OSD, from `ceph osd df`."""
    return {osd["id"]: osd["utilization"] for osd in json.loads(osd_df)["nodes"]}


def judge(topology: Topology, look: Look) -> Condition:
    """What the answers mean. It is broken when some data can't be written or read."""
    stuck = [state for state in look.status.pgs if not state.startswith("active")]
    broken = bool(stuck) or look.status.health == "HEALTH_ERR" or (topology.osd_count and not look.status.pg_count)
    hosts = {node.name for node in topology.nodes}
    carries = {look.manager: ("Ceph's active manager",)} if look.manager in hosts else {}
    return Condition(
        State.BROKEN if broken else State.HEALTHY if look.status.health == "HEALTH_OK" else State.DEGRADED,
        _detail(look),
        nodes={name: _part(name, look) for name in sorted(hosts)},
        findings=tuple(diagnose(look)),
        placement=placement(look),
        carries=carries,
        unknown="" if look.groups is not None else "no manager says where the copies are",
        problems=tuple(_problems(look)),
    )


def _detail(look: Look) -> str:
    size = f"{look.used / 2**30:.1f} of {look.total / 2**30:.1f} GiB used"
    count = f"{len(look.osds.up)} of {len(look.osds.hosts)} OSDs up"
    unclean = f"; {look.status.unclean}" if look.status.unclean else ""
    checks = f": {'; '.join(look.status.checks.values())}" if look.status.checks else ""
    return f"{look.status.health}{checks}; {count}, {size}{unclean}"


def _part(name: str, look: Look) -> Part:
    own = {osd for osd, host in look.osds.hosts.items() if host == name}
    down, out = sorted(own - look.osds.up), sorted(own & look.osds.up - look.osds.inside)
    faults = [f"osd.{osd} down" for osd in down] + [f"osd.{osd} out" for osd in out]
    active = "active mgr" if name == look.manager else ""
    return Part(State.DEGRADED, ", ".join(faults)) if faults else Part(State.HEALTHY, active)


def placement(look: Look) -> tuple[PlacementGroup, ...]:
    """Every placement group's copies by host; those of OSDs that are down don't count, whatever the manager says.

    Nor does a place that no OSD fills, which has CRUSH_ITEM_NONE (2147483647) as its number.
    """
    return tuple(
        PlacementGroup(
            group.id,
            tuple(look.osds.hosts.get(osd, f"osd.{osd}") for osd in group.acting if osd in look.osds.up),
            look.osds.min_sizes.get(int(group.id.split(".")[0]), 1),
            behind="recover" in group.state or ("degraded" in group.state and "undersized" not in group.state),
        )
        for group in look.groups or ()
    )


def diagnose(look: Look) -> Iterator[Finding]:
    """The diseases of this layer, and the monitors' own measure of the clocks."""
    for flag, where in look.osds.flags:
        unset = f"ceph osd unset {flag}" if where == "the cluster" else f"ceph osd unset-group {flag} {where}"
        yield Finding(
            FLAG_LEFT.name,
            look.host,
            f"{flag} is set on {where}",
            f"If nobody is working on it: `{unset}`",
            "ceph osd dump | grep -i flags; ceph health detail",
            leftover=True,
        )
    for check in _FULL:
        if summary := look.status.checks.get(check):
            yield _full(look, check, summary)
    if summary := look.status.checks.get(_SKEW):
        yield Finding(
            "clock-skew",
            look.host,
            f"Ceph's monitors say: {summary}",
            "`chronyc makestep` on the host that `ceph time-sync-status` names, then see why chronyd doesn't follow.",
            "ceph time-sync-status; ceph health detail",
        )


def _full(look: Look, check: str, summary: str) -> Finding:
    percent = sorted(look.utilization.items(), key=lambda item: -item[1])[:3]
    used = ", ".join(f"osd.{osd} {share:.0f} %" for osd, share in percent)
    return Finding(
        FULL_OSD.name,
        look.host,
        f"{check}: {summary}" + (f" ({used})" if used else ""),
        "Delete what isn't needed (`rbd -p POOL du`), or add disks; never raise full_ratio but to delete.",
        "ceph osd df tree; ceph health detail",
    )


def _problems(look: Look) -> Iterator[Problem]:
    known = {*_FULL, _SKEW, *_FLAG_CHECKS}
    for check, summary in look.status.checks.items():
        if check not in known:
            yield Problem(look.host, summary, "HEALTH_OK", check, "ceph health detail")
