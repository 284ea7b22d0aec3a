from dataclasses import replace

import pytest

from meshctl.cli.wiping import as_options, destroyed, named_disks
from meshctl.errors import UsageError
from meshctl.events import Change
from meshctl.plan import EVERYTHING, Limits
from meshctl.preview import Preview
from tests.roles import golden


def test_only_disks_of_the_topology_are_understood() -> None:
    mesh = golden.topology("triangle")
    assert named_disks(mesh, ["node1:/dev/sdb"], EVERYTHING) == {("node1", "/dev/sdb")}
    assert named_disks(mesh, [], EVERYTHING) == frozenset()
    for word in ("node1:/dev/sda", "node4:/dev/sdb", "/dev/sdb", "node1", "node1:/dev/sdb ", ":"):
        with pytest.raises(UsageError) as caught:
            named_disks(mesh, ["node1:/dev/sdb", word], EVERYTHING)
        assert f"--wipe {word}: " in caught.value.message
        assert "node1:/dev/sdb, node2:/dev/sdb, node3:/dev/sdb" in caught.value.advice


def test_a_topology_without_disks_says_so() -> None:
    mesh = golden.topology("triangle")
    bare = replace(mesh, nodes=tuple(replace(node, disks=()) for node in mesh.nodes))
    with pytest.raises(UsageError) as caught:
        named_disks(bare, ["node1:/dev/sdb"], EVERYTHING)
    assert "it names no disks" in caught.value.advice


@pytest.mark.parametrize(
    ("limits", "says", "advice"),
    [
        (Limits(frozenset({"ceph_osd"})), "--only leaves out the role wipe", "--only ceph_osd wipe"),
        (Limits(nodes=frozenset({"node2"})), "--node leaves node1 as it is", "--node node1 node2"),
    ],
)
def test_a_disk_beyond_the_limits_is_refused_and_not_waited_for(limits: Limits, says: str, advice: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        named_disks(golden.topology("triangle"), ["node1:/dev/sdb"], limits)
    assert caught.value.advice.endswith(advice)


def test_a_disk_within_the_limits() -> None:
    limits = Limits(frozenset({"wipe", "ceph_osd"}), frozenset({"node1"}))
    assert named_disks(golden.topology("triangle"), ["node1:/dev/sdb"], limits) == {("node1", "/dev/sdb")}


def test_advice_can_be_pasted() -> None:
    assert as_options({("node2", "/dev/sdb"), ("node1", "/dev/sdc")}) == " --wipe node1:/dev/sdc --wipe node2:/dev/sdb"


def test_what_would_be_destroyed_is_said_before_the_question() -> None:
    reason = "--wipe destroys everything on /dev/sdb (Samsung, S5, 8.6 GB): signatures: ext4"
    changes = (
        Change("wipe@node2", "node2", "command", "sh -c …", reason),
        Change("frr@node2", "node2", "file", "/etc/frr/frr.conf", "differs"),
    )
    assert destroyed(Preview(changes, (), ())) == [f"node2: {reason}"]
