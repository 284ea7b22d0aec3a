"""What plan says is what bootstrap does: on states of a real cluster, prepared one after the other."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from meshctl.cli.options import Options
from meshctl.cli.plan import previewed
from meshctl.cli.reach import connected
from meshctl.cluster import Cluster
from meshctl.plan import EVERYTHING
from meshctl.preview import Preview
from meshctl.topology import load
from tests.lab.conftest import ROOT, Lab

pytestmark = pytest.mark.lab


@dataclass(frozen=True)
class Drift:
    """What an operator or an accident does to a host, in its shell, and the change that has to follow from it."""

    node: str
    command: str
    step: str
    told: str
    """Part of the change's target, reason or diff."""


CONFIGURATION = {
    "a hand-edited frr.conf": Drift(
        "node2", "sed -i 's/hello-interval 1/hello-interval 9/' /etc/frr/frr.conf", "frr@node2", "-interval 9"
    ),
    "OSPF on one more interface, only in the running FRR": Drift(
        "node3",
        "vtysh -c 'conf t' -c 'interface eth0' -c 'ip ospf area 0' >/dev/null",
        "frr@node3",
        "has `interface eth0 / ip ospf area",
    ),
    "a removed address": Drift("node1", "ip address del 192.168.11.1/30 dev eth1", "links@node1", "eth1"),
    # Not on node3: it forwards between the other two while they lack their cable.
    "a changed sysctl": Drift("node2", "sysctl -qw net.ipv4.ip_forward=0", "system@node2", "ip_forward is 0"),
    "a missing hosts entry": Drift("node3", "sed -i /node2/d /etc/hosts", "system@node3", "/etc/hosts"),
    "a changed Ceph option": Drift(
        "node1", "ceph config rm osd/host:node1 osd_memory_target", "ceph_osd@node1", "memory targets of OSDs differ"
    ),
    "a changed OVN address": Drift(
        "node2", "ovs-vsctl set open . external_ids:ovn-encap-ip=192.168.11.2", "ovn@node2", "ovn-encap-ip"
    ),
    "a changed key of an Incus network": Drift(
        "node1", "incus network set overlay bridge.mtu=1300", "incus_network@node1", "bridge.mtu of network overlay"
    ),
}

SERVICES = {
    "a stopped OSD": Drift("node3", "systemctl stop ceph-osd.target", "ceph_osd@node3", "systemctl start"),
    "a stopped ovn-controller": Drift("node1", "systemctl stop ovn-controller", "ovn@node1", "ovn-controller"),
    "a stopped clock": Drift("node2", "systemctl stop chrony", "system@node2", "chrony does not run"),
    "a disabled unit": Drift("node2", "systemctl -q disable frr", "frr@node2", "would not start at boot"),
    "a disabled monitor": Drift("node3", "systemctl -q disable ceph-mon@node3", "ceph_mon@node3", "ceph-mon@node3"),
}

FOREIGN = {
    "an address": ("node1", "ip address add 203.0.113.9/32 dev eth2", "ip -4 -o address show dev eth2", "203.0.113.9"),
    "a Ceph option": (
        "node1", "ceph config set osd osd_scrub_begin_hour 3", "ceph config get osd osd_scrub_begin_hour", "3"
    ),
    "a key of an Incus network": (
        "node1", "incus network set overlay user.note=mine", "incus network get overlay user.note", "mine"
    ),
    "a name": ("node2", "echo 203.0.113.9 printer >>/etc/hosts", "cat /etc/hosts", "203.0.113.9 printer"),
    "a sysctl": ("node3", "sysctl -qw net.ipv4.tcp_syn_retries=4", "sysctl -n net.ipv4.tcp_syn_retries", "4"),
}  # fmt: skip
"""What operators add that meshctl doesn't own: node, command, the command that shows it, and what that shows."""


async def look(lab: Lab) -> tuple[Preview, dict[str, int]]:
    """What `plan` does, and how often it visited each host."""
    options, topology = Options(lab=lab.name), load(ROOT / lab.topology)
    async with connected(topology, options, options.state(topology), accept_new=False) as hosts:
        preview = await previewed(Cluster(topology, hosts, options.state(topology)), EVERYTHING)
        return preview, {name: host.round_trips for name, host in hosts.items()}


def planned(lab: Lab, *limits: str) -> dict[str, Any]:
    done = lab.call("--output", "json", "plan", lab.topology, *limits)
    assert done.returncode in {0, 2}, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (2 if report["changes"] else 0)
    return report


def steps(report: dict[str, Any]) -> set[str]:
    """The steps with changes; the smoke test follows from any change and is not drift."""
    return {change["step"] for change in report["changes"]} - {"smoke@node1"}


def told_of(report: dict[str, Any], drift: Drift) -> list[str]:
    """What is said of the changes of the drift's step."""
    changes = [change for change in report["changes"] if change["step"] == drift.step]
    return [" ".join((change["target"], change["reason"], change.get("diff", ""))) for change in changes]


def applied(lab: Lab) -> set[str]:
    return {step["id"] for step in lab.bootstrap()["steps"] if step["changed"]} - {"smoke@node1"}


def test_a_converged_cluster_has_nothing_to_do(cluster: Lab) -> None:
    assert planned(cluster)["summary"] == {"hosts": 0, "changes": 0}


def test_a_look_at_everything_takes_three_round_trips_per_host(cluster: Lab) -> None:
    preview, round_trips = asyncio.run(look(cluster))
    assert preview.empty
    assert set(round_trips) == {"node1", "node2", "node3"}
    assert max(round_trips.values()) <= 3


@pytest.mark.parametrize("drifts", [CONFIGURATION, SERVICES], ids=["configuration", "services"])
def test_every_drift_is_found_and_repaired_and_nothing_else(cluster: Lab, drifts: dict[str, Drift]) -> None:
    for drift in drifts.values():
        cluster.ssh(drift.node, drift.command)
    plan = planned(cluster)
    for what, drift in drifts.items():
        assert any(drift.told in told for told in told_of(plan, drift)), f"{what} was not noticed: {plan['changes']}"
    assert steps(plan) == {drift.step for drift in drifts.values()}
    assert steps(plan) == applied(cluster)
    assert planned(cluster)["summary"] == {"hosts": 0, "changes": 0}


def test_limits_hold(cluster: Lab) -> None:
    for node in ("node2", "node3"):
        # What the gates of these roles don't look at: the gate of a limited run sees all hosts.
        cluster.ssh(node, "echo >>/etc/sysctl.d/90-meshctl.conf && systemctl -q disable frr")
    assert steps(planned(cluster)) == {"system@node2", "system@node3", "frr@node2", "frr@node3"}
    chosen = ("--only", "system", "--node", "node2")
    assert steps(planned(cluster, *chosen)) == {"system@node2"}
    report = cluster.report("bootstrap", cluster.topology, "--yes", *chosen)
    gates = {step["id"] for step in report["steps"] if step["id"].endswith(".verify")}
    assert {"preflight.verify", "system.verify"} <= gates
    assert "frr.verify" not in gates
    assert steps(planned(cluster)) == {"system@node3", "frr@node2", "frr@node3"}
    cluster.bootstrap()


def test_what_others_added_stays(cluster: Lab) -> None:
    for node, command, _, _ in FOREIGN.values():
        cluster.ssh(node, command)
    seen = planned(cluster)
    assert seen["summary"] == {"hosts": 0, "changes": 0}, seen["changes"]
    cluster.ssh("node1", "ip address del 192.168.11.1/30 dev eth1")
    cluster.ssh("node2", "sed -i /node3/d /etc/hosts")
    assert applied(cluster) == {"links@node1", "system@node2"}
    for what, (node, _, command, shown) in FOREIGN.items():
        assert shown in cluster.ssh(node, command), what
