"""A cluster in order, and sick ones, each certified: the right verdict, on the right link and direction."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshctl.lab import cables, running
from meshctl.lab.names import host_namespace, lab_namespace
from meshctl.lab.plan import LabPlan
from meshctl.topology import load
from tests.lab import routing
from tests.lab.conftest import ROOT, TRIANGLE, Lab
from tests.unit.cli.schemas import check

pytestmark = [pytest.mark.lab, pytest.mark.long]

CABLE = "node1:eth1 <-> node2:eth2"
THERE, BACK = "node1:eth1 → node2:eth2", "node2:eth2 → node1:eth1"
# A machine that runs other tests at the same time is slow; the sick links below are slower by far.
WISHES = (
    "certify: {throughput: 5, rate: 50, seconds: 1, latency_median: 300, latency_p99: 5000, loss: 2, clock: 5000, "
    "failover_carrier: 3000, failover_silent: 5000}\n"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Hosts that route, over the kernel's own cables: what is measured is not the lab's switch."""
    file = tmp_path_factory.mktemp("certify") / "triangle.yaml"
    file.write_text(Path(ROOT, TRIANGLE).read_text() + WISHES)
    made = Lab(f"ce{os.getpid()}", str(file))
    try:
        asyncio.run(running.up(load(file), name=made.name, plain=True))
        asyncio.run(routing.route(made.name, file))
        yield made
    finally:
        made.ok("lab", "down", made.topology)


@pytest.fixture(autouse=True)
def whole(lab: Lab) -> None:
    """What the test before has done to the mesh is over: adjacencies, sessions and routes are all there."""
    asyncio.run(routing.whole(lab.name, Path(lab.topology)))


@pytest.fixture
def plan(lab: Lab) -> LabPlan:
    return running.existing(lab.name)


def certify(lab: Lab, *options: str, code: int) -> dict[str, Any]:
    done = lab.call("--output", "json", "certify", lab.topology, "--yes", *options, timeout=1800)
    assert done.returncode in {0, code}, done.stderr + done.stdout
    report = check(done.stdout, "meshctl/certify/1")
    assert done.returncode == code, failed(report)
    return report


def failed(report: dict[str, Any]) -> list[str]:
    """Everything that is worth reading when a verdict is another than expected."""
    keys = ("where", "what", "expected", "seen")
    return [" | ".join(entry[key] for key in keys) for entry in report["checks"] if entry["verdict"] == "fail"]


def failures(report: dict[str, Any]) -> set[tuple[str, str]]:
    """Where and what, of everything that failed."""
    return {(entry["where"], entry["what"]) for entry in report["checks"] if entry["verdict"] == "fail"}


def verdicts(report: dict[str, Any]) -> list[str]:
    """By link; a dropped packet of somebody else's is only a warning."""
    return ["fail" if link["verdict"] == "fail" else "pass" for link in report["links"]]


def inside(namespace: str, *command: str) -> str:
    argv = ["ip", "netns", "exec", namespace, *command]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def panel_end(plan: LabPlan, node: str) -> str:
    """The lab's end of the first cable's plug at a host: what the host sends comes in there."""
    (cable,) = cables.between(plan, "node1:eth1", "node2:eth2")
    return next(end[2] for end in (cable.a, cable.b) if end[0] == node)


def test_a_cluster_in_order(lab: Lab, tmp_path: Path) -> None:
    page = tmp_path / "certificate.html"
    report = certify(lab, "--failover", "--html", str(page), code=0)
    assert report["ok"]
    assert failures(report) == set()
    assert all(way["mbit"] is not None for link in report["links"] for way in link["ways"])
    assert all(way["mbit"] >= 5 and way["mtu_passes"] for link in report["links"] for way in link["ways"])
    assert [(cut["skipped"], cut["failed"]) for cut in report["failover"]] == [("", "")] * 6
    third = {cut["cable"]: set(cut["took"].values()) for cut in report["failover"]}
    assert third == {CABLE: {"node3"}, "node2:eth1 <-> node3:eth2": {"node1"}, "node1:eth2 <-> node3:eth1": {"node2"}}
    for cut in report["failover"]:
        ends = {end.split(":")[0] for end in cut["cable"].split(" <-> ")}
        (loss,) = (loss for loss in cut["down"] if set(loss["pair"]) == ends)
        assert loss["ttl"] == 63, "the answers did not come through the third host"
    assert sum(loss["lost"] for cut in report["failover"] if cut["planned"] for loss in cut["down"] + cut["up"]) == 0
    assert Counter(re.findall(r'<g class="link (\w+)">', page.read_text())) == Counter(
        2 * [link["verdict"] for link in report["links"]]  # its line, and its label above all lines
    )


def test_unequal_mtu(lab: Lab) -> None:
    lab.ssh("node2", "ip link set eth2 mtu 1400")
    try:
        report = certify(lab, code=4)
    finally:
        lab.ssh("node2", "ip link set eth2 mtu 1500")
    assert verdicts(report) == ["fail", "pass", "pass"], failed(report)
    whole = "a packet of the whole MTU, unfragmented"
    assert failures(report) == {("node2:eth2", "MTU"), (THERE, whole), (BACK, whole)}


def test_one_direction_is_slow(lab: Lab, plan: LabPlan) -> None:
    near, end = lab_namespace(lab.name), panel_end(plan, "node2")
    inside(
        near, "tc", "qdisc", "replace", "dev", end, "root", "tbf", "rate", "1mbit", "burst", "16k", "latency", "50ms"
    )
    try:
        report = certify(lab, code=4)
    finally:
        inside(near, "tc", "qdisc", "del", "dev", end, "root")
    assert verdicts(report) == ["fail", "pass", "pass"], failed(report)
    assert failures(report) == {(THERE, "throughput")}
    there, back = report["links"][0]["ways"]
    assert there["mbit"] is not None, there["not_measured"]
    assert 0.1 < there["mbit"] < 2
    assert back["mbit"] >= 5


RULES = """
add table bridge sick
add chain bridge sick lossy { type filter hook forward priority 1; }
add rule bridge sick lossy iifname "%s" numgen random mod 100 < 25 drop
"""


def test_one_direction_loses_packets(lab: Lab, plan: LabPlan) -> None:
    near = lab_namespace(lab.name)
    argv = ["ip", "netns", "exec", near, "nft", "-f", "-"]
    subprocess.run(argv, input=RULES % panel_end(plan, "node1"), text=True, check=True)
    try:
        report = certify(lab, code=4)
    finally:
        inside(near, "nft", "delete", "table", "bridge", "sick")
    assert verdicts(report) == ["fail", "pass", "pass"], failed(report)
    assert {(THERE, "lost"), (BACK, "lost")} <= failures(report)
    assert {where for where, _ in failures(report)} <= {THERE, BACK}, failed(report)
    there, back = (way["arrived"] / way["sent"] for way in report["links"][0]["ways"])
    assert there < 0.9
    assert back > 0.95


def test_one_direction_is_dead(lab: Lab) -> None:
    asyncio.run(cables.cut_silently(lab.name, "node1:eth1", "node2:eth2", one_way=True))
    try:
        report = certify(lab, "--failover", code=4)
    finally:
        asyncio.run(cables.heal(lab.name, "node1:eth1", "node2:eth2"))
    assert verdicts(report) == ["fail", "pass", "pass"], failed(report)
    dead = {entry["where"]: entry["advice"] for entry in report["checks"] if entry["what"] == "answers"}
    assert dead[THERE] == "This direction is dead: node2:eth2 gets nothing."
    assert dead[BACK] == "The other direction is dead."
    assert [cut["skipped"] for cut in report["failover"][::2]] == [
        "it carries nothing", "it is the last path of node2", "it is the last path of node1",
    ]  # fmt: skip
    assert report["failover"][2]["down"] is None


def test_killed_in_the_middle_of_a_cut(lab: Lab, tmp_path: Path) -> None:
    """The host itself puts everything back; here its timer is told not to wait."""
    command = [sys.executable, "-m", "meshctl", f"--lab={lab.name}", "certify", lab.topology, "--failover", "--yes"]
    said = tmp_path / "said"
    with (
        said.open("w") as output,
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as run,
    ):
        try:
            deadline = time.monotonic() + 600
            while nic_is_up(lab):
                assert run.poll() is None, f"it ended without a cut: {said.read_text()}"
                assert time.monotonic() < deadline, f"no cut yet: {said.read_text()}"
                time.sleep(0.05)
        finally:
            run.send_signal(signal.SIGKILL)
    for node, nic in (("node1", "eth1"), ("node2", "eth2")):
        assert f"meshctl-recable-{nic}.timer" in lab.ssh(node, "systemctl list-timers --no-legend 'meshctl-recable-*'")
        lab.ssh(node, f"systemctl start meshctl-recable-{nic}.service")
    deadline = time.monotonic() + 30  # a unit has started when its shell has, and not when that is done
    while not nic_is_up(lab):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    asyncio.run(routing.route(lab.name, Path(lab.topology)))
    assert "ip ospf cost" not in lab.ssh("node1", "vtysh -c 'show running-config'")


def nic_is_up(lab: Lab) -> bool:
    shown = json.loads(inside(host_namespace(lab.name, "node1"), "ip", "-j", "link", "show", "dev", "eth1"))
    return "UP" in shown[0]["flags"]
