"""Which monitors are in quorum, asked over their own sockets, which answer without one."""

from collections.abc import Mapping

from meshctl.cluster import Cluster
from meshctl.errors import CommandError
from meshctl.host.base import Host
from meshctl.roles.ceph import ask, mon_socket
from meshctl.roles.condition import Condition, Part, Quorum, State, nobody, split, told
from meshctl.topology import Node, Topology

from . import parse

NAME = "Ceph's monitors"


async def condition(cluster: Cluster) -> Condition:
    """One question to each monitor."""
    looks, silent = split(await cluster.each(lambda node, host: told(_look(node, host))))
    return judge(cluster.topology, looks, silent) if looks else nobody(silent)


async def _look(node: Node, host: Host) -> parse.MonStatus | None:
    """None when the daemon doesn't answer."""
    try:
        (answer,) = await ask(host, {"prefix": "mon_status", "to": mon_socket(node.name)})
    except CommandError:
        return None
    return answer.read(parse.mon_status)


def judge(topology: Topology, looks: Mapping[str, parse.MonStatus | None], silent: Mapping[str, Part]) -> Condition:
    """What the answers mean."""
    answers = {name: look for name, look in looks.items() if look}
    best = max(answers.values(), key=lambda look: len(look.quorum), default=None)
    voters = frozenset(best.monmap) if best else frozenset(node.name for node in topology.nodes)
    alive = best.quorum if best else frozenset()
    leader = next((name for name in best.monmap if name in alive), None) if best else None  # the lowest rank leads
    quorum = Quorum(NAME, voters, alive, leader)
    healthy = quorum.holds and alive == voters and not silent
    detail = f"{len(alive)}/{len(voters)} in quorum" + (f", led by {leader}" if leader else ", no leader")
    return Condition(
        State.HEALTHY if healthy else State.DEGRADED if quorum.holds else State.BROKEN,
        detail,
        nodes={**{name: _part(name, look, quorum) for name, look in looks.items()}, **silent},
        quorums=(quorum,),
        carries={leader: ("the monitors' leader",)} if leader else {},
    )


def _part(name: str, look: parse.MonStatus | None, quorum: Quorum) -> Part:
    if look is None:
        return Part(State.BROKEN, "the monitor does not answer")
    if name not in quorum.alive:
        return Part(State.DEGRADED, f"mon {look.state}")
    return Part(State.HEALTHY, "mon leader" if name == quorum.leader else "")
