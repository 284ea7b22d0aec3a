"""The whole cluster on real daemons: once, again, and after all hosts lost power."""

import json
import time
from typing import Any

import pytest

from tests.lab.conftest import Lab

pytestmark = pytest.mark.lab

NODES = ("node1", "node2", "node3")


def test_every_layer_came_up(first_run: dict[str, Any]) -> None:
    assert first_run["ok"]
    assert first_run["problems"] == []
    assert first_run["changed"] > 0
    assert first_run["critical_path"][-1] == "smoke.verify"


def test_ceph_is_healthy_without_warnings(cluster: Lab) -> None:
    status = json.loads(cluster.ssh("node1", "ceph", "--connect-timeout", "10", "-s", "-f", "json"))
    assert status["health"] == {"status": "HEALTH_OK", "checks": {}, "mutes": []}
    assert sorted(status["quorum_names"]) == list(NODES)
    assert status["osdmap"]["num_up_osds"] == status["osdmap"]["num_in_osds"] == len(NODES)


def test_smoke_test_left_nothing_behind(cluster: Lab) -> None:
    assert json.loads(cluster.ssh("node1", "incus", "query", "'/1.0/instances?all-projects=true'")) == []
    projects = json.loads(cluster.ssh("node1", "incus", "query", "/1.0/projects"))
    assert projects == ["/1.0/projects/default"]


@pytest.mark.parametrize("mount", ["-pf --mount-proc true", "-nm mount -t sysfs sysfs /mnt"])
def test_an_instance_may_mount_its_own_proc_and_sys(cluster: Lab, mount: str) -> None:
    """Whatever the machine's nspawn hides: with that of Debian 13 no instance started (meshctl/lab/recipe.py)."""
    for node in NODES:
        cluster.ssh(node, f"unshare -Ur {mount}")


def test_loopbacks_reach_each_other_when_a_cable_is_cut(cluster: Lab) -> None:
    cluster.ok("lab", "cut", cluster.topology, "node1", "node2")
    try:
        deadline = time.monotonic() + 10
        while " 0% packet loss" not in cluster.call("lab", "ssh", cluster.topology, "node1", *PING).stdout:
            assert time.monotonic() < deadline, "traffic did not take the third host within 10 s"
    finally:
        cluster.ok("lab", "heal", cluster.topology, "node1", "node2")


PING = ("ping", "-q", "-c1", "-W1", "-I", "10.50.1.1", "10.50.1.2")


def test_second_run_changes_nothing(cluster: Lab) -> None:
    wait_until_healthy(cluster, 30)
    report = cluster.bootstrap()
    assert report["ok"]
    assert report["changed"] == 0
    assert {step["state"] for step in report["steps"]} == {"ok"}


def test_all_hosts_lose_power_and_come_back_by_themselves(cluster: Lab) -> None:
    for node in NODES:
        cluster.ok("lab", "power-off", cluster.topology, node)
    for node in NODES:
        cluster.ok("lab", "power-on", cluster.topology, node)
    wait_until_healthy(cluster, 120)
    assert cluster.bootstrap()["changed"] == 0


def wait_until_healthy(lab: Lab, seconds: float) -> None:
    """`meshctl verify` until it passes; each call has the gates' own deadlines."""
    deadline = time.monotonic() + seconds
    while (done := lab.call("verify", lab.topology)).returncode:
        assert time.monotonic() < deadline, done.stderr
