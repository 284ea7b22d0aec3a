# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`certs list` and `certs renew`: every certificate of the cluster with its end, and new ones without an outage."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.consent import ask
from meshctl.cli.options import Options, topology_argument
from meshctl.cli.output import coloured, columns, emit_json

if TYPE_CHECKING:
    from meshctl.certs import Facts
    from meshctl.events import Step
    from meshctl.plan import Plan
    from meshctl.topology import Topology

SOON = timedelta(days=14)
"""A certificate that ends sooner makes `certs list` exit with 4; a bootstrap renews its own 60 days before."""

UNHEALTHY = 4
_COLOURS = {"expired": "red", "expiring": "yellow"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A certificate and where it lies; `node` is empty for the operator's own state folder."""

    node: str
    path: str
    facts: "Facts"
    now: datetime

    @property
    def days_left(self) -> int:
        """Whole days; negative when it has ended."""
        return (self.facts.not_after - self.now).days

    @property
    def state(self) -> str:
        """`ok`, `expiring` within two weeks, or `expired`."""
        left = self.facts.not_after - self.now
        return "expired" if left <= timedelta(0) else "expiring" if left < SOON else "ok"

    def as_json(self) -> dict[str, Any]:
        """One object of `meshctl/certs/1`."""
        return {
            "node": self.node,
            "path": self.path,
            "subject": self.facts.subject,
            "issuer": self.facts.issuer,
            "not_after": self.facts.not_after.isoformat(),
            "days_left": self.days_left,
            "state": self.state,
        }


@click.group("certs", short_help="List the cluster's certificates; renew them without an outage.")
def group() -> None:
    """The certificates of the cluster: OVN's and OVS' from the cluster's CA, and Incus' own."""


@group.command("list", short_help="Every certificate with its end.")
@topology_argument
@click.pass_obj
def list_(options: Options, topology: Path) -> int:
    """Show every certificate on every host and in the state folder.

    Exits with 4 when one has expired or will within 14 days.
    """
    import asyncio

    from meshctl.topology import load

    entries = asyncio.run(_entries(load(topology), options))
    _show(entries, options)
    return 0 if all(entry.state == "ok" for entry in entries) else UNHEALTHY


@group.command(short_help="New certificates, host by host, while everything runs.")
@topology_argument
@click.option("--node", "nodes", multiple=True, metavar="NODE", help="Only this host; may be given more than once.")
@click.option("--ca", is_flag=True, help="Let another CA take over as well; goes on with a killed run, too.")
@click.option("--yes", is_flag=True, help="Don't ask before changing hosts.")
@click.pass_obj
def renew(options: Options, topology: Path, nodes: tuple[str, ...], *, ca: bool, yes: bool) -> int:
    """Issue every host a new certificate and key, one host after the other.

    OVN's gate has to pass before the first host and after each; at the end Incus gets the first host's new one. With
    --ca every host first trusts both CAs, and the old one alone no more at the end.
    """
    from meshctl.cli import converge
    from meshctl.errors import UsageError
    from meshctl.topology import load

    loaded = load(topology)
    chosen = _chosen(loaded, nodes)
    if ca and nodes:
        raise UsageError("a CA is the whole cluster's", advice="Leave --node away, or --ca.")
    what = "Renew the CA and all certificates" if ca else f"Renew the certificates of {', '.join(chosen)}"
    if not yes:
        ask(options, loaded, f"{what} in")
    plan = takeover_plan(loaded) if ca else renewal_plan(loaded, chosen)
    return converge.run(converge.Job("certs renew", loaded, options, accept_new=False, plan=plan))


def renewal_plan(topology: "Topology", nodes: Sequence[str]) -> "Plan":
    """The hosts one by one, with OVN's gate around each, then Incus, which keeps a copy of the first host's key."""
    from meshctl.events import Kind, Step
    from meshctl.plan import Plan
    from meshctl.roles.discovery import discover
    from meshctl.roles.pki.renewal import Renewal

    known = discover()
    roles = [Renewal(topology), known["ovn"](topology), known["incus_network"](topology)]
    steps = [Step("ovn.verify", "ovn", Kind.VERIFY, None)]
    steps.append(Step("pki.prepare", "pki", Kind.PREPARE, None, ("ovn.verify",)))
    for name in nodes:
        steps.append(Step(f"pki@{name}", "pki", Kind.APPLY, name, (steps[-1].id,)))
        steps.append(Step(f"ovn.verify after {name}", "ovn", Kind.VERIFY, None, (steps[-1].id,)))
    first, last = topology.nodes[0].name, (steps[-1].id,)
    steps.append(Step(f"incus_network@{first}", "incus_network", Kind.APPLY, first, last))
    steps.append(Step("incus_network.verify", "incus_network", Kind.VERIFY, None, (steps[-1].id,)))
    steps.append(Step("pki.verify", "pki", Kind.VERIFY, None, last))
    return Plan(steps, roles)


def takeover_plan(topology: "Topology") -> "Plan":
    """Both CAs on every host, then new certificates, then the new CA alone; OVN's gate before each host that changes.

    Incus reads only the first CA of what it is given. It changes sides after the first host, which from then on always
    is a server that it trusts; before, the others are.
    """
    from meshctl.plan import Plan
    from meshctl.roles.discovery import discover
    from meshctl.roles.pki.takeover import Clear, Cross, Trust

    known, names = discover(), [node.name for node in topology.nodes]
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
    roles = (Trust, Cross, Clear, known["ovn"], known["incus_network"])
    return Plan(chain.steps, [role(topology) for role in roles])


@dataclass
class _Chain:
    """Steps of which each needs the one before; `when` tells those apart that come more than once."""

    steps: "list[Step]" = field(default_factory=list)

    def prepare(self, role: str) -> None:
        self._add(f"{role}.prepare", role, "prepare", None)

    def apply(self, role: str, node: str, when: str = "") -> None:
        self._add(f"{role}@{node}{when}", role, "apply", node)

    def gate(self, role: str, when: str = "") -> None:
        self._add(f"{role}.verify{when}", role, "verify", None)

    def _add(self, id_: str, role: str, kind: str, node: str | None) -> None:
        from meshctl.events import Kind, Step

        needs = (self.steps[-1].id,) if self.steps else ()
        self.steps.append(Step(id_, role, Kind(kind), node, needs))


def _chosen(topology: "Topology", nodes: Sequence[str]) -> list[str]:
    from meshctl.errors import UsageError

    names = [node.name for node in topology.nodes]
    if unknown := sorted(set(nodes) - set(names)):
        raise UsageError(f"there is no node {', '.join(unknown)}", advice=f"Known: {', '.join(names)}.")
    return [name for name in names if name in nodes] if nodes else names


async def _entries(topology: "Topology", options: Options) -> list[Entry]:
    from meshctl.ca import authorities
    from meshctl.cli.reach import connected
    from meshctl.cluster import Cluster
    from meshctl.roles.pki.renewal import certificates

    state = options.state(topology)
    own = {str(one.where): one.certificate for one in authorities(state)}
    async with connected(topology, options, state, accept_new=False) as hosts:
        found = await Cluster(topology, hosts, state).each(lambda _node, host: certificates(host))
    return entries({"": own, **found}, datetime.now(UTC))


def entries(found: Mapping[str, Mapping[str, str]], now: datetime) -> list[Entry]:
    """Node → path → PEM, as entries; what is no certificate is left out."""
    from meshctl.certs import inspect

    read = [(node, path, inspect(pem)) for node, files in found.items() for path, pem in files.items()]
    return [Entry(node, path, facts, now) for node, path, facts in read if facts]


def _show(found: Sequence[Entry], options: Options) -> None:
    if options.json:
        ok = all(entry.state == "ok" for entry in found)
        emit_json("certs", {"ok": ok, "certificates": [entry.as_json() for entry in found]})
        return
    if not found:
        click.echo("There are no certificates yet.")
        return
    style = coloured(sys.stdout)
    rows = [["NODE", "PATH", "SUBJECT", "ISSUER", "ENDS", "DAYS", ""]]
    rows += [[e.node or "here", e.path, e.facts.subject, e.facts.issuer, *_end(e)] for e in found]
    for line, entry in zip(columns(rows).splitlines(), [None, *found], strict=True):
        colour = _COLOURS.get(entry.state) if entry else None
        click.echo(style(line, colour) if colour else line, color=True)


def _end(entry: Entry) -> list[str]:
    return [f"{entry.facts.not_after:%Y-%m-%d}", str(entry.days_left), "" if entry.state == "ok" else entry.state]
