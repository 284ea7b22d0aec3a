"""Destroying a cluster of real hosts: what is gone, what stays, and that the same hosts can be bootstrapped again."""

import os
from collections.abc import Iterator

import pytest

from tests.lab.conftest import Lab, running_lab

pytestmark = pytest.mark.lab

# Open vSwitch's database is a journal: what was removed stands in it until it is compacted.
OURS = (
    "grep -rlsE 'meshctl|10[.]50[.]1[.]|192[.]168[.]11[.]' /etc /usr/local /var/lib "
    "--exclude-dir=openvswitch --exclude-dir=dpkg || true"
)
# Without br-int, which ovn-controller makes whenever it starts.
STATE = (
    "ip -br -4 address; ip -4 route; ovs-vsctl list-br | grep -vx br-int; "
    "wipefs /dev/sdb; head -c 22 /dev/sdb | tr -d '\\0'"
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    yield from running_lab(f"de{os.getpid()}")


def state(lab: Lab) -> dict[str, str]:
    return {node: lab.ssh(node, STATE) for node in ("node1", "node2", "node3")}


def test_all_that_was_made_goes_and_the_hosts_can_be_bootstrapped_again(lab: Lab) -> None:
    empty = state(lab)
    lab.bootstrap()
    lab.ssh("node2", "echo mine >/etc/ovn/mine; echo mine >/root/mine")
    refused = lab.call("destroy", lab.topology, "--yes", "trinagle")
    assert refused.returncode == 1
    assert "the cluster is called triangle" in refused.stderr
    for told in ("an OSD of the Ceph cluster", "node2's membership in Incus", "10.50.1.2/32 on lo", "OVN's databases"):
        assert told in refused.stderr
    assert lab.ok("verify", lab.topology)

    report = lab.report("destroy", lab.topology, "--yes", "triangle")
    assert report["ok"]
    assert report["changed"] > 0
    assert state(lab) == empty
    for node in empty:
        left = lab.ssh(node, OURS)
        assert not left, left
    assert lab.ssh("node2", "cat /etc/ovn/mine /root/mine") == "mine\nmine\n"

    again = lab.report("destroy", lab.topology, "--yes", "triangle")
    assert (again["ok"], again["changed"]) == (True, 0)
    assert lab.bootstrap()["ok"]
