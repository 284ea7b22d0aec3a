import json
from pathlib import Path
from typing import Any

import pytest

from meshctl.roles import incusapi
from meshctl.roles.incus import parse

DATA = Path(__file__).parent / "data"


def data(name: str) -> Any:
    return json.loads((DATA / name).read_text())


def test_server_of_a_member() -> None:
    server = parse.server(data("server.json"))
    assert (server.name, server.clustered, server.joined_before) == ("node1", True, True)
    assert len(server.fingerprint) == 64
    assert server.config["core.https_address"] == "10.50.1.1:8443"


def test_members_of_a_lab_cluster() -> None:
    members = incusapi.members(data("members.json"))
    assert list(members) == ["node1", "node2", "node3"]
    assert members["node2"] == incusapi.Member(
        "node2", "Online", frozenset({"database", "database-leader"}), "https://10.50.1.2:8443"
    )


def test_what_a_joining_member_must_state() -> None:
    assert set(parse.member_keys(data("cluster.json"))) == {
        parse.Key("network", "UPLINK", "parent"),
        parse.Key("storage-pool", "local", "source"),
        parse.Key("storage-pool", "remote", "source"),
    }


def test_members_certificates_are_not_a_users() -> None:
    assert parse.client_certificates(data("certificates.json")) == ()
    assert parse.client_certificates([{"name": "laptop", "type": "client"}]) == ("laptop",)


def test_addresses_in_the_local_database() -> None:
    rows = parse.table((DATA / "raft_nodes.txt").read_text())
    assert rows == (("10.50.1.1:8443",), ("10.50.1.2:8443",), ("10.50.1.3:8443",))


def test_an_empty_table() -> None:
    assert parse.table("+---+\n| ADDRESS |\n+---+\n") == ()


def test_voters_and_instances() -> None:
    rows = "| address | role |\n| 10.50.1.1:8443 | 0 |\n| 10.50.1.2:8443 | 1 |\n"
    assert parse.raft(rows) == {"10.50.1.1:8443": "0", "10.50.1.2:8443": "1"}
    assert parse.instances("| name | COUNT(*) |\n| node1 | 2 |\n") == {"node1": 2}
    for wrong in ("| address |\n| 10.50.1.1:8443 |\n", "| name | COUNT(*) |\n| node1 | many |\n"):
        with pytest.raises(ValueError, match=r"\w"):
            parse.instances(wrong)


def test_names_leave_out_what_incus_has_by_itself() -> None:
    assert parse.names(["/1.0/projects/default", "/1.0/projects/p1"]) == ("p1",)
    assert parse.names(["/1.0/instances/c1?project=p1"]) == ("c1",)
    assert parse.names([]) == ()


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", parse.Remains("", ())),
        ("sum:abc\n", parse.Remains("abc", ())),
        ("sum:abc\ncontainers/c1\n", parse.Remains("abc", ("containers/c1",))),
    ],
)
def test_remains(output: str, expected: parse.Remains) -> None:
    assert parse.remains(output) == expected
