"""A manager that is there: the monitors believe in the dead one for half a minute and more."""

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, CommandTimeout
from meshctl.host.base import Host
from meshctl.roles.ceph import Command, ask, keep_running, tell
from meshctl.roles.recovery import Stand, Standing
from meshctl.topology import Node

from . import parse
from .absence import TAKEOVER

_STAT: Command = {"prefix": "mgr stat"}


async def standing(node: Node, host: Host, cluster: Cluster) -> Standing:
    """Whether the survivor's manager is the active one; never held, because managers have no majority."""
    del cluster
    try:
        (stat,) = await ask(host, _STAT)
    except (CommandError, CommandTimeout):
        return Standing(Stand.LOST, "no monitor says which manager is active")
    seen = stat.read(parse.mgr_stat)
    ready = seen.available and seen.active == node.name
    return Standing(Stand.ALONE if ready else Stand.LOST, f"{seen.active or 'no manager'} is active")


async def recover(node: Node, host: Host, cluster: Cluster) -> None:
    """Start the survivor's manager, have the dead one replaced, and wait until it answers."""
    await keep_running(host, f"ceph-mgr@{node.name}.service", "ceph-mgr.target", "ceph.target")
    (stat,) = await ask(host, _STAT)
    seen = stat.read(parse.mgr_stat)
    if seen.active and seen.active != node.name:
        await tell(host, [{"prefix": "mgr fail", "who": seen.active}], reason=f"the manager {seen.active} is gone")

    async def elsewhere() -> str:
        found = await standing(node, host, cluster)
        return "" if found.stand is Stand.ALONE else found.detail

    await host.until("the surviving manager", elsewhere, timeout=TAKEOVER)
