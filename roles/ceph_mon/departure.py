"""A monitor that is gone for good: out of the map, so that it counts no more among those whose majority is needed."""

import json

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError, WaitError
from meshctl.host.base import Host
from meshctl.roles.absence import witness
from meshctl.roles.ceph import Command, ask, tell
from meshctl.roles.departure import DYING, answer, patiently
from meshctl.roles.parsing import parser
from meshctl.topology import Node

_QUORUM: Command = {"prefix": "quorum_status"}


async def claims(node: Node, host: Host, cluster: Cluster) -> list[str]:
    """The monitor, unless the machine in its place has a monitor's store."""
    known, _ = await _monitors(witness(node, cluster))
    return [f"monitor {node.name} of Ceph"] if node.name in known and not await _has_store(node, host) else []


async def forget(node: Node, host: Host, cluster: Cluster) -> None:
    """Take it out of the map, once the others have a quorum without it."""
    if not await claims(node, host, cluster):
        return
    other = witness(node, cluster)

    async def alive() -> str:
        _, quorum = await _monitors(other)
        return "it is in the quorum" if node.name in quorum else ""

    try:
        await other.until(f"a quorum without {node.name}", patiently(alive), timeout=DYING)
    except WaitError:
        raise RefusedError(
            node.name,
            f"its monitor is alive, but not on the machine at {node.management}",
            advice="Switch the old host off first. To take out a host that lives: meshctl remove.",
        ) from None
    await tell(other, [{"prefix": "mon rm", "name": node.name}], reason=f"{node.name} is gone for good")

    async def electing() -> str:
        known, quorum = await _monitors(other)
        return "" if node.name not in known and quorum == known else f"in quorum: {', '.join(sorted(quorum))}"

    await other.until("the monitors' quorum", patiently(electing), timeout=DYING)


async def _monitors(host: Host) -> tuple[frozenset[str], frozenset[str]]:
    (told,) = await ask(host, _QUORUM)
    return told.read(monitors)


async def _has_store(node: Node, host: Host) -> bool:
    found = await answer(host, ["test", "-s", f"/var/lib/ceph/mon/ceph-{node.name}/store.db/CURRENT"])
    return found is not None and found.ok


@parser
def monitors(quorum_status: str) -> tuple[frozenset[str], frozenset[str]]:
    """Who is in the map, and who in the quorum, from `ceph quorum_status`."""
    told = json.loads(quorum_status)
    return frozenset(mon["name"] for mon in told["monmap"]["mons"]), frozenset(told["quorum_names"])
