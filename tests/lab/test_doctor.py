"""Each known disease is made on purpose on a running cluster, recognised, and cured by what doctor says."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from meshctl.ca import Authority
from meshctl.condition.gather import diseases
from meshctl.lab.names import paths
from meshctl.state import StateFolder
from tests.lab.conftest import Lab

pytestmark = [pytest.mark.lab, pytest.mark.long]

PATIENCE = "60"
"""Seconds; the machine may be busy with other tests."""

STALE = """
set -e
cd /root; rm -f stale.db
pki=/etc/ovn/pki
ovsdb-tool join-cluster stale.db OVN_Southbound ssl:10.50.1.3:7644 ssl:10.50.1.1:6644 ssl:10.50.1.2:6644
ovsdb-server --detach --no-chdir --pidfile=/run/stale.pid --unixctl=/run/stale.ctl --log-file=/dev/null \
    --private-key=$pki/key.pem --certificate=$pki/cert.pem --ca-cert=$pki/ca.pem stale.db
timeout 60 sh -c 'until ovs-appctl -t /run/stale.ctl cluster/status OVN_Southbound | grep -q "Status: cluster member"
    do sleep 0.2; done'
kill -KILL $(cat /run/stale.pid); rm -f stale.db /run/stale.pid /run/stale.ctl
"""
KICK = "ovn-appctl -t /var/run/ovn/ovnsb_db.ctl cluster/kick OVN_Southbound ssl:10.50.1.3:7644"
SBCTL = (
    "ovn-sbctl -p /etc/ovn/pki/key.pem -c /etc/ovn/pki/cert.pem -C /etc/ovn/pki/ca.pem "
    "--db=ssl:10.50.1.1:6642,ssl:10.50.1.2:6642,ssl:10.50.1.3:6642"
)
CHRONY = "/etc/chrony/conf.d/meshctl.conf"


@dataclass(frozen=True)
class Illness:
    """How to make a disease and how to cure it: shell commands on a host each."""

    name: str
    host: str
    """The host that doctor names; empty for whichever."""
    make: tuple[tuple[str, str], ...]
    cure: tuple[tuple[str, str], ...]
    evidence: str
    """A part of it."""


def ospf(*lines: str) -> str:
    return "vtysh -c 'configure terminal' " + " ".join(f"-c '{line}'" for line in lines)


ILLNESSES = (
    Illness(
        "unequal-mtu",
        "node1",
        (("node1", "ip link set eth1 mtu 1400 && vtysh -c 'clear ip ospf neighbor 10.50.1.2'"),),
        (("node1", "ip link set eth1 mtu 1500 && vtysh -c 'clear ip ospf neighbor 10.50.1.2'"),),
        "ExStart and is stuck",
    ),
    Illness(
        "duplicate-router-id",
        "node3",
        (("node3", ospf("router ospf", "ospf router-id 10.50.1.1") + " && vtysh -c 'clear ip ospf process'"),),
        (("node3", ospf("router ospf", "ospf router-id 10.50.1.3") + " && vtysh -c 'clear ip ospf process'"),),
        "its OSPF router id is 10.50.1.1",
    ),
    Illness(
        "traffic-kept-away",
        "node2",
        (("node2", ospf("router ospf", "max-metric router-lsa administrative")),),
        (("node2", ospf("router ospf", "no max-metric router-lsa administrative")),),
        "max-metric",
    ),
    Illness(
        "traffic-kept-away",
        "node1",
        (("node1", ospf("interface eth2", "ip ospf cost 5000")),),
        (("node1", ospf("interface eth2", "no ip ospf cost")),),
        "a raised cost on eth2",
    ),
    Illness(
        "clock-skew",
        "node2",
        (("node2", f"cp {CHRONY} /root/ && sed -i '/^peer/s/$/ offset 0.3/' {CHRONY} && systemctl restart chrony"),),
        (("node2", f"cp /root/{CHRONY.rpartition('/')[2]} {CHRONY} && systemctl restart chrony"),),
        "chronyd takes node2's clock to be off by",
    ),
    Illness("stale-raft-member", "", (("node3", STALE),), (("node1", KICK),), "10.50.1.3:7644 is no host"),
    Illness(
        "chassis-twice",
        "node3",
        (("node3", "ovs-vsctl set open . external_ids:system-id=old-node3"),),
        (("node3", "ovs-vsctl set open . external_ids:system-id=node3"),),
        "its system-id is old-node3",
    ),
    Illness(
        "chassis-twice",
        "",
        (("node1", f"{SBCTL} chassis-add old-node2 geneve 10.50.1.92 -- set Chassis old-node2 hostname=node2"),),
        (("node1", f"{SBCTL} chassis-del old-node2"),),
        "the chassis old-node2",
    ),
    Illness(
        "wrong-encapsulation-address",
        "node1",
        (("node1", "ovs-vsctl set open . external_ids:ovn-encap-ip=192.168.11.1"),),
        (("node1", "ovs-vsctl set open . external_ids:ovn-encap-ip=10.50.1.1"),),
        "its tunnels end at 192.168.11.1",
    ),
    Illness(
        "flag-left-behind",
        "",
        (("node1", "ceph osd set-group noout node2"),),
        (("node1", "ceph osd unset-group noout node2"),),
        "noout is set on node2",
    ),
    Illness(
        "full-osd",
        "",
        (("node1", "ceph osd set-nearfull-ratio 0.0001"),),
        (("node1", "ceph osd set-nearfull-ratio 0.85"),),
        "OSD_NEARFULL",
    ),
    Illness(
        "evacuated-member",
        "node2",
        (("node2", "incus cluster evacuate node2 --force -q"),),
        (("node2", "incus cluster restore node2 --force -q"),),
        "as Evacuated",
    ),
    Illness(
        "dns-stalls",
        "node2",
        (("node2", "echo nameserver 172.31.0.99 >/etc/resolv.conf"),),
        (("node2", "rm /etc/resolv.conf"),),
        "172.31.0.99",
    ),
    Illness(
        "unconfirmed-network-change",
        "node3",
        (("node3", "mkdir -p /var/lib/meshctl/rollback && touch /var/lib/meshctl/rollback/pending"),),
        (("node3", "rm /var/lib/meshctl/rollback/pending"),),
        "rollback/pending",
    ),
)

DISRUPTIVE = {"unequal-mtu", "duplicate-router-id", "evacuated-member"}


def doctor(lab: Lab) -> dict[str, Any]:
    done = lab.call("--output", "json", "doctor", lab.topology, "--patience", PATIENCE)
    assert done.returncode in {0, 4}, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def until(lab: Lab, right: Callable[[dict[str, Any]], bool], seconds: float = 120) -> dict[str, Any]:
    """Ask again until the report is right: daemons need a moment to notice."""
    deadline = time.monotonic() + seconds
    while not right(report := doctor(lab)):
        assert time.monotonic() < deadline, report
    return report


def healthy(report: dict[str, Any]) -> bool:
    return bool(report["state"] == "healthy" and not report["diseases"] and not report["problems"])


def on(lab: Lab, *commands: tuple[str, str]) -> None:
    """All commands, each host's in one go, the later ones also when an earlier one fails."""
    for host in sorted({node for node, _ in commands}):
        tries = [f"( {command}\n) || bad=1" for node, command in commands if node == host]
        lab.ssh(host, "\n".join(["bad=0", *tries, "exit $bad"]))


def finds(report: dict[str, Any], name: str, host: str, evidence: str) -> bool:
    found = (one for one in report["diseases"] if one["disease"] == name and host in {"", one["host"]})
    return any(evidence in one["evidence"] for one in found)


def recognised(report: dict[str, Any], illness: Illness) -> bool:
    return finds(report, illness.name, illness.host, illness.evidence)


def test_a_healthy_cluster_has_no_disease_and_survives_any_host(cluster: Lab) -> None:
    report = until(cluster, healthy)
    margin = report["margin"]
    assert margin["hosts"] == 1
    assert [node["may_fail"] for node in margin["nodes"].values()] == [True] * 3
    assert [cable["may_fail"] for cable in margin["cables"].values()] == [True] * 3


def test_many_diseases_at_once(cluster: Lab) -> None:
    """Those that leave the layers below alone: each is recognised among all others."""
    together = [illness for illness in ILLNESSES if illness.name not in DISRUPTIVE]
    try:
        on(cluster, *(step for illness in together for step in illness.make))
        until(cluster, lambda report: all(recognised(report, illness) for illness in together))
        until(cluster, margin_is_gone)
    finally:
        on(cluster, *(step for illness in together for step in illness.cure))
    until(cluster, lambda report: not report["diseases"])


def margin_is_gone(report: dict[str, Any]) -> bool:
    """With a fourth voter that is dead, nobody may fail any more."""
    reasons = [reason for node in report["margin"]["nodes"].values() for reason in node["reasons"]]
    wanted = {"about": "OVN's southbound database", "text": "2 of 4 voters would be left, 3 are needed"}
    return bool(report["margin"]["hosts"] == 0 and wanted in reasons)


@pytest.mark.parametrize("name", sorted(DISRUPTIVE))
def test_disruptive_disease(cluster: Lab, name: str) -> None:
    (illness,) = (illness for illness in ILLNESSES if illness.name == name)
    try:
        on(cluster, *illness.make)
        until(cluster, lambda report: recognised(report, illness))
    finally:
        on(cluster, *illness.cure)
    until(cluster, lambda report: not report["diseases"])


def test_certificate_about_to_expire(cluster: Lab) -> None:
    authority = Authority.load(StateFolder(paths(cluster.name).state))
    assert authority
    leaf = authority.issue("node2", [IPv4Address("10.50.1.2")])
    cluster.feed("node2", "cat >/etc/ovn/pki/key.pem", leaf.key)
    cluster.feed("node2", "cat >/etc/ovn/pki/cert.pem", shortened(leaf.certificate, authority, timedelta(days=5)))
    until(
        cluster, lambda report: finds(report, "certificate-expiring", "node2", "/etc/ovn/pki/cert.pem ends in 4 days")
    )
    cluster.ok("certs", "renew", cluster.topology, "--yes", "--node", "node2")
    until(cluster, lambda report: not report["diseases"])


def shortened(certificate: str, authority: Authority, life: timedelta) -> str:
    """The same certificate from the same CA, with another end."""
    old, now = x509.load_pem_x509_certificate(certificate.encode()), datetime.now(UTC)
    builder = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + life)
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(authority.unlock(), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_half_joined_incus_member(cluster: Lab) -> None:
    cluster.ssh("node1", "incus cluster remove node3 --force --yes")
    until(cluster, lambda report: finds(report, "half-joined-incus-member", "node3", "node1 does not list it"))
    assert cluster.bootstrap()["ok"]
    until(cluster, healthy)


def test_every_disease_is_made_here() -> None:
    made = {illness.name for illness in ILLNESSES} | {"half-joined-incus-member", "certificate-expiring"}
    assert made == diseases().keys()
