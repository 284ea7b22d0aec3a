"""New certificates, and another CA, host by host while everything runs: the steps as plans that the executor runs."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from meshctl.events import Kind, Step
from meshctl.plan import Plan
from meshctl.roles.discovery import discover
from meshctl.roles.pki.renewal import Renewal
from meshctl.roles.pki.takeover import Clear, Cross, Trust
from meshctl.topology import Topology


def renewal_plan(topology: Topology, nodes: Iterable[str]) -> Plan:
    """The hosts one by one, with OVN's gate around each, then Incus, which keeps a copy of the first host's key."""
    chain = _Chain()
    chain.gate("ovn")
    chain.prepare("pki")
    for name in nodes:
        chain.apply("pki", name)
        chain.gate("ovn", f" after {name}")
    chain.apply("incus_network", topology.nodes[0].name)
    chain.gate("incus_network")
    chain.gate("pki")
    known = discover()
    return Plan(chain.steps, [role(topology) for role in (Renewal, known["ovn"], known["incus_network"])])


def takeover_plan(topology: Topology) -> Plan:
    """Both CAs on every host, then new certificates, then the new CA alone; OVN's gate before each host that changes.

    Incus reads only the first CA of what it is given. It changes sides after the first host, which from then on always
    is a server that it trusts; before, the others are.
    """
    names = [node.name for node in topology.nodes]
    chain = _Chain()
    chain.gate("ovn")
    chain.prepare("pki_trust")
    for name in names:
        chain.apply("pki_trust", name)
    for name in names:
        chain.gate("ovn", f" before {name}")
        chain.apply("pki_cross", name)
        if name == names[0]:
            chain.apply("incus_network", name, " crosses over")
    chain.gate("ovn", " with new certificates")
    chain.prepare("pki")
    for name in names:
        chain.apply("pki", name)
    chain.gate("ovn", " at the end")
    chain.apply("incus_network", names[0])
    chain.gate("incus_network")
    chain.gate("pki")
    known = discover()
    return Plan(chain.steps, [role(topology) for role in (Trust, Cross, Clear, known["ovn"], known["incus_network"])])


@dataclass
class _Chain:
    """Steps of which each needs the one before; `when` tells those apart that come more than once."""

    steps: list[Step] = field(default_factory=list)

    def prepare(self, role: str) -> None:
        self._add(f"{role}.prepare", role, Kind.PREPARE, None)

    def apply(self, role: str, node: str, when: str = "") -> None:
        self._add(f"{role}@{node}{when}", role, Kind.APPLY, node)

    def gate(self, role: str, when: str = "") -> None:
        self._add(f"{role}.verify{when}", role, Kind.VERIFY, None)

    def _add(self, id_: str, role: str, kind: Kind, node: str | None) -> None:
        needs = (self.steps[-1].id,) if self.steps else ()
        self.steps.append(Step(id_, role, kind, node, needs))
