from pathlib import Path

import pytest

from meshctl.roles.ovn import parse
from meshctl.roles.ovn.databases import SERVER_ARGUMENTS, databases, northd_arguments
from tests.roles import golden

DATA = Path(__file__).parent / "data"
MESH = golden.topology("triangle")
VOTERS = {"ssl:10.50.1.1:6643", "ssl:10.50.1.2:6643", "ssl:10.50.1.3:6643"}


def data(name: str) -> str:
    return (DATA / name).read_text()


def test_status_of_a_leader() -> None:
    status = parse.cluster_status(data("status-node1.txt"))
    assert status.cluster == "3f352999-b128-4fec-9a89-8557a50752b1"
    assert (status.status, status.role, status.leader, status.member) == ("cluster member", "leader", "self", True)
    assert status.servers == VOTERS


def test_status_of_a_follower() -> None:
    status = parse.cluster_status(data("status-node2.txt"))
    assert (status.role, status.leader, status.member) == ("follower", "1cae", True)
    assert status.servers == VOTERS


def test_status_of_a_joiner_and_of_a_member_without_a_leader() -> None:
    text = data("status-node2.txt")
    assert not parse.cluster_status(text.replace("cluster member", "joining cluster")).member
    assert not parse.cluster_status(text.replace("Leader: 1cae", "Leader: unknown")).member


@pytest.mark.parametrize("text", ["", 'ovs-appctl: cannot connect to "/var/run/ovn/ovnnb_db.ctl"\n'])
def test_no_status(text: str) -> None:
    with pytest.raises(ValueError, match="no cluster status"):
        parse.cluster_status(text)


def test_stores() -> None:
    assert parse.store("absent\n") == parse.Store("absent")
    assert parse.store('standalone\n[{"rows":[]},{"rows":[{"name":"r"}]}]\n') == parse.Store("standalone", rows=1)
    assert parse.store("standalone\n[]\n").rows == 0
    member = parse.store("clustered\nssl:10.50.1.1:6643\n3f352999-b128-4fec-9a89-8557a50752b1\n")
    assert member == parse.Store("clustered", "ssl:10.50.1.1:6643", "3f352999-b128-4fec-9a89-8557a50752b1")
    assert member.member


def test_store_that_was_never_let_in() -> None:
    assert not parse.store("clustered\nssl:10.50.1.1:6643\n").member


def test_no_store() -> None:
    with pytest.raises(ValueError, match="expected"):
        parse.store("sh: 1: ovsdb-tool: not found\n")


def test_running_servers_are_known_by_their_arguments() -> None:
    servers = parse.processes(data("servers.txt"))
    for database in databases(MESH):
        [arguments] = [found for found in servers if database.file in found]
        assert arguments >= SERVER_ARGUMENTS
    [northd] = parse.processes(data("northd.txt"))
    assert northd >= northd_arguments(MESH)


def test_open_vswitch() -> None:
    found = parse.open_vswitch(data("open_vswitch.json"))
    assert found.external_ids["system-id"] == "node1"
    assert found.ssl == ("/etc/ovn/pki/key.pem", "/etc/ovn/pki/cert.pem", "/etc/ovn/pki/ca.pem")


def test_open_vswitch_without_tls() -> None:
    text = '{"data":[[["map",[]]]],"headings":["external_ids"]}\n{"data":[],"headings":["private_key"]}\n'
    assert parse.open_vswitch(text) == parse.OpenVSwitch({}, None)
    with pytest.raises(ValueError, match="no Open_vSwitch row"):
        parse.open_vswitch("")


def test_rows() -> None:
    assert parse.targets(data("connection.json")) == {"pssl:6642"}


def test_chassis() -> None:
    assert set(parse.chassis(data("chassis.json"))) == {
        parse.Chassis(f"node{n}", frozenset({("geneve", f"10.50.1.{n}")})) for n in (1, 2, 3)
    }
