"""Asking all layers at once how they are. Changes nothing, takes no lock, and is over in time."""

import asyncio
import importlib
import importlib.util
import pkgutil
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

import meshctl.roles
from meshctl.cluster import Cluster
from meshctl.condition.hosts import AbsentHost, ImpatientHost
from meshctl.condition.margin import Facts, stakes
from meshctl.errors import HostError
from meshctl.host.lock import Shown
from meshctl.host.lock import look as look_at_lock
from meshctl.host.remembering import RememberingHost
from meshctl.roles.condition import Condition, Disease, Finding, State, told, why, worst
from meshctl.topology import Topology

Ability = Callable[[Cluster], Awaitable[Condition]]

PATIENCE = 5.0
"""Seconds for all answers together; only a daemon that hangs takes more than one."""

ORDER = ("links", "frr", "time", "ovn", "ceph_mon", "ceph_health", "incus", "pki", "system")
"""From the cables upwards; layers that aren't in it come last."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found."""

    topology: Topology
    conditions: Mapping[str, Condition]
    """By layer, from the cables upwards."""
    unreachable: Mapping[str, HostError] = field(default_factory=dict)
    locks: Mapping[str, Shown] = field(default_factory=dict)
    """By host: the living run that has it."""
    seconds: float = 0.0

    @property
    def state(self) -> State:
        """The worst of all layers; a host that can't be reached degrades the cluster."""
        away = State.DEGRADED if self.unreachable else State.HEALTHY
        return worst(away, *(condition.state for condition in self.conditions.values()), *self._found())

    def _found(self) -> list[State]:
        return [State.DEGRADED for _ in self.findings]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The diseases. What a run sets on purpose is none while a run is going on."""
        found = (finding for condition in self.conditions.values() for finding in condition.findings)
        return tuple(finding for finding in found if not (finding.leftover and self.locks))

    @property
    def underway(self) -> tuple[Finding, ...]:
        """What a run that is going on has set, and takes back at its end."""
        found = (finding for condition in self.conditions.values() for finding in condition.findings)
        return tuple(finding for finding in found if finding.leftover and self.locks)

    @property
    def facts(self) -> Facts:
        """What the failure margin depends on."""
        up = [node.name for node in self.topology.nodes if node.name not in self.unreachable]
        return stakes(self.topology, up, self.conditions)


async def examine(
    cluster: Cluster, unreachable: Mapping[str, HostError] | None = None, *, patience: float = PATIENCE
) -> Examination:
    """Ask everybody everything that is to be known; `cluster.hosts` may lack those that are unreachable.

    Each question is asked once, all of a host's questions travel together, and whoever has not answered after
    `patience` seconds is silent. Raises nothing that a host or daemon does.
    """
    began, away = time.monotonic(), dict(unreachable or {})
    asked = {
        node.name: ImpatientHost(cluster.hosts[node.name], began + patience)
        for node in cluster.topology.nodes
        if node.name not in away
    }
    absent = {name: AbsentHost(name, error) for name, error in away.items()}
    hosts = {node.name: RememberingHost({**asked, **absent}[node.name]) for node in cluster.topology.nodes}
    view = replace(cluster, hosts=hosts)
    try:
        layers = abilities()
        locks, conditions = await asyncio.gather(
            view.each(lambda _node, host: told(look_at_lock(host))),
            asyncio.gather(*(_ask(ability, view) for ability in layers.values())),
        )
    finally:
        await asyncio.gather(*(host.close() for host in hosts.values()))
    away |= {name: host.lost for name, host in asked.items() if host.lost}
    held = {name: lock for name, lock in locks.items() if isinstance(lock, Shown)}
    found = dict(zip(layers, conditions, strict=True))
    return Examination(cluster.topology, found, away, held, time.monotonic() - began)


async def _ask(ability: Ability, cluster: Cluster) -> Condition:
    answer = await told(ability(cluster))
    if isinstance(answer, HostError):
        return Condition(State.BROKEN, str(answer), unknown=why(answer))
    return answer


def abilities() -> dict[str, Ability]:
    """The roles that can tell how they are, by name, from the cables upwards."""
    return {name: importlib.import_module(path).condition for name, path in _modules()}


def diseases() -> dict[str, Disease]:
    """Every disease that is known to some role, by name."""
    known = [disease for _, path in _modules() for disease in getattr(importlib.import_module(path), "DISEASES", ())]
    return {disease.name: disease for disease in known}


def _modules() -> list[tuple[str, str]]:
    names = [module.name for module in pkgutil.iter_modules(meshctl.roles.__path__) if module.ispkg]
    paths = [(name, f"{meshctl.roles.__name__}.{name}.status") for name in names]
    found = [(name, path) for name, path in paths if importlib.util.find_spec(path)]
    return sorted(found, key=lambda item: (ORDER.index(item[0]) if item[0] in ORDER else len(ORDER), item[0]))
