"""Ends of certificates, judged at a given moment."""

from datetime import UTC, datetime, timedelta

import pytest

from meshctl.roles.condition import State
from meshctl.roles.pki.status import judge
from tests.roles import golden

MESH = golden.topology("triangle")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "state", "evidence"),
    [(700, State.HEALTHY, ""), (13, State.DEGRADED, "ends in 13 days"), (-2, State.BROKEN, "ended 2 days ago")],
)
def test_the_first_end_counts(days: int, state: State, evidence: str) -> None:
    late, end = NOW + timedelta(days=720), NOW + timedelta(days=days)
    found = judge(MESH, {"node1": {"a.pem": late}, "node2": {"a.pem": late, "b.pem": end}}, {}, NOW)
    assert found.state is state
    assert found.detail == f"the first certificate {evidence or 'ends in 700 days'}"
    assert found.nodes["node2"].detail == (f"a certificate {evidence}" if evidence else "")
    assert [(one.disease, one.host) for one in found.findings] == (
        [("certificate-expiring", "node2")] if evidence else []
    )
    assert all(f"b.pem {evidence}" in one.evidence for one in found.findings)


def test_a_certificate_of_incus_is_not_meshctls_to_renew() -> None:
    end = NOW + timedelta(days=3)
    found = judge(MESH, {"node1": {"/var/lib/incus/cluster.crt": end, "/etc/ovn/pki/cert.pem": end}}, {}, NOW)
    assert ["certs renew" in one.cure for one in found.findings] == [False, True]
