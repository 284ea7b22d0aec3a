"""What of Ceph belongs into a backup.

Upstream warns against putting back an old copy of a monitor's store: it knows neither the OSDs' newer maps nor newer
keys. When all stores are lost they are rebuilt from the OSDs (`ceph-objectstore-tool --op update-mon-db`,
`ceph-monstore-tool rebuild`), and what the OSDs don't know are the keys, the configuration and the config-keys: these
are here. The maps show what there was. A whole store is copied on demand only.
https://docs.ceph.com/en/reef/rados/troubleshooting/troubleshooting-mon/#recovery-using-osds
"""

from collections.abc import AsyncIterator

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError
from meshctl.host.base import Host
from meshctl.roles.backup import Piece, files, large, output
from meshctl.roles.vigil import end, keep
from meshctl.topology import Node

from . import absence

_CEPH = ("ceph", "--connect-timeout", "10")
_OUT = ("-o", "/dev/stdout")
_SHARED = {
    "ceph/auth.keyring": ("auth", "export"),
    "ceph/config.json": ("config", "dump", "-f", "json"),
    "ceph/config-key.json": ("config-key", "dump", "-f", "json"),
    "ceph/monmap": ("mon", "getmap", *_OUT),
    "ceph/osdmap": ("osd", "getmap", *_OUT),
    "ceph/crushmap": ("osd", "getcrushmap", *_OUT),
    "ceph/osd-dump.json": ("osd", "dump", "-f", "json"),
    "ceph/osd-metadata.json": ("osd", "metadata", "-f", "json"),
    "ceph/fs-dump.json": ("fs", "dump", "-f", "json"),
}
_COPY = "/var/lib/ceph/meshctl/mon-store.tar.gz"
_TAR = 'umask 077; rm -f "$1"; tar -C /var/lib/ceph/mon -czf "$1" -- "$2"'
_COPYING = 300.0
_VIGIL = "mon-store"


async def shared(host: Host, cluster: Cluster) -> AsyncIterator[Piece]:
    """Keys with their capabilities, configuration, config-keys, and every map. Needs a quorum."""
    del cluster
    for name, words in _SHARED.items():
        yield await output(host, name, [*_CEPH, *words])


async def own(node: Node, host: Host, cluster: Cluster) -> AsyncIterator[Piece]:
    """The identity on this host: ceph.conf, keyrings, and what the founding was made from."""
    del cluster
    patterns = (
        *("/etc/ceph/ceph.conf", "/etc/ceph/*.keyring", "/var/lib/ceph/bootstrap-osd/ceph.keyring"),
        *(f"/var/lib/ceph/mon/ceph-{node.name}/keyring", f"/var/lib/ceph/mgr/ceph-{node.name}/keyring"),
        *("/var/lib/ceph/meshctl/founding.*", "/var/lib/ceph/osd/ceph-*/keyring", "/var/lib/ceph/osd/ceph-*/fsid"),
    )
    async for piece in files(host, *patterns):
        yield piece


async def standstill(cluster: Cluster) -> AsyncIterator[Piece]:
    """The store of one monitor, the last host's: out of the quorum in order, copied, and in it again.

    Raises RefusedError when the others could not go on without it. What a killed run left is undone by the host itself.
    """
    node = cluster.topology.nodes[-1]
    host = cluster.host(node)
    if reasons := await absence.spare(node, cluster):
        raise RefusedError(node.name, f"its monitor can't be stopped for a copy of its store: {'; '.join(reasons)}")
    await keep(host, _VIGIL, ["systemctl", "restart", f"ceph-mon@{node.name}.service"])
    try:
        await absence.drain(node, host, cluster)
        argv = ["sh", "-c", _TAR, "sh", _COPY, f"ceph-{node.name}"]
        await host.run(argv, reason="a copy of the monitor's store, while it stands still", timeout=_COPYING)
    finally:
        await absence.restore(node, host, cluster)
        await end(host, _VIGIL)
    yield await large(host, f"ceph/mon-store-{node.name}.tar.gz", _COPY)
    await host.run(["rm", "-f", "--", _COPY], reason="it is in the archive")
