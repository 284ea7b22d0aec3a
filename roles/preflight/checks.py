"""What makes a host unfit to become a node: pure functions from facts to problems."""

from collections.abc import Iterator, Mapping

from meshctl.roles import distributions
from meshctl.roles.base import Problem
from meshctl.topology import Node, Topology

from .parse import HostFacts, Space

MIB = 1 << 20
GIB = 1 << 30

# Idle sizes measured on three-node clusters, rounded up (facts/ceph.md: mon 67 MB, mgr 350 MB).
DAEMONS = {"system, FRR, OVS and OVN": 400 * MIB, "ceph-mon": 100 * MIB, "ceph-mgr": 400 * MIB, "Incus": 250 * MIB}
OSD = 896 * MIB
"""The least osd_memory_target that Ceph accepts (939524096)."""

SPACE = 4 * GIB
"""The packages take 1.1 GB, a mon's store grows to some hundred MB; the rest is logs and images."""
MON_CRITICAL = 0.05
"""A mon stops itself below this share of free space (mon_data_avail_crit)."""
MON_WARNING = 0.30
"""Below this Ceph's health is a warning (mon_data_avail_warn)."""


def system(topology: Topology, node: Node, facts: HostFacts) -> Iterator[Problem]:
    """Everything but NICs and disks."""
    yield from _account(node, facts)
    yield from _distribution(node, facts)
    yield from _name(topology, node, facts)
    yield from _memory(topology, node, facts)
    for space in facts.spaces:
        yield from _space(node, space)


def system_notes(facts: HostFacts) -> Iterator[str]:
    """What the operator should know, though it stops nothing."""
    for space in facts.spaces:
        if space.size and MON_CRITICAL <= space.free / space.size < MON_WARNING:
            yield (
                f"{space.free / space.size:.0%} of {space.mount} is free; "
                f"Ceph's health is a warning below {MON_WARNING:.0%}"
            )
    if not facts.ssh_enabled:
        yield "no unit of sshd is enabled; is there another way in after a reboot?"


def across(facts: Mapping[str, HostFacts]) -> Iterator[Problem]:
    """What only shows when hosts are compared."""
    yield from _same_machine(facts)
    majority = [f.architecture for f in facts.values()]
    expected = max(majority, key=majority.count)
    for name, host in facts.items():
        if host.architecture != expected:
            yield Problem(
                name, "another architecture", f"{expected}, as the other hosts", host.architecture, "uname -m",
                "Incus moves instances between all hosts; take a host of the same architecture.", final=True,
            )  # fmt: skip


def _account(node: Node, facts: HostFacts) -> Iterator[Problem]:
    if facts.uid != 0:
        yield Problem(
            node.name, "no root rights", "uid 0", f"uid {facts.uid}", "id -u",
            "Log in as root, or let the user of `ssh.user` run everything by sudo without a password.", final=True,
        )  # fmt: skip
    if not facts.systemd:
        yield Problem(
            node.name, "systemd does not run this host", "systemd as process 1", "another init", "ls -l /proc/1/exe",
            "All layers are units of systemd; use a stock installation.", final=True,
        )  # fmt: skip


def _distribution(node: Node, facts: HostFacts) -> Iterator[Problem]:
    if not distributions.find(facts.os_id, facts.os_version):
        yield Problem(
            node.name, "an operating system that meshctl does not know", distributions.titles(), facts.os_title,
            "cat /etc/os-release", "Install one of these.", final=True,
        )  # fmt: skip


def _name(topology: Topology, node: Node, facts: HostFacts) -> Iterator[Problem]:
    others = {other.name for other in topology.nodes} - {node.name}
    if facts.hostname in others:
        yield Problem(
            node.name, f"{node.management} leads to another node", node.name, facts.hostname, "hostname",
            f"Are the addresses of {node.name} and {facts.hostname} swapped in {topology.source}?", final=True,
        )  # fmt: skip


def _same_machine(facts: Mapping[str, HostFacts]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for name, host in facts.items():
        other = first.setdefault(host.machine_id, name)
        if other == name:
            continue
        same = host.boot_id == facts[other].boot_id
        advice = (
            "Both addresses lead to one machine: correct the topology."
            if same
            else "A cloned disk. On one of them: rm /etc/machine-id && systemd-machine-id-setup, and reboot."
        )
        yield Problem(
            name, f"the same machine-id as {other}", "one of its own", host.machine_id, "cat /etc/machine-id",
            advice, final=True,
        )  # fmt: skip


def memory_needed(topology: Topology, node: Node) -> int:
    """Bytes that a node's daemons take before the first instance."""
    return sum(DAEMONS.values()) + len(node.disks) * (topology.ceph.osd_memory_target or OSD)


def _memory(topology: Topology, node: Node, facts: HostFacts) -> Iterator[Problem]:
    needed = memory_needed(topology, node)
    if facts.memory < needed:
        parts = [f"{name} {size // MIB}" for name, size in DAEMONS.items()]
        parts += [f"{len(node.disks)} OSDs {(needed - sum(DAEMONS.values())) // MIB}"] if node.disks else []
        yield Problem(
            node.name, "too little memory for the daemons", f"{needed // MIB} MiB ({', '.join(parts)})",
            f"{facts.memory // MIB} MiB", "grep MemTotal /proc/meminfo",
            "Add memory, or name fewer disks for this node.", final=True,
        )  # fmt: skip


def _space(node: Node, space: Space) -> Iterator[Problem]:
    needed = max(SPACE, int(space.size * MON_CRITICAL))
    if space.free < needed:
        yield Problem(
            node.name, f"too little free space on {space.mount}", f"{needed // MIB} MiB",
            f"{space.free // MIB} MiB", f"df -h {space.mount}", "Free some; a Ceph monitor stops itself below 5 %.",
            final=True,
        )  # fmt: skip
