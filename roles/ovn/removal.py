"""OVN off a host: databases, tunnels and bridges; Open vSwitch itself stays."""

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.parsing import parser, understand
from meshctl.roles.removal import erase, present, stop
from meshctl.topology import Node

from .chassis import external_ids
from .databases import CONTROLLER, NORTHD, UMBRELLAS, databases
from .role import DROP_IN as OURS

_BRIDGES = ("ovs-vsctl", "--timeout=5", "list-br")


async def holdings(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """The databases with all logical networks, and the bridges."""
    del cluster
    return [f"{node.name}'s copy of OVN's databases, and its tunnels"] if await present(host, OURS) else []


async def remove(node: Node, host: Host, cluster: Cluster) -> None:
    """Stop OVN, remove its databases, and let Open vSwitch forget it. Saved standalone databases stay."""
    if not await present(host, OURS):
        return
    reason = "the cluster is being destroyed"
    both = databases(cluster.topology)
    await stop(host, CONTROLLER, NORTHD, *(db.unit for db in both), *UMBRELLAS, reason=reason, disable=False)
    files = [path for db in both for path in (db.file, db.draft)]
    locks = await present(host, "/var/lib/ovn/.ovn*.~lock~")
    await erase(host, *files, *locks, reason=reason)
    told = await host.query(_BRIDGES, ok=None)
    if not told.ok:  # it doesn't run: its database is a file like the others
        await erase(host, "/etc/openvswitch/conf.db", "/var/lib/openvswitch/conf.db", reason="it names OVN's bridges")
        return
    ids = [key for key in external_ids(cluster.topology, node) if key.startswith("ovn-")]
    forget = ["remove", "Open_vSwitch", ".", "external_ids", *ids]
    argv = ["ovs-vsctl", "--timeout=10", "del-ssl", "--", *forget]
    for bridge in understand(host.name, _BRIDGES, bridges, told.stdout):
        argv += ["--", "--if-exists", "del-br", bridge]
    await host.run(argv, reason=reason)


@parser
def bridges(output: str) -> list[str]:
    """OVN's own, and those that Incus put between an uplink and OVN (`incusovn1`)."""
    return [name for name in output.split() if name == "br-int" or name.startswith("incusovn")]
