"""One OSD per disk, made by ceph-volume."""

import asyncio
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.host.base import File, Files, Host, text
from meshctl.roles.base import Problem, Role
from meshctl.roles.ceph import CONFIG_DUMP, OSD_DUMP, OSD_TREE, Setting, keep_running, purge_new, survey, tell
from meshctl.roles.parsing import understand
from meshctl.roles.templates import environment
from meshctl.roles.together import together
from meshctl.roles.units import units
from meshctl.topology import Disk, Node, Topology

from . import disks, parse
from .disks import Fate, Look

FOLDER = "/etc/ceph/meshctl-osd"
VOLUME = "/usr/local/lib/meshctl/ceph-volume"
UNIT = "/etc/systemd/system/meshctl-osd@.service"

_PREPARE_SECONDS = 300
"""A slow disk may be a minute in `ceph-osd --mkfs`."""

# A command outlives the meshctl that was killed while it ran. So there is one lock per disk, and under it the disk is
# looked at again. (Not a lock on the disk itself: BlueStore takes that one.)
_LOCKED = """
set -eu
disk=$1
shift
exec 9>"/run/lock/meshctl-osd$(printf %s "$disk" | tr / -)"
flock -w 240 9
label=$(ceph-bluestore-tool show-label --dev "$disk" 2>/dev/null) || label=
"""

_PREPARE = f"""{_LOCKED}
[ -n "$label" ] || exec "$@"
"""

# What an interrupted `ceph-volume raw prepare` leaves: its folder, and a label (offset 0) with superblocks behind it.
_FORGET = f"""{_LOCKED}
case $label in *'"ready": "ready"'*) exit 0 ;; esac
if [ $# -gt 0 ] && mountpoint -q "$1"; then umount "$1"; fi
[ $# -eq 0 ] || rmdir -- "$1" 2>/dev/null || :
dd if=/dev/zero of="$disk" bs=1M count=10 conv=fsync,nocreat status=none
"""


class CephOsdRole(Role):
    """One OSD per disk."""

    name: ClassVar[str] = "ceph_osd"
    summary: ClassVar[str] = "a Ceph OSD on every disk that the topology names"
    needs: ClassVar[frozenset[str]] = frozenset({"ceph_mon", "wipe"})
    poll: ClassVar[float] = 0.1

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self._known = parse.Known()
        self._looks: dict[str, dict[str, Look]] = {}
        self._memory: dict[str, int] = {}

    def render(self, node: Node) -> Files:
        """The unit that activates raw OSDs at boot, and the ceph-volume that keeps keys out of arguments."""
        return {UNIT: _unit(), VOLUME: _volume()} if node.disks else {}

    async def prepare(self, cluster: Cluster) -> None:
        """See what is on all disks and which OSDs the cluster knows.

        Raises RefusedError when a disk has something on it that this cluster did not put there.
        """
        leader = cluster.leader
        answers = survey(leader, OSD_DUMP, CONFIG_DUMP)
        (dump, config), self._memory, _ = await asyncio.gather(answers, cluster.each(_memory), self._look(cluster))
        targets = config.read(parse.memory_targets)
        self._known = parse.Known(dump.read(parse.fsid), dump.read(parse.osds), targets)
        for node in self.topology.nodes:
            for seen in self._looks[node.name].values():
                disks.decide(node.name, seen, self._known)

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Make the OSDs that are missing, all at once, and start all that don't run."""
        first = node == self.topology.nodes[0]
        if any(self._fate(node, look) is not Fate.KEEP for look in self._looks[node.name].values()):
            await host.put({VOLUME: _volume()})
        await together(*(self._make(node, host, disk) for disk in node.disks), *([self._share(host)] if first else []))
        found = [seen.label for seen in self._looks[node.name].values() if seen.label]
        raw = {f"{FOLDER}/{label.osd}.env": text(f"OSD_UUID={label.uuid}\n") for label in found if not label.lvm}
        if raw:
            await host.put({**self.render(node), **raw})
        await together(*(_start(host, label) for label in found))

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Every disk has an OSD of this cluster on it, which is up and in, with the device class of the topology."""
        if not self._looks:
            await self._look(cluster)
        dump, tree = await survey(cluster.leader, OSD_DUMP, OSD_TREE)
        osds, classes = dump.read(parse.osds), tree.read(parse.device_classes)
        return [
            problem
            for node in self.topology.nodes
            for disk in node.disks
            for problem in _judge(node, disk, self._looks[node.name][disk.path], osds, classes)
        ]

    async def _look(self, cluster: Cluster) -> None:
        async def one(node: Node, host: Host) -> dict[str, Look]:
            looks = await asyncio.gather(*(disks.look(host, disk.path) for disk in node.disks))
            return {seen.path: seen for seen in looks}

        self._looks = await cluster.each(one)

    async def _make(self, node: Node, host: Host, disk: Disk) -> None:
        looks = self._looks[node.name]
        fate = self._fate(node, looks[disk.path])
        if fate is Fate.REDO:
            await self._forget(host, looks[disk.path])
            looks[disk.path] = await disks.look(host, disk.path)
            fate = Fate.KEEP if looks[disk.path].label else Fate.CREATE  # the interrupted command may have ended well
        if fate is Fate.CREATE:
            await _prepare(host, disk, looks[disk.path])
            looks[disk.path] = await disks.look(host, disk.path)

    def _fate(self, node: Node, look: Look) -> Fate:
        return disks.decide(node.name, look, self._known)

    async def _forget(self, host: Host, seen: Look) -> None:
        """Wipe what an interrupted run left, unless it has become whole meanwhile, and take its OSD off the books."""
        reason = f"making the OSD on {seen.path} was interrupted"
        osd = self._known.osds.get(seen.label.uuid) if seen.label else None
        if seen.label and seen.label.lvm:
            await host.run(["ceph-volume", "lvm", "zap", "--destroy", seen.path], reason=reason)
        else:
            folder = [f"/var/lib/ceph/osd/ceph-{osd.id}"] if osd else []
            argv = ["sh", "-c", _FORGET, "sh", seen.path, *folder]
            await host.run(argv, reason=reason, timeout=_PREPARE_SECONDS)
            if (await disks.look(host, seen.path)).label:
                return
        if osd:
            await tell(host, [purge_new(osd.id)], reason=reason)

    async def _share(self, host: Host) -> None:
        """The memory targets of all hosts' OSDs."""
        changes = []
        for node in self.topology.nodes:
            if node.disks:
                computed = parse.memory_target(self._memory[node.name], len(node.disks))
                target = str(self.topology.ceph.osd_memory_target or computed)
                if self._known.targets.get(node.name) != target:
                    changes.append(Setting(f"osd/host:{node.name}", "osd_memory_target", target).set)
        if changes:
            await tell(host, changes, reason="memory targets of OSDs differ")


def _unit() -> File:
    return text(environment(__package__).get_template("meshctl-osd@.service.j2").render(folder=FOLDER))


def _judge(node: Node, disk: Disk, seen: Look, osds: dict[str, parse.Osd], classes: dict[int, str]) -> list[Problem]:
    where, label = f"{disk.path} ({seen.disk.name})", seen.label
    osd = osds.get(label.uuid) if label else None
    if label is None or osd is None:
        what = f"{where} has no OSD of this cluster"
        on_it = f"osd.{label.osd} {label.uuid}" if label else ", ".join(seen.disk.contents) or "nothing"
        command = f"ceph-bluestore-tool show-label --dev {disk.path}"
        return [Problem(node.name, what, "an OSD", on_it, command, "Run bootstrap: it makes one if the disk is empty.")]
    advice = f"journalctl -u ceph-osd@{osd.id}"
    if not (osd.up and osd.in_):
        state = f"{'up' if osd.up else 'down'} and {'in' if osd.in_ else 'out'}"
        return [Problem(node.name, f"osd.{osd.id} on {where} is {state}", "up and in", state, "ceph osd tree", advice)]
    if disk.device_class not in {"auto", kind := classes.get(osd.id, "")}:
        advice = (
            f"ceph osd crush rm-device-class {osd.id}; ceph osd crush set-device-class {disk.device_class} {osd.id}"
        )
        what = f"osd.{osd.id} on {where} has another device class"
        return [Problem(node.name, what, disk.device_class, kind or "none", "ceph osd tree", advice)]
    return []


async def _memory(_node: Node, host: Host) -> int:
    return understand(host.name, ("cat", "/proc/meminfo"), parse.memory, await host.read("/proc/meminfo") or "")


def _volume() -> File:
    return text(environment(__package__).get_template("ceph-volume.j2").render(), mode=0o755)


async def _mode(host: Host, disk: Disk) -> str:
    """`lvm` or `raw`. The device mapper's control node may be there without one (in containers), so it is asked."""
    if disk.mode != "auto":
        return disk.mode
    asked = await host.query(["dmsetup", "version"], ok=None)
    return "lvm" if asked.ok else "raw"


async def _prepare(host: Host, disk: Disk, seen: Look) -> None:
    argv = [VOLUME, await _mode(host, disk), "prepare", "--bluestore", "--data", disk.path]
    if disk.device_class != "auto":
        argv += ["--crush-device-class", disk.device_class]
    reason = f"{disk.path} ({seen.disk.name}) has no OSD"
    await host.run(["sh", "-c", _PREPARE, "sh", disk.path, *argv], reason=reason, timeout=_PREPARE_SECONDS)


async def _start(host: Host, label: parse.Label) -> None:
    if label.osd is None:
        return
    service, targets = f"ceph-osd@{label.osd}.service", ("ceph-osd.target", "ceph.target")
    if not label.lvm:
        await keep_running(host, service, f"meshctl-osd@{label.osd}.service", *targets)
        return
    if not (await units(host, service))[service].runs:
        argv = ["ceph-volume", "lvm", "activate", str(label.osd), label.uuid]
        await host.run(argv, reason=f"osd.{label.osd} does not run")
    await keep_running(host, service, f"ceph-volume@lvm-{label.osd}-{label.uuid}.service", *targets)
