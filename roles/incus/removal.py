"""Incus off a host: instances, volumes and the database, if this host is a member of this cluster."""

from meshctl.cluster import Cluster
from meshctl.errors import HostError, RefusedError
from meshctl.host.base import Host
from meshctl.roles.parsing import parser, understand
from meshctl.roles.removal import STOPPING, erase, present
from meshctl.topology import Node

USES = frozenset({"ovn", "ceph_osd"})
"""Its networks and volumes are there: without them it can't stop instances, and hangs."""

HOME = "/var/lib/incus"
UNITS = ("incus.socket", "incus-user.socket", "incus-user.service", "incus-startup.service", "incus.service")

# The database's own list of nodes can be read without a quorum, and without Incus.
_READ = (
    "import sqlite3, sys; db = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True); "
    "[print(row[0]) for row in db.execute('SELECT address FROM raft_nodes')]"
)
MEMBERS = ("python3", "-c", _READ, f"{HOME}/database/local.db")
_INSTANCES = (
    *("find", f"{HOME}/containers", f"{HOME}/virtual-machines"),
    *("-mindepth", "1", "-maxdepth", "1", "-printf", r"%f\n"),
)
_RUNNING = ("pgrep", "-af", r"^\[lxc monitor\] /var/lib/incus/|^[^ ]*qemu-system[^ ]* .*/run/incus/")
_UNMOUNT = (
    "awk '$2 ~ \"^/(var/lib|run)/incus/\" { print $2 }' /proc/mounts | "
    'sort -r | while read -r at; do umount -l "$at"; done'
)

# A daemon whose cluster has no quorum waits for one until systemd's own deadline of ten minutes.
_STOP = (
    'timeout 20 systemctl stop -- "$@" || '
    '{ systemctl kill --signal=KILL -- "$@"; timeout 20 systemctl stop -- "$@"; }; systemctl reset-failed -- "$@" || :'
)

SHUTDOWN = 90.0
"""Seconds for instances to stop by themselves."""


async def holdings(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """The host's instances, and its part of the cluster. Raises RefusedError when it is a member of another one."""
    if not await _ours(host, cluster):
        return []
    found = (await host.query(_INSTANCES, ok=(0, 1))).stdout.split()
    return [*(f"instance {name}" for name in found), f"{node.name}'s membership in Incus, images and local volumes"]


async def remove(node: Node, host: Host, cluster: Cluster) -> None:
    """Shut instances down, stop Incus, and remove its data. Raises HostError when instances go on running."""
    del node
    if not await _ours(host, cluster):
        return
    reason = "the cluster is being destroyed"
    if (await host.query(_RUNNING, ok=(0, 1))).stdout:
        # Without a quorum it can't tell what to stop; what runs on is seen below.
        argv = ["incus", "admin", "shutdown", f"--timeout={SHUTDOWN:g}"]
        await host.run(argv, reason=reason, timeout=SHUTDOWN + 10, ok=None)
    if (await host.query(["systemctl", "is-active", *UNITS], ok=None)).stdout.split() != ["inactive"] * len(UNITS):
        await host.run(["sh", "-c", _STOP, "sh", *UNITS], reason=reason, timeout=STOPPING)
    if running := (await host.query(_RUNNING, ok=(0, 1))).stdout:
        raise HostError(
            host.name,
            f"instances still run, although Incus was stopped: {running.splitlines()[0]}",
            advice="Reboot the host, then run the same command again: Incus' instances don't start without it.",
        )
    await host.run(["sh", "-c", _UNMOUNT], reason=reason)
    # The certificate that tells us whose member this is goes last, so that a killed run is gone on with.
    inside = [path for path in await present(host, f"{HOME}/*", f"{HOME}/.[!.]*") if not path.endswith("/cluster.crt")]
    database = [path for path in inside if path == f"{HOME}/database"]
    await erase(host, *(path for path in inside if path not in database), "/var/log/incus", "/run/incus", reason=reason)
    await erase(host, *database, reason=reason)
    await erase(host, HOME, reason=reason)


async def _ours(host: Host, cluster: Cluster) -> bool:
    """Whether the host is, or half is, a member of this cluster; an Incus of its own is left alone."""
    if not await present(host, f"{HOME}/cluster.crt"):
        return False
    if not await present(host, f"{HOME}/database/local.db"):
        return True  # a removal that was interrupted
    told = await host.query(MEMBERS)
    foreign = understand(host.name, MEMBERS, members, told.stdout) - {
        f"{address}:{cluster.topology.incus.port}" for address in cluster.topology.loopback_addresses
    }
    if foreign:
        raise RefusedError(
            host.name,
            f"its Incus is a member of another cluster: {', '.join(sorted(foreign))}",
            advice=f"Take it out of that cluster first: `incus cluster remove {host.name}` on one of its members.",
        )
    return True


@parser
def members(output: str) -> frozenset[str]:
    """The addresses of the database's nodes. Incus keeps "" for a node that never joined."""
    return frozenset(line for line in output.split() if line and line not in {"0", "1"})
