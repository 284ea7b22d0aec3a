"""Status of a cluster that loses one host, then its quorums: it says so and never hangs."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.conftest import ROOT, Lab

pytestmark = pytest.mark.lab

PATIENT = ("--patience", "60")
"""The machine may be busy with other tests; what must not hang is asked with the default."""

LONGEST = 60.0
"""Seconds that the default patience of 5 may turn into on a busy machine; without a quorum `ceph` alone takes 300."""


def status(lab: Lab, *options: str) -> dict[str, Any]:
    done = lab.call("--output", "json", "status", lab.topology, *options)
    assert done.returncode in {0, 4}, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode == 0) is (report["state"] == "healthy")
    return report


def until(lab: Lab, right: Callable[[dict[str, Any]], bool], seconds: float = 240) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while not right(report := status(lab, *PATIENT)):
        assert time.monotonic() < deadline, report
    return report


def healthy(report: dict[str, Any]) -> bool:
    return bool(report["state"] == "healthy")


def layer(report: dict[str, Any], name: str) -> str:
    return f"{report['layers'][name]['state']}: {report['layers'][name]['detail']}"


def test_a_healthy_cluster(cluster: Lab) -> None:
    report = until(cluster, healthy)
    assert {part["state"] for part in report["layers"].values()} == {"healthy"}
    assert layer(report, "links") == "healthy: 3 of 3 cables carry their MTU"
    assert layer(report, "frr") == "healthy: 6 of 6 adjacencies Full"
    assert "nb 3/3 voters" in layer(report, "ovn")
    assert "3/3 in quorum" in layer(report, "ceph_mon")
    assert "HEALTH_OK; 3 of 3 OSDs up" in layer(report, "ceph_health")
    assert "3 of 3 members online" in layer(report, "incus")
    assert all(node["reachable"] and len(node["layers"]) == 9 for node in report["nodes"].values())
    assert report["lock"] == report["diseases"] == []


def test_watching(cluster: Lab) -> None:
    options = ["--output", "json", "status", cluster.topology, "--watch", "--every", "0.5", *PATIENT]
    # Under a runner in the background SIGINT is ignored, and children inherit that.
    argv = ["env", "--default-signal=INT", sys.executable, "-m", "meshctl", f"--lab={cluster.name}", *options]
    watch = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert watch.stdout
        seen = 0
        for line in watch.stdout:
            seen += line == "}\n"
            if seen == 2:
                break
        watch.send_signal(signal.SIGINT)
        assert watch.wait(90) in {0, 4}
    finally:
        watch.kill()
        watch.communicate()


def test_a_host_that_is_off_and_then_no_quorum(cluster: Lab) -> None:
    until(cluster, healthy)
    cluster.ok("lab", "power-off", cluster.topology, "node3")
    try:
        report = until(cluster, lambda report: "2/3 in quorum" in layer(report, "ceph_mon"))
        assert report["state"] == "degraded"
        assert report["nodes"]["node3"]["reachable"] is False
        assert "172.31.0.13" in report["nodes"]["node3"]["error"]
        assert "1 of 3 cables" in layer(report, "links")
        cluster.ssh("node2", "systemctl stop ceph-mon@node2 ovn-ovsdb-server-nb ovn-ovsdb-server-sb")
        began = time.monotonic()
        status(cluster)
        assert time.monotonic() - began < LONGEST
        report = until(cluster, lambda report: "0/3 in quorum" in layer(report, "ceph_mon"))
        assert report["state"] == "broken"
        assert layer(report, "ceph_health") == "broken: no monitor that can be asked has a quorum"
        assert layer(report, "ovn").startswith("broken: nb 0/3 voters, no leader; sb 0/3 voters, no leader")
    finally:
        cluster.ssh("node2", "systemctl start ovn-ovsdb-server-nb ovn-ovsdb-server-sb ovn-northd ceph-mon@node2")
        cluster.ok("lab", "power-on", cluster.topology, "node3")
    until(cluster, healthy)
