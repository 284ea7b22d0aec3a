"""Certificates are renewed on a running cluster: no daemon starts again, and OVN answers all the while."""

import subprocess
import sys
from typing import Any

import pytest

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
