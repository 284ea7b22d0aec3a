"""What plan says is what bootstrap does: on states of a real cluster, prepared one after the other."""

import asyncio
import json
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

Changes = set[tuple[str, str, str, str]]

STATES = {
    "a hand-edited frr.conf": ("node2", "sed -i 's/hello-interval 1/hello-interval 9/' /etc/frr/frr.conf"),
    "a removed address": ("node1", "ip address del 192.168.11.1/30 dev eth1"),
    "a changed sysctl": ("node3", "sysctl -qw net.ipv4.ip_forward=0"),
    "a missing hosts entry": ("node2", "sed -i /node3/d /etc/hosts"),
    "a stopped OSD": ("node3", "systemctl stop ceph-osd.target"),
    "a stopped ovn-controller": ("node1", "systemctl stop ovn-controller"),
    "a changed Ceph option": ("node1", "ceph config rm osd/host:node1 osd_memory_target"),
    "a changed OVN address": ("node2", "ovs-vsctl set open . external_ids:ovn-encap-ip=192.168.11.2"),
}
"""What an operator or an accident does to a host; one command in its shell."""


async def look(lab: Lab) -> tuple[Preview, dict[str, int]]:
    """What `plan` does, and how often it visited each host."""
    options, topology = Options(lab=lab.name), load(ROOT / lab.topology)
    async with connected(topology, options, options.state(topology), accept_new=False) as hosts:
        preview = await previewed(Cluster(topology, hosts, options.state(topology)), EVERYTHING)
        return preview, {name: host.round_trips for name, host in hosts.items()}


def planned(lab: Lab) -> dict[str, Any]:
    done = lab.call("--output", "json", "plan", lab.topology)
    assert done.returncode in {0, 2}, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (2 if report["changes"] else 0)
    return report


def steps(report: dict[str, Any]) -> set[str]:
    """The steps with changes; the smoke test follows from any change and is not drift."""
    return {change["step"] for change in report["changes"]} - {"smoke@node1"}


def applied(lab: Lab) -> set[str]:
    return {step["id"] for step in lab.bootstrap()["steps"] if step["changed"]} - {"smoke@node1"}


def test_a_converged_cluster_has_nothing_to_do(cluster: Lab) -> None:
    assert planned(cluster)["summary"] == {"hosts": 0, "changes": 0}


def test_a_look_at_everything_takes_three_round_trips_per_host(cluster: Lab) -> None:
    preview, round_trips = asyncio.run(look(cluster))
    assert preview.empty
    assert set(round_trips) == {"node1", "node2", "node3"}
    assert max(round_trips.values()) <= 3


@pytest.mark.parametrize("state", STATES)
def test_plan_is_what_bootstrap_does(cluster: Lab, state: str) -> None:
    node, command = STATES[state]
    cluster.ssh(node, command)
    plan = planned(cluster)
    assert steps(plan), f"{state} was not noticed"
    assert steps(plan) == applied(cluster)
    assert planned(cluster)["summary"] == {"hosts": 0, "changes": 0}
