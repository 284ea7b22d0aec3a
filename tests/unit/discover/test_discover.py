"""From what hosts say to the file: three hosts of a lab (bare image), with other addresses each."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meshctl.cli import discover as command
from meshctl.cli.main import run
from meshctl.discover.parse import FoundDisk, HostFacts, Nic, Stacked, _stacked, host_facts
from meshctl.discover.survey import Found, Survey, names_for, survey, unfit
from meshctl.discover.write import Frame, kept, topology_text
from meshctl.host.fake import FakeHost
from meshctl.roles.disks import DiskFacts
from meshctl.roles.probing import Ear, end
from meshctl.roles.segments import segments
from meshctl.topology import End, load, loads
from meshctl.topology.document import Ssh
from tests.unit.cli.schemas import validator

DATA = Path(__file__).with_name("data")
TRIANGLE = Path(__file__).parents[3] / "topologies/triangle.yaml"
CABLES = ["node1:eth1 node2:eth2", "node2:eth1 node3:eth2", "node3:eth1 node1:eth2"]
UPLINK = "node1:eth3 node2:eth3 node3:eth3"


@pytest.fixture
def facts() -> HostFacts:
    return host_facts((DATA / "lab.txt").read_text())


@pytest.fixture
def found(facts: HostFacts) -> Survey:
    hosts = tuple(_host(facts, i) for i in (1, 2, 3))
    ears = _ears(*CABLES, UPLINK)
    return Survey(hosts, ears, tuple(segments(ears)))


def _host(facts: HostFacts, i: int) -> Found:
    nics = tuple(replace(nic, addresses=tuple(f"172.31.0.1{i}" for _ in nic.addresses)) for nic in facts.nics)
    return Found(f"node{i}", f"172.31.0.1{i}", replace(facts, nics=nics))


def _ears(*together: str) -> dict[End, Ear]:
    ears: dict[End, Ear] = {}
    for i, cable in enumerate(together):
        ends = [end(text) for text in cable.split()]
        for j, one in enumerate(ends):
            ears[one] = Ear(f"02:00:00:00:0{i}:0{j}", False, True, 10000, direct=frozenset(ends) - {one})
    return ears


def test_what_a_host_says(facts: HostFacts) -> None:
    assert (facts.hostname, facts.os, facts.cpus) == ("localhost", "Debian GNU/Linux 13 (trixie)", 2)
    assert [nic.name for nic in facts.nics] == ["eth0", "eth2", "eth1", "eth3"]
    [disk] = facts.disks
    assert (disk.stable, disk.facts.size, unfit(disk)) == ("/dev/sdb", 8 << 30, "")


def test_the_file_is_the_topology_that_the_hosts_were_made_from(found: Survey) -> None:
    made, wanted = loads(topology_text(found, Frame("triangle", Ssh())), Path("x")), load(TRIANGLE)
    assert {frozenset((cable.a, cable.b)) for cable in made.cables} == {
        frozenset((cable.a, cable.b)) for cable in wanted.cables
    }
    assert [(n.name, n.management, n.disks, n.loopback) for n in made.nodes] == [
        (n.name, n.management, n.disks, n.loopback) for n in wanted.nodes
    ]


def test_the_file_for_people(found: Survey) -> None:
    text = topology_text(found, Frame("triangle", Ssh(user="admin"), pin_macs=True, today="2026-11-20"))
    assert text.startswith("# Found by `meshctl discover` on 2026-11-20. Look through it, then:\n")
    assert "10000 Mbit/s  cable to node2:eth2\n" in text
    assert '    macs: {eth1: "02:00:00:00:00:00", eth2: "02:00:00:00:02:01"}\n' in text
    assert 'ssh: {user: "admin"}\n' in text
    assert "# uplink:\n#   nic: eth3    # the same on all hosts" in text
    made = loads(text, Path("x"))
    assert made.node("node1").ports[0].mac == "02:00:00:00:00:00"


def test_settings_of_a_topology_are_taken_over(found: Survey) -> None:
    text = TRIANGLE.read_text()
    frame = Frame("triangle", Ssh(), sections=kept(text), nodes={"node2": {"loopback": "10.50.1.77"}})
    made, before = loads(topology_text(found, frame), Path("x")), load(TRIANGLE)
    assert (made.uplink, made.loopbacks) == (before.uplink, before.loopbacks)
    assert str(made.node("node2").loopback) == "10.50.1.77"


def test_prefixes_keep_away_from_addresses_that_are_there(found: Survey) -> None:
    nic = Nic("eth9", "02:00:00:00:09:09", "", "", 1500, ("192.168.11.7", "10.50.1.9", "2001:db8::1"))
    first, *others = found.hosts
    first = replace(first, facts=replace(first.facts, nics=(*first.facts.nics, nic)))
    made = loads(topology_text(replace(found, hosts=(first, *others)), Frame("c", Ssh())), Path("x"))
    assert (str(made.loopbacks), str(made.links)) == ("10.51.1.0/24", "192.168.12.0/24")


def test_oddities_are_told_and_no_cables(found: Survey) -> None:
    ears = _ears("node1:eth1 node2:eth2 node3:eth1", "node1:eth2 node1:eth4") | {
        end("node2:eth1"): Ear("02:00:00:00:08:01", False, True),
        end("node3:eth2"): Ear("02:00:00:00:08:02", False, False),
    }
    odd = Survey(found.hosts, ears, tuple(segments(ears)))
    assert list(odd.oddities()) == [
        "node1:eth1, node2:eth2, node3:eth1 are on one switch, which is no cable of a mesh",
        "node1:eth2 and node1:eth4: a loop",
        "node2:eth1 has link, but none of these hosts at the other end",
    ]
    assert "cables: []    # none was found\n" in topology_text(odd, Frame("c", Ssh()))


def test_nothing_that_a_host_says_leaves_its_comment(found: Survey) -> None:
    first, *others = found.hosts
    evil = replace(first, facts=replace(first.facts, cpu="x\x85cluster: y\u2028nodes: {}", os="a\tb"))
    text = topology_text(replace(found, hosts=(evil, *others)), Frame("triangle", Ssh()))
    assert loads(text, Path("x")).cluster == "triangle"


@pytest.mark.parametrize(
    ("disk", "reason"),
    [
        (
            FoundDisk(DiskFacts("/dev/sda", "/dev/sda", "block", 1 << 40, readable=True, mounts=("/",)), "x", False),
            "system",
        ),
        (FoundDisk(DiskFacts("/dev/sda", "/dev/sda", "block", 1 << 40, readable=True), "x", True), "removable"),
        (FoundDisk(DiskFacts("/dev/sda", "/dev/sda", "block", 1 << 40), "x", False), "can't be read"),
        (FoundDisk(DiskFacts("/dev/sda", "/dev/sda", "block", 1 << 30, readable=True), "x", False), "too small"),
    ],
)
def test_disks_that_are_not_for_osds(disk: FoundDisk, reason: str) -> None:
    assert reason in unfit(disk)


def test_names_come_from_hostnames_when_all_are_good() -> None:
    assert names_for([("pve1.example.org", None), ("PVE2", None)]) == ["pve1", "pve2"]
    assert names_for([("pve1", None), ("pve1", None)]) == ["node1", "node2"]
    assert names_for([("localhost", "a"), ("localhost", None)]) == ["a", "node2"]


async def test_a_survey_asks_and_probes_all_hosts() -> None:
    hosts = {}
    for i, heard in ((1, "heard eth1 node2:eth2 direct\n"), (2, "heard eth2 node1:eth1 direct\n")):
        host = FakeHost(f"host{i}")
        host.on("sh -s", (DATA / "lab.txt").read_text())
        nics = "".join(f"nic eth{j} 02:00:00:00:0{i}:0{j} down 1 1000\n" for j in range(4))
        hosts[f"host{i}"] = host.on("perl -*", nics + heard)
    made = await survey(hosts, {"host1": "172.31.0.13", "host2": "172.31.0.14"}, {}, {})
    [cable] = made.cables()
    assert [str(one) for one in cable.ends] == ["node1:eth1", "node2:eth2"]
    assert made.hosts[0].management == "eth0"
    assert not any(host.ran or host.written for host in hosts.values())
    assert hosts["host1"].safeguards[0].split()[3:5] == ["node1", "node1,node2"]


def test_json_is_what_its_schema_says(found: Survey) -> None:
    content = command.as_json(found, "text", [], None)
    shown = json.loads(json.dumps({"schema": "meshctl/discover/1", **content}))
    validator("meshctl/discover/1").validate(shown)
    assert shown["hosts"][0]["nics"][1]["purpose"] == "cable to node3:eth1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "192.0.2.1", "--out", "/nowhere/t.yaml"], "/nowhere/t.yaml can't be made: there is no such folder"),
        (["--host", "192.0.2.1", "--out", str(TRIANGLE)], "is there already, and is not overwritten"),
        (["--host", "a=192.0.2.1", "--host", "a=192.0.2.2"], "--host a is there twice"),
        (["--host", "a=192.0.2.1", "--host", "192.0.2.1"], "--host 192.0.2.1 is there twice"),
        (["--host", "a=192.0.2"], "nodes.a.address: Input is not a valid IPv4 address; found '192.0.2'"),
        (["--host", "A=192.0.2.1"], "nodes.A: String should match pattern"),
        (["--host", "192.0.2.1", "--cluster", "My Mesh"], "cluster: String should match pattern"),
        (["--host", "192.0.2.1", "--user", "a b"], "ssh.user: String should match pattern"),
        ([], "either --host or a topology"),
    ],
)
def test_wrong_words_are_refused_before_any_host_is_asked(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["discover", *words]) == 1
    assert said in capsys.readouterr().err


def test_management_by_a_bridge_on_a_vlan_on_a_bond(facts: HostFacts) -> None:
    """As on Proxmox VE: none of the NICs below is for cables, and the topology names the bridge."""
    links: list[dict[str, Any]] = [
        {"ifname": "eth0", "master": "bond0"},
        {"ifname": "eth9", "master": "bond0"},
        {"ifname": "bond0"},
        {"ifname": "bond0.10", "link": "bond0", "master": "vmbr0", "linkinfo": {"info_kind": "vlan"}},
        {"ifname": "vmbr0", "addr_info": [{"local": "172.31.0.11", "scope": "global"}]},
        {"ifname": "br-none"},
    ]
    stacked = tuple(_stacked(links))
    assert stacked == (Stacked("vmbr0", ("172.31.0.11",), frozenset({"eth0", "eth9"})),)
    nics = tuple(replace(nic, addresses=()) for nic in facts.nics)
    host = Found("node1", "172.31.0.11", replace(facts, nics=nics, stacked=stacked))
    assert (host.management, set(host.management_nics)) == ("vmbr0", {"eth0", "eth9"})
    others = tuple(_host(facts, i) for i in (2, 3))
    ears = _ears(*CABLES[1:], "node1:eth0 node2:eth2")
    text = topology_text(Survey((host, *others), ears, tuple(segments(ears))), Frame("x", Ssh()))
    assert "    management_nic: vmbr0\n" in text
    assert "management, 172.31.0.11 on vmbr0" in text
    assert "  - node1:eth0" not in text
