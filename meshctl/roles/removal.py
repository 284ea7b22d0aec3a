"""Taking a layer off a host: what the roles' `removal.py` have in common.

A role whose layer leaves anything behind has a module `removal` beside its `role`, with

    async def holdings(node, host, cluster) -> list[str]   what would be destroyed, in an owner's words; only looks
    async def remove(node, host, cluster) -> None           stop it and take it away, from any state

The files that the role renders go by themselves, after `remove`. Nothing here needs a quorum or another host: a cluster
that is half dead must be removable, too. RefusedError from either means that the thing is not this cluster's.
"""

from collections.abc import Sequence

from meshctl.host.base import Host
from meshctl.roles.units import units

_PRESENT = 'for path; do if [ -e "$path" ] || [ -L "$path" ]; then echo "$path"; fi; done'
# Wildcards are ours, the paths have no spaces.
_EXPAND = (
    'for pattern; do for path in $pattern; do if [ -e "$path" ] || [ -L "$path" ]; then echo "$path"; fi; done; done'
)

STOPPING = 120.0
"""Seconds for services to stop: systemd kills after 90 what doesn't."""


async def present(host: Host, *paths: str) -> list[str]:
    """Which of these exist; shell patterns (`*`) are allowed."""
    return (await host.query(["sh", "-c", _EXPAND, "sh", *paths])).stdout.split()


async def erase(host: Host, *paths: str, reason: str) -> None:
    """Remove files and folders that exist."""
    if found := (await host.query(["sh", "-c", _PRESENT, "sh", *paths])).stdout.splitlines():
        await host.run(["rm", "-rf", "--one-file-system", "--", *found], reason=reason)


async def stop(host: Host, *names: str, reason: str, disable: bool = True) -> None:
    """Stop units that run and keep them from starting at boot; patterns (`ceph-osd@*`) name those that are loaded."""
    seen = (await units(host, *names)).values()
    running = [unit.name for unit in seen if unit.state in {"active", "activating", "reloading", "failed"}]
    await _each(host, ["systemctl", "stop"], running, reason)
    if disable:
        await _each(host, ["systemctl", "disable"], [unit.name for unit in seen if unit.enabled], reason)


async def _each(host: Host, command: Sequence[str], names: Sequence[str], reason: str) -> None:
    if names:
        await host.run([*command, "--", *names], reason=reason, timeout=STOPPING)
