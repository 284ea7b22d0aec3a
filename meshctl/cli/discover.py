# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`discover`: from live hosts to a topology file."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meshctl.cli.exits import INVALID
from meshctl.cli.files import check_new, write_new
from meshctl.cli.options import Options, accept_new_option
from meshctl.cli.output import counted, emit_json
from meshctl.cli.strangers import login_options, strangers

if TYPE_CHECKING:
    from meshctl.discover.survey import Found, Survey
    from meshctl.discover.write import Frame
    from meshctl.topology import Topology


@dataclass(frozen=True)
class Wanted:
    """Whom to look at, and what the file should have besides."""

    topology: "Topology"
    frame: "Frame"
    named: Mapping[str, str]
    accept_new: bool


@click.command(short_help="Write a topology from live hosts and their cables.")
@click.argument("topology", required=False, type=click.Path(path_type=Path))
@click.option("--host", "hosts", multiple=True, metavar="[NAME=]ADDR", help="A host's management address; repeat it.")
@click.option("--cluster", default="mesh", show_default=True, help="The new cluster's name.")
@login_options
@click.option("--pin-macs", is_flag=True, help="Pin the NICs of cables by their MAC addresses.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A new file; default: standard output.")
@accept_new_option
@click.pass_obj
def discover(options: Options, /, topology: Path | None, out: Path | None, *, accept_new: bool, **asked: Any) -> int:
    """Look at NICs, disks, memory and system of all hosts, find every cable, and write a topology file.

    Hosts are named by --host, or by a topology, whose settings are taken over. Nothing on them is changed.
    """
    import asyncio

    from meshctl.errors import UsageError

    if out:
        check_new(out)
    if bool(topology) == bool(asked["hosts"]):
        raise UsageError("either --host or a topology says which hosts", advice="meshctl discover --host 192.0.2.11 …")
    wanted = _from_topology(topology, asked, accept_new) if topology else _from_hosts(asked, accept_new)
    survey = asyncio.run(_survey(options, wanted))
    return _show(options, survey, wanted.frame, out)


def _from_hosts(asked: Mapping[str, Any], accept_new: bool) -> Wanted:  # noqa: FBT001  (a flag passed on)
    from meshctl.discover.write import Frame
    from meshctl.errors import UsageError

    pairs = [(name, address) for name, _, address in (text.rpartition("=") for text in asked["hosts"])]
    names = [name or f"host{i}" for i, (name, _) in enumerate(pairs, 1)]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UsageError(f"--host {twice[0]} is there twice", advice="Name every host once.")
    addresses = dict(zip(names, (address for _, address in pairs), strict=True))
    topology = strangers(asked["cluster"], addresses, asked)
    frame = Frame(topology.cluster, topology.ssh, asked["pin_macs"], _today())
    return Wanted(topology, frame, {name: name for name, _ in pairs if name}, accept_new)


def _from_topology(path: Path, asked: Mapping[str, Any], accept_new: bool) -> Wanted:  # noqa: FBT001  (same)
    from meshctl.discover.write import KEPT_OF_NODES, Frame, kept
    from meshctl.topology import load
    from meshctl.topology.positions import parse

    loaded, text = load(path), path.read_text()
    stated = parse(text).data["nodes"]
    nodes = {name: {key: node[key] for key in KEPT_OF_NODES if key in node} for name, node in stated.items()}
    frame = Frame(loaded.cluster, loaded.ssh, asked["pin_macs"], _today(), kept(text), nodes)
    return Wanted(loaded, frame, {node.name: node.name for node in loaded.nodes}, accept_new)


def _today() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).date().isoformat()


async def _survey(options: Options, wanted: Wanted) -> "Survey":
    from meshctl.cli.reach import connected
    from meshctl.discover.survey import survey

    topology, state = wanted.topology, options.state(wanted.topology)
    state.ensure()
    click.echo(f"connecting to {counted(len(topology.nodes), 'host')}", err=True)
    async with connected(topology, options, state, accept_new=wanted.accept_new) as hosts:
        click.echo("looking at them, and letting every NIC send and listen: some 10 s", err=True)
        addresses = {node.name: node.management for node in topology.nodes}
        ports = {node.name: tuple(plug.nic for plug in node.plugs) for node in topology.nodes}
        return await survey(hosts, addresses, wanted.named, ports)


def _show(options: Options, survey: "Survey", frame: "Frame", out: Path | None) -> int:
    from meshctl.discover.write import topology_text
    from meshctl.topology import TopologyError, loads

    text = topology_text(survey, frame)
    if out:
        write_new(out, text)
    faults = []
    try:
        loads(text, out or Path("the topology"))
    except TopologyError as error:
        faults = [finding.message for finding in error.findings]
    if options.json:
        emit_json("discover", as_json(survey, text, faults, out))
    elif not out:
        click.echo(text, nl=False)
    for said in [*survey.oddities(), *(f"to be completed: {fault}" for fault in faults)]:
        click.echo(said, err=True)
    found = (counted(len(survey.hosts), "host"), counted(len(survey.cables()), "cable"))
    disks = counted(sum(len(host.usable) for host in survey.hosts), "empty disk")
    click.echo(f"{', '.join((*found, disks))}{f'; written to {out}' if out else ''}", err=True)
    return INVALID if faults else 0


def as_json(survey: "Survey", text: str, faults: list[str], out: Path | None) -> dict[str, Any]:
    """Everything that was found, but the key `schema`."""
    return {
        "ok": not faults,
        "hosts": [_host(survey, host) for host in survey.hosts],
        "segments": [{"kind": str(one.kind), "ends": [str(end) for end in one.ends]} for one in survey.segments],
        "oddities": list(survey.oddities()),
        "faults": faults,
        "file": str(out) if out else None,
        "topology": text,
    }


def _host(survey: "Survey", host: "Found") -> dict[str, Any]:
    from meshctl.discover.survey import unfit
    from meshctl.discover.write import purpose
    from meshctl.topology import End

    facts = host.facts
    nics = [
        {
            "name": nic.name, "mac": nic.mac, "driver": nic.driver, "bus": nic.bus, "addresses": list(nic.addresses),
            "carrier": bool(ear and ear.carrier), "speed_mbit": ear.speed if ear else None,
            "purpose": purpose(survey, host, nic),
        }
        for nic in facts.nics
        for ear in [survey.ears.get(End(host.name, nic.name))]
    ]  # fmt: skip
    disks = [
        {
            "path": disk.facts.path, "name": disk.stable, "model": disk.facts.model, "serial": disk.facts.serial,
            "size": disk.facts.size, "unfit": unfit(disk),
        }
        for disk in facts.disks
    ]  # fmt: skip
    return {
        "name": host.name, "address": host.address, "hostname": facts.hostname, "os": facts.os, "kernel": facts.kernel,
        "architecture": facts.architecture, "cpus": facts.cpus, "cpu": facts.cpu, "memory": facts.memory,
        "nics": nics, "disks": disks,
    }  # fmt: skip
