"""The wiring matrix: every wrong plug is named before anything is changed on any host."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from meshctl.lab import cables
from meshctl.lab.names import host_namespace, paths
from meshctl.topology import load
from tests.lab.conftest import ROOT, TRIANGLE, Lab, running_lab

pytestmark = pytest.mark.lab

HOSTS = ("node1", "node2", "node3")
NETWORK = "ip -br addr; ip -br link; sysctl -a --pattern 'ipv6.conf.eth[0-9].disable_ipv6'"
CABLES = (("node1:eth1", "node2:eth2"), ("node2:eth1", "node3:eth2"), ("node1:eth2", "node3:eth1"))


@dataclass(frozen=True)
class Fault:
    """A way to plug wrongly: `meshctl lab …` commands, and what the operator is told."""

    name: str
    commands: tuple[str, ...]
    said: tuple[str, ...]
    advice: str = ""


MATRIX = (
    Fault(
        "two plugs exchanged",
        ("replug --swap node3:eth1 node3:eth2",),
        (
            "node1:eth2 is plugged into node3:eth2, the topology expects node3:eth1",
            "node2:eth1 is plugged into node3:eth1, the topology expects node3:eth2",
        ),
        "- node2:eth1 <-> node3:eth1    # instead of node2:eth1 <-> node3:eth2",
    ),
    Fault(
        "plugs of two hosts exchanged",  # which looks the same as exchanging those of node1
        ("replug --swap node2:eth2 node3:eth1",),
        (
            "node3:eth1 is plugged into node1:eth1, the topology expects node1:eth2",
            "node2:eth2 is plugged into node1:eth2, the topology expects node1:eth1",
        ),
        "- node3:eth1 <-> node1:eth1    # instead of node3:eth1 <-> node1:eth2",
    ),
    Fault("missing", ("cut node1 node2",), ("the cable node1:eth1 <-> node2:eth2 is missing",)),
    Fault("silent", ("cut --silent node1 node2",), ("nothing gets through the cable node1:eth1 <-> node2:eth2",)),
    Fault(
        "one-way",
        ("cut --one-way node1 node2",),
        ("the cable node1:eth1 <-> node2:eth2 works in one direction only, from node2:eth2 to node1:eth1",),
    ),
    Fault(
        "loop",
        ("replug node1:eth1 node1:eth2",),
        (
            "node1:eth1 and node1:eth2 are plugged into each other: a loop",
            "node2:eth2 has no link, the topology expects node1:eth1",
            "node3:eth1 has no link, the topology expects node1:eth2",
        ),
    ),
    Fault(
        "switch",
        ("replug --switch node1:eth1 node2:eth2",),
        ("node1:eth1 and node2:eth2 are plugged into a switch instead of each other",),
        "switch: true",
    ),
    Fault(
        "switch for many",
        ("replug --switch node1:eth1 node2:eth2 node2:eth1 node3:eth2",),
        ("node1:eth1, node2:eth1, node2:eth2 and node3:eth2 are plugged into the same switch",),
    ),
    Fault(
        "two at once",
        ("replug --swap node3:eth1 node3:eth2", "cut --one-way node2:eth2 node1:eth1"),
        (
            "node1:eth2 is plugged into node3:eth2, the topology expects node3:eth1",
            "node2:eth1 is plugged into node3:eth1, the topology expects node3:eth2",
            "the cable node1:eth1 <-> node2:eth2 works in one direction only, from node1:eth1 to node2:eth2",
        ),
    ),
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Hosts as the installer leaves them: sshd and no package of ours."""
    yield from running_lab(f"wi-{os.getpid()}", "--image", "bare")


@pytest.fixture
def plugged(lab: Lab) -> Iterator[Lab]:
    """The lab, plugged rightly again afterwards."""
    try:
        yield lab
    finally:
        asyncio.run(plug_rightly(lab.name))


async def plug_rightly(name: str) -> None:
    await cables.restore(name)
    for a, b in CABLES:
        await cables.heal(name, a, b)


def network(lab: Lab, node: str) -> str:
    """Addresses, NICs, and networkd's files of a host, from outside."""
    space = f"--net=/run/netns/{host_namespace(lab.name, node)}"
    told = subprocess.run(["nsenter", space, "sh", "-c", NETWORK], capture_output=True, text=True, check=True).stdout
    return "\n".join([told, *sorted(file.name for file in files(lab, node))])


def files(lab: Lab, node: str) -> list[Path]:
    return list((paths(lab.name).host(node).upper / "etc/systemd/network").iterdir())


def ip(lab: Lab, node: str, *arguments: str) -> None:
    subprocess.run(["ip", "-n", host_namespace(lab.name, node), *arguments], check=True)


def bootstrap(lab: Lab, topology: str) -> tuple[int, dict[str, Any], list[dict[str, str]]]:
    """Exit code, report, and what the gate of the cables says."""
    done = lab.call("--output", "json", "bootstrap", topology, "--yes")
    report = json.loads(done.stdout)
    return done.returncode, report, [one for one in report["problems"] if one["step"].startswith("wiring")]


@pytest.mark.parametrize("fault", MATRIX, ids=lambda fault: fault.name.replace(" ", "-"))
def test_wrong_plug_is_named_and_nothing_is_changed(plugged: Lab, fault: Fault) -> None:
    for command in fault.commands:
        verb, *arguments = command.split()
        plugged.ok("lab", verb, plugged.topology, *arguments)
    before = [network(plugged, node) for node in HOSTS]
    code, report, wiring = bootstrap(plugged, plugged.topology)
    assert sorted(problem["what"] for problem in wiring) == sorted(fault.said), report["problems"]
    assert (code, report["changed"]) == (4, 0)
    assert fault.advice in "\n".join(problem["advice"] for problem in wiring)
    assert [network(plugged, node) for node in HOSTS] == before


@pytest.fixture(scope="module")
def found(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The topology that the hosts themselves tell, with their NICs pinned."""
    file = tmp_path_factory.mktemp("found") / "found.yaml"
    addresses = [f"--host=172.31.0.1{i}" for i in (1, 2, 3)]
    before = [network(lab, node) for node in HOSTS]
    told = lab.report("discover", *addresses, "--cluster=triangle", "--pin-macs", f"--out={file}")
    assert (told["ok"], told["oddities"], told["file"]) == (True, [], str(file))
    assert [network(lab, node) for node in HOSTS] == before
    return str(file)


def test_what_hosts_tell_is_the_topology_they_were_made_from(lab: Lab, found: str) -> None:
    made, wanted = load(found), load(ROOT / TRIANGLE)
    assert {frozenset((c.a, c.b)) for c in made.cables} == {frozenset((c.a, c.b)) for c in wanted.cables}
    assert [(n.name, n.management, n.disks) for n in made.nodes] == [
        (n.name, n.management, n.disks) for n in wanted.nodes
    ]
    plan = lab.call("--output", "json", "plan", found)
    assert plan.returncode == 2, plan.stderr
    assert lab.call("discover", found, f"--out={found}").returncode == 1  # never overwritten


def test_nics_that_the_kernel_has_renamed_get_their_names_back(plugged: Lab, found: str) -> None:
    """A cut cable ends the run before anything is installed; the far ends are named by the topology's names."""
    ip(plugged, "node1", "link", "set", "eth1", "name", "enp9s0")
    for old, new in (("eth1", "spare"), ("eth2", "eth1"), ("spare", "eth2")):
        ip(plugged, "node2", "link", "set", old, "name", new)
    plugged.ok("lab", "cut", plugged.topology, "node1", "node3")
    code, report, wiring = bootstrap(plugged, found)
    assert [problem["what"] for problem in wiring] == ["the cable node1:eth2 <-> node3:eth1 is missing"]
    macs = {node.name: {port.nic: port.mac for port in node.ports} for node in load(found).nodes}
    for node in HOSTS:
        space = f"/run/netns/{host_namespace(plugged.name, node)}"
        for nic, mac in macs[node].items():
            seen = subprocess.run(
                ["nsenter", f"--net={space}", "ip", "-j", "link", "show", nic],
                capture_output=True,
                text=True,
                check=True,
            )
            assert json.loads(seen.stdout)[0]["address"] == mac
        assert {file.name for file in files(plugged, node)} >= {f"05-meshctl-{nic}.link" for nic in macs[node]}
    assert (code, report["changed"]) == (4, 8)  # six files, and NICs of two hosts renamed
    assert bootstrap(plugged, found)[1]["changed"] == 0
