"""Voters, disks and copies."""

from collections import Counter
from collections.abc import Iterator

from meshctl.topology.lint.rules import Hit, Severity, rule
from meshctl.topology.model import Topology


@rule(Severity.ERROR)
def disk_twice(topology: Topology) -> Iterator[Hit]:
    """A disk is named once per host.

    The second OSD would be made on the first one's data.
    """
    for node in topology.nodes:
        for path, count in Counter(disk.path for disk in node.disks).items():
            if count > 1:
                yield ("nodes", node.name, "disks"), f"{path} is named {count} times"


@rule(Severity.WARNING)
def even_voters(topology: Topology) -> Iterator[Hit]:
    """The number of voters is odd.

    Every host votes in Ceph's monitors, both OVN databases and Incus. Four voters survive one failure, as three do,
    and there is one more host that can fail.
    """
    if len(topology.nodes) % 2 == 0:
        yield ("nodes",), f"{len(topology.nodes)} voters survive no more failures than {len(topology.nodes) - 1}"


@rule(Severity.WARNING)
def too_few_disks(topology: Topology) -> Iterator[Hit]:
    """Enough hosts have disks for the copies that Ceph keeps.

    With fewer hosts than copies the pool is undersized for ever; with exactly two copies a single failure stops
    writes.
    """
    hosts = sum(1 for node in topology.nodes if node.disks)
    if hosts < 3:  # noqa: PLR2004  (Ceph's own default of osd_pool_default_size)
        yield ("nodes",), f"{hosts} hosts have disks; three copies need three"
    if hosts < topology.replicas:
        yield ("ceph", "replicas"), f"{topology.replicas} copies need as many hosts with disks; there are {hosts}"
