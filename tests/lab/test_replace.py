"""A host is lost for good and another machine takes its place: real daemons, a fresh system, empty disks, a new key."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from meshctl.lab.names import paths
from tests.lab.conftest import ROOT, Lab, running_lab

pytestmark = [pytest.mark.lab, pytest.mark.long]

CEPH = ("ceph", "--connect-timeout", "20", "-f", "json")
# An instance that does nothing, for as long as its host lives.
IMAGE = r"""
set -e
umask 022
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
cd "$d"
for folder in bin sbin etc dev proc sys tmp run root var; do mkdir -p "rootfs/$folder"; done
cp /bin/busybox rootfs/bin/busybox
ln -s busybox rootfs/bin/sh
printf '#!/bin/sh\nexec /bin/busybox tail -f /dev/null\n' >rootfs/sbin/init
chmod 755 rootfs/sbin/init
printf 'architecture: %s\ncreation_date: 1\nproperties: {description: idle}\n' "$(uname -m)" >metadata.yaml
tar -cf image.tar metadata.yaml rootfs
incus image import -q image.tar --alias idle
"""
SUM = "rbd --id incus --no-progress export incus/precious - | sha256sum"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    for lab in running_lab(f"re{os.getpid()}"):
        assert lab.bootstrap()["ok"]
        yield lab


def test_a_lost_host_is_replaced(lab: Lab) -> None:
    before = work(lab)
    lab.ok("lab", "power-off", lab.topology, "node3")
    lab.ok("lab", "renew", lab.topology, "node3")
    key = fingerprint(lab, "node3")

    silent = lab.call("replace", lab.topology, "node3", "--yes", "node3")
    assert silent.returncode == 1
    assert f"--host-key {key}" in silent.stderr
    wrong = lab.call("replace", lab.topology, "node3", "--yes", "node3", "--host-key", "SHA256:another")
    assert wrong.returncode == 1
    unnamed = lab.call("replace", lab.topology, "node3", "--yes", "node2", "--host-key", key)
    assert unnamed.returncode == 1
    for told in ("monitor node3 of Ceph", "osd.", "member node3 of OVN_Southbound", "chassis node3 of OVN", "is lost"):
        assert told in unnamed.stderr, unnamed.stderr
    assert voters(lab) == {"ceph": 3, "northbound": 3, "southbound": 3, "incus": 3}, "nothing was changed"

    report = lab.report("replace", lab.topology, "node3", "--yes", "node3", "--host-key", key)
    print(f"replaced in {report['wall_s']:.0f} s; critical path {' '.join(report['critical_path'])}")
    assert report["ok"]
    whole(lab)
    assert osds(lab) == 3
    assert lab.ssh("node1", SUM) == before
    assert {one["name"]: one["status"] for one in instances(lab)} == {"on-node1": "Running"}

    again = lab.report("replace", lab.topology, "node3", "--yes", "node3", "--host-key", key)
    assert (again["ok"], again["changed"], again["forgotten"]) == (True, 0, {})


def test_a_host_that_lives_is_not_replaced_by_another(lab: Lab) -> None:
    """Its machine is at its place and holds all that is counted: nothing is forgotten, nothing changed."""
    done = lab.report("replace", lab.topology, "node2", "--yes", "node2")
    assert (done["ok"], done["changed"], done["forgotten"]) == (True, 0, {})


def test_the_founder_is_replaced_and_the_run_is_killed_half_way(lab: Lab) -> None:
    before = lab.ssh("node2", SUM)
    lab.ok("lab", "renew", lab.topology, "node1")
    key = ("--host-key", fingerprint(lab, "node1"))
    command = [sys.executable, "-m", "meshctl", f"--lab={lab.name}", "replace", lab.topology, "--yes", "node1", *key]
    run = subprocess.Popen([*command, "node1"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: finished(lab, "ovn.forget@node1"), "OVN's part of forgetting", 300)
    finally:
        run.kill()
        run.wait()
    report = lab.report("replace", lab.topology, "node1", "--yes", "node1", *key)
    assert report["ok"]
    whole(lab)
    assert osds(lab) == 3
    assert lab.ssh("node2", SUM) == before


def finished(lab: Lab, step: str) -> bool:
    """Whether the latest run has got to the end of a step."""
    logs = sorted(paths(lab.name).state.glob("runs/*-replace.jsonl"))
    lines = logs[-1].read_text().splitlines() if logs else []
    events = [json.loads(line) for line in lines if line.endswith("}")]
    return any(event["event"] == "step_finished" and event["step"] == step for event in events)


def wait_for(true: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.2)


def work(lab: Lab) -> str:
    """Data in Ceph, and an instance on each of two hosts; returns the data's checksum."""
    lab.ssh("node1", "head -c 64M /dev/urandom | rbd --id incus --no-progress import - incus/precious")
    lab.ssh("node1", IMAGE)
    for node in ("node1", "node3"):
        lab.ssh("node1", "incus", "launch", "-q", "idle", f"on-{node}", "-s", "local", "--target", node, "</dev/null")
    return lab.ssh("node1", SUM)


def whole(lab: Lab, hosts: int = 3) -> None:
    """All layers agree: healthy by every account, so many members everywhere, HEALTH_OK."""
    status = json.loads(lab.ok("-o", "json", "status", lab.topology, "--patience", "30"))
    assert status["state"] == "healthy", status
    doctor = lab.call("doctor", lab.topology, "--patience", "30")
    assert doctor.returncode == 0, doctor.stdout
    assert json.loads(lab.ssh("node2", *CEPH, "health"))["status"] == "HEALTH_OK"
    assert voters(lab) == dict.fromkeys(("ceph", "northbound", "southbound", "incus"), hosts)


def voters(lab: Lab) -> dict[str, int]:
    monitors = json.loads(lab.ssh("node2", *CEPH, "mon", "dump"))["mons"]
    members = json.loads(lab.ssh("node2", "incus", "query", "'/1.0/cluster/members?recursion=1'"))
    return {
        "ceph": len(monitors),
        **{name: raft(lab, letter, schema) for name, letter, schema in DATABASES},
        "incus": len(members),
    }


DATABASES = (("northbound", "nb", "OVN_Northbound"), ("southbound", "sb", "OVN_Southbound"))


def raft(lab: Lab, letter: str, schema: str) -> int:
    status = lab.ssh("node2", "ovs-appctl", "-t", f"/var/run/ovn/ovn{letter}_db.ctl", "cluster/status", schema)
    return status.count(" at ssl:")


def osds(lab: Lab) -> int:
    """That are known, up and in."""
    dump = json.loads(lab.ssh("node2", *CEPH, "osd", "dump"))["osds"]
    assert all(osd["up"] and osd["in"] for osd in dump)
    return len(dump)


def instances(lab: Lab) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(lab.ssh("node2", "incus", "list", "-f", "json"))
    return found


def fingerprint(lab: Lab, node: str) -> str:
    """As the machine's console shows it."""
    key = paths(lab.name).host(node).upper / "etc/ssh/ssh_host_ed25519_key.pub"
    shown = subprocess.run(["ssh-keygen", "-lf", str(key)], capture_output=True, text=True, check=True).stdout
    return shown.split()[1]
