"""Who the cluster is: found on any host, refused when hosts disagree, made up once otherwise."""

import base64
import struct
import time

import pytest

from meshctl.errors import RefusedError
from meshctl.roles.ceph_config.identity import Found, entities, identify, new_key
from meshctl.topology import Topology
from tests.roles import golden

FSID = "25ba3556-bf5f-43b4-8b83-afb67ec1f63b"


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


def test_empty_hosts_get_a_new_cluster_every_time(mesh: Topology) -> None:
    empty = {node.name: Found() for node in mesh.nodes}
    first, second = identify(mesh, empty), identify(mesh, empty)
    assert first.fsid != second.fsid
    assert first.keys.keys() == entities(mesh).keys() == second.keys.keys()
    assert len({*first.keys.values(), *second.keys.values()}) == 2 * len(first.keys)
    assert first.monmap == b""


def test_a_key_has_the_format_of_cephx() -> None:
    kind, seconds, nanoseconds, length = struct.unpack("<HIIH", base64.b64decode(new_key())[:12])
    assert (kind, length) == (1, 16)
    assert abs(seconds + nanoseconds / 1e9 - time.time()) < 60
    assert len(base64.b64decode(new_key())) == 28


def test_what_one_host_has_is_everybodys(mesh: Topology) -> None:
    founding = {"mon.": "m", "client.admin": "a", "mgr.node2": "g"}
    found = {"node1": Found(), "node2": Found(FSID, {"client.admin": "a"}, founding, b"map"), "node3": Found()}
    identity = identify(mesh, found)
    assert (identity.fsid, identity.monmap) == (FSID, b"map")
    assert {entity: identity.keys[entity] for entity in founding} == founding
    assert identity.keys["mgr.node3"]


def test_a_key_in_use_wins_over_the_one_of_the_founding(mesh: Topology) -> None:
    found = {"node1": Found(FSID, {"client.admin": "new"}, {"client.admin": "old"})}
    assert identify(mesh, found).keys["client.admin"] == "new"


def test_files_written_before_the_fsid_are_used_again(mesh: Topology) -> None:
    assert identify(mesh, {"node1": Found(founding={"mon.": "m"})}).keys["mon."] == "m"


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (Found("a" * 36, {}, {"mon.": "m"}), "the fsid"),
        (Found(FSID, {"client.admin": "b"}, {"mon.": "m"}), "the key of client.admin"),
        (Found(FSID, {}, {"mon.": "x"}), "the key of mon."),
        (Found(FSID, {}, {"mon.": "m"}, b"another"), "the first monmap"),
    ],
)
def test_hosts_that_disagree_are_named_but_no_key(mesh: Topology, other: Found, what: str) -> None:
    one = Found(FSID, {"client.admin": "a"}, {"mon.": "m"}, b"map")
    with pytest.raises(RefusedError) as caught:
        identify(mesh, {"node1": one, "node2": other, "node3": Found()})
    assert f"node1 and node2 disagree about {what}" in caught.value.message
    assert ("25ba" in caught.value.message) == (what == "the fsid")


def test_a_cluster_of_somebody_else_is_refused(mesh: Topology) -> None:
    with pytest.raises(RefusedError, match="did not found") as caught:
        identify(mesh, {"node1": Found(), "node2": Found(FSID, {"client.admin": "a"})})
    assert caught.value.host == "node2"


def test_no_secret_shows_in_a_representation(mesh: Topology) -> None:
    identity = identify(mesh, {"node1": Found(FSID, {"client.admin": "topsecret"}, {"mon.": "topsecret"})})
    assert "topsecret" not in f"{identity} {Found(FSID, {'client.admin': 'topsecret'}, {'mon.': 'topsecret'})}"
