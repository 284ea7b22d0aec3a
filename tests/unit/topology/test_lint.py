import re
from pathlib import Path

import pytest
import yaml

from meshctl.topology import Finding, TopologyError, load, loads, warnings
from meshctl.topology.lint import RULES, Severity

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
TRIANGLE = (TOPOLOGIES / "triangle.yaml").read_text()


def findings(text: str, tmp_path: Path) -> list[Finding]:
    """Errors if there are any, warnings otherwise."""
    file = tmp_path / "t.yaml"
    file.write_text(text)
    try:
        load(file)
    except TopologyError as error:
        return error.findings
    return warnings(file)


def mesh(nodes: int, *pairs: tuple[int, int]) -> str:
    document = yaml.safe_load(TRIANGLE)
    document["nodes"] = {f"node{n}": {"address": f"172.31.0.{n}", "disks": ["/dev/sdb"]} for n in range(1, nodes + 1)}
    document["cables"] = [f"node{i}:p{j} <-> node{j}:p{i}" for i, j in pairs]
    return yaml.safe_dump(document)


def bonded(
    settings: str = "", cable: str = "node1:bond0 <-> node2:bond0", strands: str = "eth1 <-> eth2, eth7 <-> eth7"
) -> str:
    """The triangle with a bond instead of its first cable."""
    bond = f"{{strands: [{strands}]{settings}}}"
    return TRIANGLE.replace("- node1:eth1 <-> node2:eth2", f"- {{cable: '{cable}', bond: {bond}}}")


def tagged(one: str, two: str) -> str:
    """The triangle with one NIC per host in a switch, and a VLAN for each pair; settings of the first two cables."""
    cables = (
        f"  - {{cable: 'node1:eth1 <-> node2:eth1', vlan: 12, switch: true{one}}}",
        f"  - {{cable: 'node1:eth1 <-> node3:eth1', vlan: 13, switch: true{two}}}",
        "  - {cable: 'node2:eth1 <-> node3:eth1', vlan: 23, switch: true}",
    )
    return re.sub(r"  - node1:eth1.*\n.*\n.*\n", "\n".join(cables) + "\n", TRIANGLE)


TWO_IN_BOND = ", bond: {strands: [eth1 <-> eth1, eth2 <-> eth2]}"

SWITCHED = (TOPOLOGIES / "switched.yaml").read_text()

CASES = {
    "one-switch": SWITCHED,
    "segment-protocol": SWITCHED.replace(
        "segment:", "cables: ['node1:eth7 <-> node2:eth7', 'node2:eth8 <-> node3:eth7']\n\nsegment:"
    ).replace("nic: eth1", "nic: eth1\n  prefix: 192.168.18.0/24")
    + "routing: {protocol: openfabric}\n",
    "vlan-mtu": TRIANGLE.replace(
        "- node2:eth1 <-> node3:eth2",
        "- node2:eth1 <-> node3:eth2\n  - {cable: 'node1:eth1 <-> node3:eth7', vlan: 5, mtu: 9000}",
    ),
    "bond-differs": tagged(TWO_IN_BOND, TWO_IN_BOND.replace("eth2 <-> eth2", "eth4 <-> eth2"))
    .replace("node1:eth1 <-> node", "node1:bond0 <-> node")
    .replace("bond0 <-> node2:eth1", "bond0 <-> node2:bond0")
    .replace("bond0 <-> node3:eth1", "bond0 <-> node3:bond0")
    .replace("node2:eth1 <-> node3:eth1", "node2:eth8 <-> node3:eth8")
    .replace("{strands", "{mode: active-backup, strands"),
    "shared-wire": TRIANGLE.replace(
        "- node2:eth1 <-> node3:eth2",
        "- node2:eth1 <-> node3:eth2\n  - {cable: 'node2:eth1 <-> node3:eth2', vlan: 5}",
    ),
    "uplink-reserved": TRIANGLE.replace("nic: eth3", "nic: eth0\n  vlan: 200"),
    "bridge-name": TRIANGLE.replace("nic: eth3", "nic: eth3\n  bridge: eth0"),
    "bond-name": bonded(cable="node1:lo <-> node2:bond0"),
    "bond-min-links": bonded(", min_links: 3"),
    "bond-of-one": bonded(strands="eth1 <-> eth2"),
    "bond-mode-direct": bonded(", mode: balance-alb"),
    "bond-through-switch": bonded().replace("bond: {", "switch: true, bond: {"),
    "redistributed-loopback": TRIANGLE + "ospf: {redistribute: [10.50.1.2/32]}\n",
    "age-recipient": TRIANGLE + f"secrets: {{age_recipients: [age1{'q' * 58}]}}\n",
    "port-twice": TRIANGLE.replace("node1:eth2", "node1:eth1"),
    "reserved-nic": TRIANGLE.replace("node1:eth2", "node1:eth3"),
    "cable-prefix": TRIANGLE.replace(
        "- node1:eth1 <-> node2:eth2",
        "- {cable: 'node1:eth1 <-> node2:eth2', addresses: [192.168.11.1/30, 192.168.11.2/24]}",
    ),
    "prefix-overlap": TRIANGLE.replace("links: 192.168.11.0/24", "links: 203.0.113.0/24"),
    "management-in-mesh": TRIANGLE.replace("172.31.0.12", "10.50.1.77"),
    "duplicate-address": TRIANGLE.replace("node2: {address: 172.31.0.12", "node2: {address: 172.31.0.11"),
    "loopback-outside": TRIANGLE.replace("172.31.0.12,", "172.31.0.12, loopback: 10.99.0.1,"),
    "duplicate-mac": TRIANGLE.replace(
        "172.31.0.12,", "172.31.0.12, macs: {eth1: '02:00:00:00:00:01', eth2: '02:00:00:00:00:01'},"
    ),
    "disk-twice": TRIANGLE.replace("disks: [/dev/sdb]", "disks: [/dev/sdb, /dev/sdb]", 1),
    "mtu-too-small": TRIANGLE.replace("links: 192", "mtu: 1300\n  links: 192"),
    "ospf-timers": TRIANGLE + "ospf: {hello: 4, dead: 4}\n",
    "bfd-too-nervous": TRIANGLE + "bfd: {profile: fast, interval: 20}\n",
    "bfd-missing": TRIANGLE + "bfd: {profile: none}\n",
    "routing-options": TRIANGLE + "routing: {protocol: openfabric}\nospf: {authentication: hmac-sha-256}\n",
    "loopbacks6-kind": TRIANGLE.replace("mesh:", "mesh:\n  loopbacks6: fe80:0:0:7::/64"),
    "static-full-mesh": mesh(4, (1, 2), (2, 3), (3, 4), (4, 1)) + "routing: {protocol: static}\n",
    "static-renderer": TRIANGLE.replace("mesh:", "mesh:\n  renderer: netplan") + "routing: {protocol: static}\n",
    "static-is-blind": TRIANGLE + "routing: {protocol: static}\n",
    "disconnected": mesh(5, (1, 2), (2, 3), (4, 5)),
    "single-point": mesh(3, (1, 2), (2, 3)),
    "even-voters": mesh(4, (1, 2), (2, 3), (3, 4), (4, 1)),
    "too-few-disks": TRIANGLE.replace(", disks: [/dev/sdb]", "", 2),
}


def test_every_rule_has_a_case_and_a_reason() -> None:
    assert {rule.id for rule in RULES} == set(CASES)
    assert all(rule.sentence.endswith(".") and len(rule.why) > 40 for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_rule_is_broken_by_its_case_and_by_nothing_else(rule: object, tmp_path: Path) -> None:
    broken = {finding.rule for finding in findings(CASES[rule.id], tmp_path)}  # type: ignore[attr-defined]
    assert broken == {rule.id}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (bonded(strands="eth1 <-> eth2, eth2 <-> eth7"), "port-twice"),  # node1:eth2 has a cable to node3
        (bonded(strands="eth1 <-> eth2, eth1 <-> eth7"), "port-twice"),
        (bonded().replace("node3:eth1 <-> node1:eth2", "node3:bond0 <-> node1:bond0"), "port-twice"),
        (bonded(strands="eth1 <-> eth2, eth0 <-> eth7"), "reserved-nic"),
        (bonded(strands="eth1 <-> eth2, eth3 <-> eth7"), "reserved-nic"),
        (bonded(", mode: balance-rr"), "bond-mode-direct"),
    ],
)
def test_strands_are_wires_like_others(text: str, rule: str, tmp_path: Path) -> None:
    assert rule in {finding.rule for finding in findings(text, tmp_path)}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (tagged("", ", mtu: 1500").replace("vlan: 13", "vlan: 12"), "port-twice"),
        (tagged("", "").replace("node1:eth1 <-> node2", "node1:eth3 <-> node2"), "reserved-nic"),
        (tagged("", "").replace("nic: eth3", "nic: eth1\n  vlan: 13"), "reserved-nic"),
        (tagged("", "").replace("nic: eth3", "nic: eth1\n  vlan: 99"), None),
        (tagged("", "").replace("nic: eth3", "nic: eth1"), "reserved-nic"),
        (TRIANGLE.replace("172.31.0.11,", "172.31.0.11, management_nic: eth1.7,"), "reserved-nic"),
        (TRIANGLE.replace("nic: eth3", "nic: eth1\n  bridge: br0"), "reserved-nic"),
    ],
)
def test_nics_with_vlans(text: str, rule: str | None, tmp_path: Path) -> None:
    found = {finding.rule for finding in findings(text, tmp_path)}
    assert (rule in found) if rule else found == set()


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("nic: eth1", "nic: eth0", "reserved-nic"),
        ("nic: eth1", "nic: eth2", "reserved-nic"),
        ("segment:", "cables: ['node1:eth1 <-> node2:eth8']\nsegment:\n  prefix: 192.168.18.0/24", "port-twice"),
        ("nic: eth1", "nic: eth1\n  prefix: 203.0.113.0/25", "prefix-overlap"),
        ("nic: eth1", "nic: eth1\n  mtu: 1280", "mtu-too-small"),
        ("mesh:", "mesh:\n  loopbacks6: fd00::/64", "segment-protocol"),
    ],
)
def test_faults_of_a_switch_are_told_once_and_in_its_place(old: str, new: str, rule: str, tmp_path: Path) -> None:
    found = [finding for finding in findings(SWITCHED.replace(old, new), tmp_path) if finding.rule == rule]
    assert found
    assert all(finding.path.startswith(("segment", "cables")) or finding.line > 1 for finding in found)
    assert len({(finding.line, finding.message) for finding in found}) == len(found)


def test_bond_as_it_should_be(tmp_path: Path) -> None:
    assert findings(bonded(), tmp_path) == []
    assert findings(bonded(", mode: active-backup"), tmp_path) == []


def test_findings_point_at_their_line(tmp_path: Path) -> None:
    (finding,) = findings(CASES["disk-twice"], tmp_path)
    assert (finding.line, finding.path) == (12, "nodes.node1.disks")
    assert "/dev/sdb is named 2 times [disk-twice]" in finding.at(Path("t.yaml"))


def test_a_default_that_collides_points_at_the_top(tmp_path: Path) -> None:
    (finding,) = findings(TRIANGLE.replace("links: 192.168.11.0/24", "links: 10.158.0.0/24"), tmp_path)[:1]
    assert finding.rule == "prefix-overlap"


@pytest.mark.parametrize("name", ["triangle", "five", "dual", "bonded", "vlans"])
def test_good_examples_have_no_warning(name: str) -> None:
    assert warnings(TOPOLOGIES / f"{name}.yaml") == []


def test_only_errors_stop_a_topology() -> None:
    assert loads(CASES["even-voters"], Path("t.yaml")).nodes
    assert {rule.severity for rule in RULES} == {Severity.ERROR, Severity.WARNING}


REFERENCE = """
# Three small PCs, as their owner described them (shared with all its mistakes)
cluster: reference
nodes:
  host1: {address: 192.168.0.1, loopback: 10.50.1.1, disks: [/dev/nvme0n1]}
  host2: {address: 192.168.0.2, loopback: 10.50.1.1, disks: [/dev/nvme0n1]}
  host3: {address: 192.168.0.3, loopback: 10.50.1.1, disks: [/dev/nvme0n1]}
cables:
  - {cable: 'host1:p1 <-> host2:p2', addresses: [192.168.11.1/30, 192.168.11.2/24]}
  - {cable: 'host2:p1 <-> host3:p2', prefix: 192.168.22.0/30}
  - {cable: 'host3:p1 <-> host1:p1', prefix: 192.168.33.0/30}
mesh: {loopbacks: 10.50.1.0/24, links: 192.168.44.0/24}
ospf: {redistribute: [10.50.1.1/32]}
"""


def test_every_mistake_of_the_reference_is_named(tmp_path: Path) -> None:
    """All that its owner's description has (three times the loopback of host1, which alone is advertised; /30 and /24
    on one cable; a third cable that contradicts the first) and nothing else."""
    said = {(finding.line, finding.message, finding.rule) for finding in findings(REFERENCE, tmp_path)}
    twice = "host1:p1 is used by 2 cables; a port takes one"
    advertised = (
        "10.50.1.1 is a loopback (host1, host2, host3), which is advertised anyway; list the prefixes of virtual"
    )
    ends = "host1:p1 has 192.168.11.1/30 and host2:p2 has 192.168.11.2/24: not one prefix"
    assert said == {
        (6, "loopback 10.50.1.1 is host1's already", "duplicate-address"),
        (7, "loopback 10.50.1.1 is host1's already", "duplicate-address"),
        (9, ends, "cable-prefix"),
        (9, twice, "port-twice"),
        (11, twice, "port-twice"),
        (13, f"{advertised} machines", "redistributed-loopback"),
    }


def test_the_reference_with_a_name_twice(tmp_path: Path) -> None:
    (finding,) = findings(REFERENCE.replace("host3: {", "host2: {"), tmp_path)
    assert "the key 'host2' stands here a second time" in finding.message


@pytest.mark.parametrize(
    ("sections", "place"),
    [
        ("routing: {protocol: openfabric}\nospf: {authentication: hmac-sha-256}", "ospf.authentication"),
        ("routing: {protocol: openfabric}\nospf: {redistribute: [10.100.0.0/24]}", "ospf.redistribute"),
        ("routing: {protocol: openfabric}\nospf: {hello: 700, dead: 2800}", "ospf.hello"),
        ("routing: {protocol: openfabric}\nbfd: {profile: fast}\nDUAL", "bfd"),
        ("routing: {protocol: static}\nDUAL", "mesh.loopbacks6"),
    ],
)
def test_settings_that_the_protocol_has_not(sections: str, place: str, tmp_path: Path) -> None:
    text = TRIANGLE.replace("mesh:\n", "mesh:\n  loopbacks6: fd00::/64\n") if "DUAL" in sections else TRIANGLE
    found = findings(text + sections.replace("DUAL", "") + "\n", tmp_path)
    assert [(one.rule, one.path) for one in found] == [("routing-options", place)]
