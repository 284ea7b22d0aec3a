"""The steps of a planned absence, as plans that the executor runs: their order follows from the layers."""

from collections.abc import Sequence
from dataclasses import dataclass

from meshctl.events import Kind, Step
from meshctl.lifecycle.layers import Layer
from meshctl.lifecycle.phases import Ability, Healthy, Leftovers, Restore, Survives
from meshctl.plan import Plan
from meshctl.roles.base import Role
from meshctl.topology import Node, Topology

SURVIVES, LEFTOVERS, REBOOT, HEALTHY = "survives", "leftovers", "reboot", "healthy"


@dataclass(frozen=True)
class Absences:
    """Makes the plans for a cluster's hosts. `reboot` is the step of that name, where there is one."""

    topology: Topology
    layers: Sequence[Layer]
    roles: Sequence[Role]
    reboot: Role | None = None

    def leftovers(self) -> Plan:
        """On all hosts at once, undo what earlier runs left; then every gate."""
        steps = [Step(f"{LEFTOVERS}@{node.name}", LEFTOVERS, Kind.APPLY, node.name) for node in self.topology.nodes]
        needs = tuple(step.id for step in steps)
        return self._plan([*steps, Step(f"{LEFTOVERS}.verify", LEFTOVERS, Kind.VERIFY, None, needs)])

    def evacuation(self, node: Node) -> Plan:
        """Take everything off a host, so that it can be switched off."""
        survives = _step(SURVIVES, node, ())
        return self._plan([survives, *self._drains(node, (survives.id,))])

    def restoration(self, node: Node) -> Plan:
        """Undo that."""
        restores = self._restores(node, ())
        return self._plan([*restores, _healthy(node, restores)])

    def rebooting(self, node: Node) -> Plan:
        """All of it: may it go, take everything off it, reboot, undo, every gate."""
        steps = [_step(SURVIVES, node, ())]
        steps += [_step(_name("expect", layer), node, (steps[0].id,)) for layer in self.layers if layer.can("expect")]
        drains = self._drains(node, tuple(step.id for step in steps))
        reboot = _step(REBOOT, node, tuple(step.id for step in (*steps, *drains)))
        restores = self._restores(node, (reboot.id,))
        return self._plan([*steps, *drains, reboot, *restores, _healthy(node, restores)])

    def _drains(self, node: Node, first: tuple[str, ...]) -> list[Step]:
        """Each after all that work on it; the topmost come first in the list, too."""
        able = [layer for layer in reversed(self.layers) if layer.can("drain")]
        ids = {layer.name: _step(_name("drain", layer), node, ()).id for layer in able}
        above = {layer.name: tuple(ids[a.name] for a in able if layer.name in a.below) for layer in able}
        return [_step(_name("drain", layer), node, above[layer.name] or first) for layer in able]

    def _restores(self, node: Node, first: tuple[str, ...]) -> list[Step]:
        able = [layer for layer in self.layers if layer.can("restore")]
        ids = {layer.name: _step(_name("restore", layer), node, ()).id for layer in able}
        below = {layer.name: tuple(ids[b] for b in sorted(layer.below & ids.keys())) for layer in able}
        return [_step(_name("restore", layer), node, below[layer.name] or first) for layer in able]

    def _plan(self, steps: list[Step]) -> Plan:
        return Plan(steps, {step.role: self._phase(step.role) for step in steps})

    def _phase(self, name: str) -> Role:
        ability, _, layer = name.partition(" ")
        if layer:
            found = next(one for one in self.layers if one.name == layer)
            return Restore(self.topology, found) if ability == "restore" else Ability(self.topology, found, ability)
        if name == REBOOT and self.reboot:
            return self.reboot
        if name == SURVIVES:
            return Survives(self.topology, self.layers)
        kind = {LEFTOVERS: Leftovers, HEALTHY: Healthy}[name]
        return kind(self.topology, self.layers, self.roles)


def _name(ability: str, layer: Layer) -> str:
    return f"{ability} {layer.name}"


def _step(role: str, node: Node, needs: tuple[str, ...]) -> Step:
    """`incus.drain@node1`, `reboot@node1`."""
    ability, _, layer = role.partition(" ")
    name = f"{layer}.{ability}" if layer else role
    return Step(f"{name}@{node.name}", role, Kind.APPLY, node.name, needs)


def _healthy(node: Node, before: Sequence[Step]) -> Step:
    needs = tuple(step.id for step in before)
    return Step(f"{HEALTHY}@{node.name}", HEALTHY, Kind.VERIFY, node.name, needs)
