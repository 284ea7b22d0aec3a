"""Two of three hosts are lost for good: one survivor carries on with the data, and becomes three again."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import Lab, running_lab

pytestmark = [pytest.mark.lab, pytest.mark.long]

CEPH = ("ceph", "--connect-timeout", "20", "-f", "json")
SUM = "rbd --id incus --no-progress export incus/precious - | sha256sum"
WRITE = (
    "set -e; rbd --id incus create incus/precious --size 64M; head -c 64M /dev/urandom >/root/precious; "
    "rbd --id incus import --no-progress --dest-pool incus /root/precious incus/precious2; "
    "rbd --id incus rm --no-progress incus/precious; rbd --id incus mv incus/precious2 incus/precious; sync; "
    "sha256sum </root/precious"
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    for lab in running_lab(f"rc{os.getpid()}"):
        assert lab.bootstrap()["ok"]
        yield lab


def test_while_a_quorum_exists_nothing_is_recovered(lab: Lab) -> None:
    three = lab.call("recover", lab.topology, "--yes", "triangle", "--no-backup")
    assert three.returncode == 6, three.stderr
    assert "a recovery goes out from one survivor" in three.stderr


def test_one_survivor_becomes_three_again(lab: Lab, tmp_path: Path) -> None:
    before = lab.ssh("node3", WRITE).split()[0]
    for node in ("node1", "node2"):
        lab.ok("lab", "power-off", lab.topology, node)
    phrase = tmp_path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("correct horse battery staple\n")
    wanted = ("recover", lab.topology, "--backup", str(tmp_path), "--passphrase-file", str(phrase))
    unnamed = settled(lab, *wanted)
    assert "node1" in unnamed
    assert "Given up for ever" in unnamed

    # Interrupted somewhere in the middle of it, and again.
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        lab.call("recover", lab.topology, "--no-backup", "--yes", "triangle", timeout=30)
    done = lab.call("--output", "json", *wanted, "--yes", "triangle", timeout=1200)
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(done.stdout)
    print(f"recovered in {time.monotonic() - began:.0f} s, the last run took {report['wall_s']:.0f} s")
    print(json.dumps({step["id"]: step["seconds"] for step in report["steps"]}))
    assert report["given_up"] == ["node1", "node2"]
    assert Path(report["backup"]).exists()

    assert lab.ssh("node3", SUM).split()[0] == before
    lab.ssh("node3", "rbd --id incus create incus/new --size 8M && rbd --id incus rm --no-progress incus/new")
    assert mons(lab) == {"node3"}
    assert [
        one["server_name"] for one in json.loads(lab.ssh("node3", "incus query '/1.0/cluster/members?recursion=1'"))
    ] == ["node3"]
    assert lab.ssh("node3", "ls /var/lib/meshctl/before-recover").split()

    for node in ("node1", "node2"):
        lab.ok("lab", "renew", lab.topology, node)
    whole = lab.report("bootstrap", lab.topology, "--yes", "--accept-new-host-keys")
    assert whole["ok"], whole["problems"]
    print(f"three again in {whole['wall_s']:.0f} s")
    assert lab.ok("verify", lab.topology)
    assert mons(lab) == {"node1", "node2", "node3"}
    assert lab.ssh("node1", SUM).split()[0] == before
    sizes = json.loads(lab.ssh("node1", " ".join((*CEPH, "osd", "dump"))))["pools"]
    assert {pool["pool_name"]: pool["min_size"] for pool in sizes} == {".mgr": 2, "incus": 2}
    again = lab.bootstrap()
    assert (again["ok"], again["changed"]) == (True, 0)
    found = json.loads(lab.call("-o", "json", "doctor", lab.topology).stdout)
    assert not found["findings"], found["findings"]


def settled(lab: Lab, *words: str) -> str:
    """What it shows before it asks, once the monitors have noticed that they are too few."""
    deadline = time.monotonic() + 120
    while True:
        done = lab.call(*words)
        if done.returncode == 1:
            return done.stderr
        assert done.returncode == 6, done.stderr
        assert time.monotonic() < deadline, done.stderr
        time.sleep(3)


def mons(lab: Lab) -> set[str]:
    told: dict[str, Any] = json.loads(lab.ssh("node3", " ".join((*CEPH, "quorum_status"))))
    return set(told["quorum_names"])
