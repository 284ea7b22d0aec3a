"""Versions, reboots and DNS, from a host's own words."""

from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.roles.condition import State
from meshctl.roles.system.status import answers, judge

CAPTURED = answers((Path(__file__).parent / "data" / "status.txt").read_text())


def test_captured_output_is_understood() -> None:
    assert CAPTURED.versions["ceph-mon"] == "18.2.7+ds-1+deb13u1"
    assert (CAPTURED.up, CAPTURED.pending, CAPTURED.stalls) == (2035.0, "", False)
    found = judge({"node1": CAPTURED, "node2": CAPTURED}, {})
    assert found.state is State.HEALTHY
    assert found.detail == "FRR 10.3, OVN 25.03.0, OVS 3.5.0, Ceph 18.2.7, Incus 6.0.4"
    assert found.nodes["node1"].detail == "up 34 min"


@pytest.mark.parametrize(
    ("look", "why"),
    [
        (
            replace(CAPTURED, kernel="6.12.9-amd64", kernels=frozenset({"6.12.9-amd64", "6.12.48-amd64"})),
            "kernel 6.12.48-amd64 is installed, 6.12.9-amd64 runs",
        ),
        (replace(CAPTURED, kernels=frozenset({"6.12.48-amd64"})), ""),  # a container: the kernel isn't its own
        (replace(CAPTURED, required=("linux-base",)), "asked for by linux-base"),
        (replace(CAPTURED, replaced=("ceph-mon", "sshd")), "ceph-mon, sshd run with replaced libraries"),
    ],
)
def test_pending_reboots_are_no_fault(look: object, why: str) -> None:
    assert isinstance(look, type(CAPTURED))
    assert look.pending == why
    found = judge({"node1": look, "node2": CAPTURED}, {})
    assert found.state is State.HEALTHY
    assert ("reboot due: node1" in found.detail) is bool(why)


def test_mixed_versions_are_shown_on_each_host() -> None:
    older = replace(CAPTURED, versions={**CAPTURED.versions, "incus": "6.0.3-1"})
    found = judge({"node1": CAPTURED, "node2": older, "node3": CAPTURED}, {})
    assert found.state is State.DEGRADED
    assert "Incus 6.0.4/6.0.3" in found.detail
    assert found.nodes["node2"].detail == "up 34 min, Incus 6.0.3"


def test_dns_that_stalls() -> None:
    slow = replace(CAPTURED, stalls=True, servers=("192.0.2.1",))
    (finding,) = judge({"node1": CAPTURED, "node2": slow}, {}).findings
    assert (finding.disease, finding.host) == ("dns-stalls", "node2")
    assert "192.0.2.1" in finding.evidence
