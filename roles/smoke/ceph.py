"""Ceph's pool through librbd: written on the first host, read on the last, compared. Works without kernel module."""

from meshctl.cluster import Cluster
from meshctl.errors import HostError
from meshctl.host.base import Host
from meshctl.topology import Topology

CLIENT = "incus"
IMAGE = "meshctl-smoke"
_EEXIST = 17
_TIMEOUT = 30.0

# 2 MiB are spread over several placement groups; -c: checksum only.
_WRITE = """
set -e
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
head -c 2097152 /dev/urandom > "$d/data"
rbd --id "$1" import --no-progress --object-size 256K "$d/data" "$2" || exit $?
sha256sum < "$d/data"
"""
_READ = """
set -e
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
rbd --id "$1" export --no-progress "$2" "$d/data" || exit $?
sha256sum < "$d/data"
"""


async def check(topology: Topology, cluster: Cluster) -> None:
    """Raises CommandError when Ceph refuses, CommandTimeout when it hangs, HostError when data come back changed."""
    first, last = cluster.leader, cluster.host(topology.nodes[-1])
    image = f"{topology.ceph.pool}/{IMAGE}"
    written = await _write(first, image)
    argv = ["sh", "-c", _READ, "sh", CLIENT, image]
    read = (await last.query(argv, timeout=_TIMEOUT)).stdout.strip()
    if read != written:
        raise HostError(
            last.name,
            f"Ceph gave back other data than {first.name} wrote to {image}: {read!r}, not {written!r}",
            advice=f"Compare on both hosts: rbd --id {CLIENT} export {image} - | sha256sum",
        )
    await _remove(first, image, "the test of Ceph's pool is over")


async def _write(host: Host, image: str) -> str:
    argv = ["sh", "-c", _WRITE, "sh", CLIENT, image]
    reason = "does Ceph's pool take data?"
    done = await host.run(argv, reason=reason, timeout=_TIMEOUT, ok=(0, _EEXIST))
    if done.status == _EEXIST:
        await _remove(host, image, "left behind by an interrupted test")
        done = await host.run(argv, reason=reason, timeout=_TIMEOUT)
    return done.stdout.strip()


async def _remove(host: Host, image: str, reason: str) -> None:
    await host.run(["rbd", "--id", CLIENT, "--no-progress", "rm", image], reason=reason, timeout=_TIMEOUT)
