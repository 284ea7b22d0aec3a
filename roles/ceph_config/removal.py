"""Ceph's identity off a host: configuration, keys, and the daemons' stores."""

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.removal import erase, present, stop
from meshctl.topology import Node

OURS = "/var/lib/ceph/meshctl"
"""The founding's keyring lies there: a Ceph without it was not made by meshctl."""

UNITS = (
    *("ceph.target", "ceph-mon.target", "ceph-mgr.target", "ceph-mon.service"),
    *("ceph-mon@*", "ceph-mgr@*", "ceph-crash.service"),
)


async def holdings(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """The monitor with the map of all data, and the keys."""
    del cluster
    if not await present(host, OURS):
        return []
    return [f"monitor and manager {node.name} of Ceph, with its keys"]


async def remove(node: Node, host: Host, cluster: Cluster) -> None:
    """Stop the daemons and remove their stores, the keys, and what was this cluster's configuration."""
    del cluster
    if not await present(host, OURS):
        return
    reason = "the cluster is being destroyed"
    await stop(host, *UNITS, reason=reason)
    stores = (f"/var/lib/ceph/mon/ceph-{node.name}*", f"/var/lib/ceph/mgr/ceph-{node.name}", "/var/lib/ceph/osd/ceph-*")
    keys = ("/etc/ceph/ceph.client.*.keyring", "/var/lib/ceph/bootstrap-osd/ceph.keyring")
    made = await present(host, *stores, *keys, "/var/lib/ceph/crash/*")
    await erase(host, *made, reason=reason)
    await erase(host, "/etc/ceph/ceph.conf", reason=reason)
    await erase(host, OURS, reason=reason)
