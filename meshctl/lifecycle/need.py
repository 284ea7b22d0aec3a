"""Which hosts need a reboot: the system says so, a newer kernel is installed, libraries were replaced under daemons."""

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.topology import Node

# One reason a line. The newest kernel is the last of the installed images by version; containers have none.
# A mapped library that was replaced is listed as deleted (proc(5)); memfds and files below /tmp are nobody's library.
_LOOK = r"""
if [ -e /run/reboot-required ]; then
packages=$(sort -u /run/reboot-required.pkgs 2>/dev/null | head -5 | tr '\n' ' ')
echo "the system asks for it (/run/reboot-required${packages:+: $packages})"
fi
running=$(uname -r)
newest=$(ls /boot/vmlinuz-* 2>/dev/null | sed 's|^/boot/vmlinuz-||' | sort -V | tail -n 1)
if [ -n "$newest" ] && [ "$newest" != "$running" ]; then echo "kernel $newest is installed, $running runs"; fi
stale=$(grep -lE ' /(usr/)?lib.*\.so[^ ]* \(deleted\)$' /proc/[0-9]*/maps 2>/dev/null | wc -l)
if [ "$stale" != 0 ]; then echo "processes that use replaced libraries: $stale"; fi
"""


async def reasons(_node: Node, host: Host) -> tuple[str, ...]:
    """Why the host needs a reboot; nothing when it doesn't."""
    return tuple(line.strip() for line in (await host.query(["sh", "-c", _LOOK])).stdout.splitlines() if line.strip())


async def needy(cluster: Cluster) -> dict[str, tuple[str, ...]]:
    """The hosts that need a reboot, with the reasons."""
    found = await cluster.each(reasons)
    return {name: why for name, why in found.items() if why}
