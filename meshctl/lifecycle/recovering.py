"""A quorum that is lost for good: one survivor carries on alone, layer by layer, and the dead are taken off the books.

Nothing is taken off any book while a majority could object, and nothing is rewritten before it was copied.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, ClassVar

from meshctl.cluster import Cluster
from meshctl.condition.hosts import AbsentHost
from meshctl.errors import ConnectError, RefusedError
from meshctl.events import Event, Kind, Report, RunFinished, Step
from meshctl.executor import Executor
from meshctl.host.base import Host
from meshctl.lifecycle.backing import Backup
from meshctl.lifecycle.layers import bottom_up
from meshctl.lifecycle.phases import Phase
from meshctl.plan import Plan
from meshctl.roles.base import Role
from meshctl.roles.recovery import Stand, Standing
from meshctl.topology import Node, Topology

ALONE = "alone"

KNOCK = 3
"""Seconds for a service of a dead host to take a connection."""

# On the survivor: who takes a TCP connection. A ping proves nothing, because routers answer for hosts.
_KNOCK = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def answers(door):
    address, port = door.rsplit(":", 1)
    try:
        socket.create_connection((address, int(port)), timeout=float(sys.argv[1])).close()
    except OSError:
        return False
    return True
doors = sys.argv[2:]
with ThreadPoolExecutor(max_workers=64) as pool:
    print("\\n".join(door for door, open in zip(doors, pool.map(answers, doors)) if open))
"""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a recovery starts from."""

    survivor: Node
    given_up: tuple[Node, ...]
    standings: Mapping[str, Standing]
    """By layer, from the bottom up."""

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "survivor": self.survivor.name,
            "given_up": [node.name for node in self.given_up],
            "layers": {name: {"state": str(one.stand), "detail": one.detail} for name, one in self.standings.items()},
        }


async def survey(roles: Sequence[Role], cluster: Cluster) -> Ground:
    """Look, and refuse where recovering would do harm. Raises RefusedError with the reason; changes nothing.

    There has to be exactly one host that answers, no majority in any layer, and no service of any other host that the
    survivor could reach.
    """
    survivor = _survivor(cluster)
    host = cluster.host(survivor)
    given_up = tuple(node for node in cluster.topology.nodes if node != survivor)
    parts = _able(roles)
    doors, *standings = await asyncio.gather(
        _open_doors(host, cluster.topology, given_up),
        *(module.standing(survivor, host, cluster) for _, module in parts),
    )
    seen: dict[str, Standing] = {role.name: one for (role, _), one in zip(parts, standings, strict=True)}
    if doors:
        raise RefusedError(
            survivor.name,
            f"other hosts are alive: {', '.join(doors)}",
            advice="Together they may still be, or become, a majority. If they are to be given up, switch them off.",
        )
    if held := [f"{name}: {one.detail}" for name, one in seen.items() if one.stand is Stand.HELD]:
        raise RefusedError(
            survivor.name,
            f"a quorum exists ({'; '.join(held)})",
            advice="Nothing has to be recovered. `meshctl status` shows what is missing, `meshctl replace` mends it.",
        )
    return Ground(survivor, given_up, seen)


def _survivor(cluster: Cluster) -> Node:
    here = [node for node in cluster.topology.nodes if node.name in cluster.hosts]
    if len(cluster.topology.nodes) == 1:
        raise RefusedError(here[0].name, "it is the only host of its cluster", advice="There is no quorum to lose.")
    if len(here) != 1:
        raise RefusedError(
            here[0].name,
            f"{', '.join(node.name for node in here)} answer, and a recovery goes out from one survivor",
            advice="With most hosts up there is a quorum, or there will be when their daemons run: `meshctl status`. "
            "Two survivors of five or more: docs/operations/recover.md.",
        )
    return here[0]


async def _open_doors(host: Host, topology: Topology, others: Sequence[Node]) -> list[str]:
    """`node2 (10.50.1.2:3300)` for what takes a connection of a dead host's."""
    ovn, doors = topology.ovn, dict[str, str]()
    ports = (22, topology.ssh.port, 3300, ovn.northbound_port, ovn.northbound_raft_port, ovn.southbound_port,
             ovn.southbound_raft_port, topology.incus.port)  # fmt: skip
    for node in others:
        doors |= {f"{node.loopback}:{port}": node.name for port in ports}
        doors[f"{node.management}:{topology.ssh.port}"] = node.name
    argv = ["python3", "-c", _KNOCK, str(KNOCK), *doors]
    told = (await host.query(argv, timeout=60)).stdout.split()
    return [f"{doors[door]} ({door})" for door in told if door in doors]


class Alone(Phase):
    """The same questions as before the operator agreed, now with the survivor locked."""

    name: ClassVar[str] = ALONE

    def __init__(self, topology: Topology, roles: Sequence[Role]) -> None:
        super().__init__(topology)
        self._roles = roles

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Raises RefusedError."""
        await survey(self._roles, replace(cluster, hosts={node.name: host}))


class Recovery(Phase):
    """One layer of the survivor."""

    def __init__(self, topology: Topology, module: ModuleType) -> None:
        super().__init__(topology)
        self._recover = module.recover

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Let the layer carry on alone."""
        await self._recover(node, host, cluster)


class Forget(Phase):
    """One layer counts one of the dead no more; to it, the cluster is the survivor and this one."""

    def __init__(self, topology: Topology, survivor: Node, module: ModuleType) -> None:
        super().__init__(topology)
        self._survivor = survivor
        self._forget = module.forget

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Let the layer do it; whoever may answer at the dead one's address is not asked."""
        pair = tuple(one for one in cluster.topology.nodes if one in {self._survivor, node})
        away = AbsentHost(node.name, ConnectError(node.name, "it was given up"))
        view = replace(
            cluster, topology=replace(cluster.topology, nodes=pair), hosts={**cluster.hosts, node.name: away}
        )
        del host
        await self._forget(node, away, view)


def recovery(topology: Topology, roles: Sequence[Role], survivor: Node) -> Plan:
    """One layer after the other, the lowest first; then the dead, one after the other, in the same order of layers."""
    steps = [Step(f"{ALONE}@{survivor.name}", ALONE, Kind.APPLY, survivor.name)]
    phases: dict[str, Role] = {ALONE: Alone(topology, roles)}

    def add(name: str, step: str, node: Node, phase: Phase) -> None:
        steps.append(Step(step, name, Kind.APPLY, node.name, (steps[-1].id,)))
        phases[name] = phase

    for role, module in _able(roles):
        add(f"recover {role.name}", f"{role.name}.recover@{survivor.name}", survivor, Recovery(topology, module))
    for node in topology.nodes:
        for role, departure in bottom_up(roles, "departure") if node != survivor else ():
            if departure and hasattr(departure, "forget"):
                phase = Forget(topology, survivor, departure)
                add(f"forget {role.name}", f"{role.name}.forget@{node.name}", node, phase)
    return Plan(steps, phases)


def _able(roles: Sequence[Role]) -> list[tuple[Role, ModuleType]]:
    return [(role, module) for role, module in bottom_up(roles, "recovery") if module]


@dataclass
class Recovering:
    """The run behind `recover`: first a backup of what is left, then the plan."""

    roles: Sequence[Role]
    ground: Ground
    backup: Backup | None = None
    _notes: list[str] = field(default_factory=list)

    async def run(
        self, cluster: Cluster, hosts: Mapping[str, Host], lease: object, emit: Callable[[Event], None]
    ) -> Report:
        """A backup that lacks what only a quorum could tell is good enough; one that can't be written ends the run."""
        if self.backup:
            saved = await self.backup.run(cluster, hosts, lease, lambda _event: None)
            if saved.interrupted:
                return saved
        survivor = self.ground.survivor
        away = {node.name: AbsentHost(node.name, ConnectError(node.name, "it was given up"))
                for node in self.ground.given_up}  # fmt: skip
        plan = recovery(cluster.topology, self.roles, survivor)
        whole = replace(cluster, hosts={**away, survivor.name: cluster.hosts[survivor.name]})
        report = await Executor(plan, whole, _but(emit, RunFinished)).run()
        report = replace(report, notes=(*report.notes, *self._advice(cluster)) if report.ok else report.notes)
        emit(RunFinished(report))
        return report

    def _advice(self, cluster: Cluster) -> Iterator[str]:
        names = ", ".join(node.name for node in self.ground.given_up)
        yield (
            f"{self.ground.survivor.name} carries on alone, with one copy of all data: put new or wiped machines into "
            f"the places of {names}, then `meshctl bootstrap {cluster.topology.source}`"
        )
        yield f"{names}: never switch the old machines on again with what is on their disks"

    def as_json(self) -> dict[str, Any]:
        """What it started from, and the backup."""
        return {**self.ground.as_json(), "backup": self.backup.as_json()["file"] if self.backup else ""}


def _but(emit: Callable[[Event], None], *unwanted: type) -> Callable[[Event], None]:
    def passed(event: Event) -> None:
        if not isinstance(event, unwanted):
            emit(event)

    return passed
