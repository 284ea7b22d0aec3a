"""Certificates are renewed on a running cluster: no daemon starts again, and OVN answers all the while."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyrage
import pytest
import yaml

from tests.lab.conftest import ROOT, Lab

pytestmark = pytest.mark.lab

NODES = ("node1", "node2", "node3")
DAEMONS = "pgrep -x 'ovsdb-server|ovn-northd|ovn-controller|ovs-vswitchd|incusd' | sort -n"
# A client with the old certificate, ten times a second, until the file /tmp/enough is there. Prints what failed.
CLIENT = """
rm -rf /tmp/enough /root/pki; cp -a /etc/ovn/pki /root/pki; n=0
while ! [ -e /tmp/enough ]; do
    ovn-nbctl -t 5 -p /root/pki/key.pem -c /root/pki/cert.pem -C /root/pki/ca.pem --no-leader-only --columns=_uuid \
        --db=ssl:10.50.1.1:6641,ssl:10.50.1.2:6641,ssl:10.50.1.3:6641 list NB_Global 2>&1 >/dev/null
    n=$((n+1)); sleep 0.1
done
rm -rf /root/pki; echo "asked $n"
"""


def listed(lab: Lab) -> dict[tuple[str, str], dict[str, Any]]:
    report = lab.report("certs", "list", lab.topology)
    assert report["schema"] == "meshctl/certs/1"
    return {(one["node"], one["path"]): one for one in report["certificates"]}


def serials(lab: Lab) -> dict[str, str]:
    return {node: lab.ssh(node, "openssl x509 -noout -serial -in /etc/ovn/pki/cert.pem") for node in NODES}


def in_incus(lab: Lab) -> str:
    return lab.ssh("node1", "incus config get network.ovn.client_cert | openssl x509 -noout -serial")


def test_every_certificate_is_listed(cluster: Lab) -> None:
    found = listed(cluster)
    for node in NODES:
        assert found[node, "/etc/ovn/pki/cert.pem"]["subject"] == f"CN={node}"
        assert found[node, "/etc/ovn/pki/cert.pem"]["issuer"] == found[node, "/etc/ovn/pki/ca.pem"]["subject"]
        assert (node, "/var/lib/incus/cluster.crt") in found
    assert all(one["days_left"] > 700 and one["state"] == "ok" for one in found.values())


def test_renewal_is_no_outage(cluster: Lab) -> None:
    before, daemons = serials(cluster), {node: cluster.ssh(node, DAEMONS) for node in NODES}
    argv = [sys.executable, "-m", "meshctl", f"--lab={cluster.name}", "lab", "ssh", cluster.topology, "node2", CLIENT]
    client = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        report = cluster.report("certs", "renew", cluster.topology, "--yes")
    finally:
        cluster.ssh("node2", "touch /tmp/enough")
    said = client.communicate(timeout=60)[0].splitlines()
    assert said[:-1] == []
    assert int(said[-1].removeprefix("asked ")) > 10
    assert report["ok"]
    after = serials(cluster)
    assert all(before[node] != after[node] for node in NODES)
    assert in_incus(cluster) == after["node1"]
    assert {node: cluster.ssh(node, DAEMONS) for node in NODES} == daemons
    assert cluster.bootstrap()["changed"] == 0


def test_one_host_alone(cluster: Lab) -> None:
    before = serials(cluster)
    assert cluster.report("certs", "renew", cluster.topology, "--yes", "--node", "node3")["ok"]
    after = serials(cluster)
    assert [node for node in NODES if before[node] != after[node]] == ["node3"]


# A new client each time, with the certificates that the host has at that moment, at each of the three databases. A
# client that starts between two of the host's files being replaced is right to fail: it asks once more.
NEW_CLIENTS = """
rm -f /tmp/enough; n=0
ask() {
    ovn-nbctl -t 5 -p /etc/ovn/pki/key.pem -c /etc/ovn/pki/cert.pem -C /etc/ovn/pki/ca.pem --no-leader-only \\
        --columns=_uuid --db=ssl:$1:6641 list NB_Global 2>&1 >/dev/null
}
while ! [ -e /tmp/enough ]; do
    for a in 10.50.1.1 10.50.1.2 10.50.1.3; do
        ask $a >/dev/null || { sleep 0.3; ask $a || echo "$a did not let us in"; }
        n=$((n+1))
    done
done
echo "asked $n"
"""
OLD_CLIENT = (
    "ovn-nbctl -t 5 -p /root/old/key.pem -c /root/old/cert.pem -C /etc/ovn/pki/ca.pem --no-leader-only "
    "--db=ssl:10.50.1.1:6641 list NB_Global"
)
TERM = "ovs-appctl -t /var/run/ovn/ovnnb_db.ctl cluster/status OVN_Northbound | sed -n 's/^Term: //p'"
POINTS = ("pki_trust@node1", "pki_cross@node2", "pki@node1")
"""Steps after whose first change the run is killed: with one host that trusts both, with both kinds, at the end."""


@contextmanager
def asked_all_the_while(lab: Lab) -> Iterator[None]:
    """New clients on node2 are let in by every database from beginning to end."""
    argv = [sys.executable, "-m", "meshctl", f"--lab={lab.name}", "lab", "ssh", lab.topology, "node2", NEW_CLIENTS]
    client = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        lab.ssh("node2", "touch /tmp/enough")
        said = client.communicate(timeout=60)[0].splitlines()
    assert said[:-1] == []
    assert int(said[-1].removeprefix("asked ")) > 10


def killed_in(lab: Lab, step: str) -> None:
    """`certs renew --ca`, killed without a chance to clean up once the step has changed its host."""
    argv = [sys.executable, "-m", "meshctl", f"--lab={lab.name}", "-v", "certs", "renew", lab.topology, "--ca", "--yes"]
    run = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert run.stderr
    for line in run.stderr:
        if line.split()[1:3] in ([step, "file"], [step, "changed"]):
            run.kill()
            break
    run.stderr.close()
    assert run.wait(timeout=60) < 0, f"the run ended before {step}"


def state_of(lab: Lab) -> Path:
    return Path("/var/lib/meshctl/labs") / lab.name / "state"


@pytest.mark.long
def test_another_ca_takes_over_although_killed(cluster: Lab) -> None:
    old, daemons = serials(cluster), {node: cluster.ssh(node, DAEMONS) for node in NODES}
    term = cluster.ssh("node1", TERM)
    cluster.ssh("node2", "rm -rf /root/old; cp -a /etc/ovn/pki /root/old")
    with asked_all_the_while(cluster):
        for point in POINTS:
            killed_in(cluster, point)
            cluster.ok("verify", cluster.topology, "--wait", "60")
        last = (state_of(cluster) / "ca.pem").read_bytes()
        assert cluster.report("certs", "renew", cluster.topology, "--ca", "--yes")["ok"]
    assert (state_of(cluster) / "ca.pem").read_bytes() == last, "a killed run's CA was replaced by yet another one"
    assert not (state_of(cluster) / "ca.new.pem").exists()
    assert all(old[node] != new for node, new in serials(cluster).items())
    assert {node: cluster.ssh(node, DAEMONS) for node in NODES} == daemons
    assert cluster.ssh("node1", TERM) == term, "the databases had to elect a leader"
    issuers = {found["issuer"] for (_, path), found in listed(cluster).items() if "/pki/" in path or "ovn" in path}
    assert len(issuers) == 1
    refused = cluster.call("lab", "ssh", cluster.topology, "node2", OLD_CLIENT)
    assert refused.returncode != 0, "a certificate of the old CA is still good"
    cluster.ssh("node2", "rm -r /root/old")
    assert cluster.bootstrap()["changed"] == 0


@pytest.mark.long
def test_daemons_find_each_other_between_two_cas(cluster: Lab) -> None:
    """What holds no connection yet: everything that starts, and Incus, which reads one CA only."""
    killed_in(cluster, "pki_cross@node2")
    for node in NODES:
        cluster.ssh(node, "systemctl restart ovn-northd ovn-controller incus")
    for node in NODES:
        cluster.ssh(node, "systemctl restart ovn-ovsdb-server-nb ovn-ovsdb-server-sb")
        cluster.ok("verify", cluster.topology, "--wait", "90")
    assert cluster.report("certs", "renew", cluster.topology, "--ca", "--yes")["ok"]
    assert cluster.bootstrap()["changed"] == 0


@pytest.mark.long
def test_the_cas_key_is_encrypted_and_opened_only_to_issue(cluster: Lab, tmp_path: Path) -> None:
    key, identity = pyrage.x25519.Identity.generate(), tmp_path / "identity"
    identity.write_text(f"{key}\n")
    identity.chmod(0o600)
    document = yaml.safe_load((ROOT / cluster.topology).read_text())
    document["secrets"] = {"age_recipients": [str(key.to_public())]}
    topology, plain = tmp_path / "t.yaml", (state_of(cluster) / "ca.pem").read_bytes()
    topology.write_text(yaml.safe_dump(document))
    bootstrap = ("bootstrap", str(topology), "--yes")
    try:
        refused = cluster.call(*bootstrap)
        assert refused.returncode == 1
        assert "no identity was given" in refused.stderr
        assert (state_of(cluster) / "ca.pem").read_bytes() == plain
        converted = json.loads(cluster.ok("-o", "json", f"--age-identity={identity}", *bootstrap))
        kept = [step["id"] for step in converted["steps"] if step["changed"]]
        assert kept == ["handover@node1"], "the cluster keeps the topology and the key that can be given away now"
        assert b"PRIVATE KEY" not in (state_of(cluster) / "ca.pem").read_bytes()
        assert json.loads(cluster.ok("-o", "json", *bootstrap))["changed"] == 0
        cluster.ssh("node3", "rm /etc/ovn/pki/key.pem")
        refused = cluster.call(*bootstrap)
        assert "is encrypted, and no identity to open it was given" in refused.stderr
        assert "changed" not in refused.stderr
        assert json.loads(cluster.ok("-o", "json", f"--age-identity={identity}", *bootstrap))["ok"]
    finally:  # the other tests' topology names no recipient
        (state_of(cluster) / "ca.pem").write_bytes(plain)
    assert cluster.bootstrap()["ok"]
    assert cluster.bootstrap()["changed"] == 0
