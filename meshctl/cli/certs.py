# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`certs list` and `certs renew`: every certificate of the cluster with its end, and new ones without an outage."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.consent import ask, yes_option
from meshctl.cli.exits import UNHEALTHY
from meshctl.cli.nodes import chosen
from meshctl.cli.options import Options, topology_argument
from meshctl.cli.output import coloured, columns, emit_json

if TYPE_CHECKING:
    from meshctl.certs import Facts
    from meshctl.cli.converge import Job
    from meshctl.topology import Topology

SOON = timedelta(days=14)
"""A certificate that ends sooner makes `certs list` exit with 4; a bootstrap renews its own 60 days before."""

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
@yes_option
@click.pass_obj
def renew(options: Options, topology: Path, nodes: tuple[str, ...], *, ca: bool, yes: bool) -> int:
    """Issue every host a new certificate and key, one host after the other.

    OVN's gate has to pass before the first host and after each; at the end Incus gets the first host's new one. With
    --ca every host first trusts both CAs, and in the end only the new one.
    """
    from meshctl.cli import converge
    from meshctl.errors import UsageError
    from meshctl.topology import load

    loaded = load(topology)
    names = [node.name for node in chosen(loaded, nodes)]
    if ca and nodes:
        raise UsageError("a CA is the whole cluster's", advice="Leave --node away, or --ca.")
    what = "Renew the CA and all certificates" if ca else f"Renew the certificates of {', '.join(names)}"
    if not yes:
        ask(options, loaded, f"{what} in")
    return converge.run(job(options, loaded, nodes, ca=ca))


def job(options: Options, topology: "Topology", nodes: Sequence[str], *, ca: bool) -> "Job":
    """The run behind `renew`, all hosts' when none is named."""
    from meshctl.cli.converge import Job
    from meshctl.lifecycle.renewing import renewal_plan, takeover_plan

    names = [node.name for node in chosen(topology, nodes)]
    plan = takeover_plan(topology) if ca else renewal_plan(topology, names)
    words = " --ca" if ca else "".join(f" --node {name}" for name in nodes)
    return Job("certs renew", topology, options, accept_new=False, plan=plan, arguments=words)


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
