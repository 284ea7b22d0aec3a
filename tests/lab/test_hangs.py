"""Daemons that neither answer nor go away: every command ends by its deadlines, and says who is silent."""

import os
import re

import pytest

from tests.lab.conftest import Lab
from tests.lab.failing import failing, stopped

pytestmark = [pytest.mark.lab, pytest.mark.long]

LONGEST = 400
"""Seconds for any command: more than twice a gate's deadline, for a machine that does much else."""

long = pytest.mark.skipif("MESHCTL_LONG" not in os.environ, reason="takes minutes: make test-failures")


@pytest.mark.parametrize(
    ("daemon", "nodes", "gate"),
    [
        ("ceph-mon", ("node2", "node3"), "ceph_mon"),
        ("ovsdb-server", ("node2", "node3"), "ovn"),
        pytest.param("incusd", ("node2",), "incus", marks=long),
        pytest.param("zebra", ("node3",), "frr", marks=long),
    ],
)
def test_looking_ends_and_names_who_is_silent(cluster: Lab, daemon: str, nodes: tuple[str, ...], gate: str) -> None:
    with stopped(cluster, nodes, daemon):
        verified = cluster.call("verify", cluster.topology, timeout=LONGEST)
        planned = cluster.call("plan", cluster.topology, timeout=LONGEST)
    assert verified.returncode == 4, verified.stdout + verified.stderr
    assert re.search(rf"^.*{gate}.verify on .*{nodes[0]}", verified.stdout, re.MULTILINE), verified.stdout
    assert planned.returncode in {0, 2, 4}, planned.stdout + planned.stderr
    assert "defect" not in verified.stderr + planned.stderr


@long
def test_bootstrap_without_a_quorum_ends_and_names_the_silent(cluster: Lab) -> None:
    with stopped(cluster, ("node2", "node3"), "ceph-mon"):
        failed = failing(cluster)
    assert "waited 60 s for a quorum of monitors" in failed.said, failed.said
    assert re.search(r"node2: .*timed out.*ceph-mon@node2.* is active", failed.said), failed.said
    assert failed.done("frr", "ovn", "incus"), failed.states


def test_nothing_is_left_of_all_that(cluster: Lab) -> None:
    assert cluster.ok("verify", cluster.topology, "--wait", "120", timeout=LONGEST)
    assert cluster.bootstrap()["ok"]
    assert cluster.bootstrap()["changed"] == 0
