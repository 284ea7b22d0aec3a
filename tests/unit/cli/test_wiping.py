from dataclasses import replace

import pytest

from meshctl.cli.wiping import as_options, destroyed, named_disks
from meshctl.errors import UsageError
from meshctl.events import Change
from meshctl.preview import Preview
from tests.roles import golden


def test_only_disks_of_the_topology_are_understood() -> None:
    mesh = golden.topology("triangle")
    assert named_disks(mesh, ["node1:/dev/sdb"]) == {("node1", "/dev/sdb")}
    assert named_disks(mesh, []) == frozenset()
    for word in ("node1:/dev/sda", "node4:/dev/sdb", "/dev/sdb", "node1", "node1:/dev/sdb ", ":"):
        with pytest.raises(UsageError) as caught:
            named_disks(mesh, ["node1:/dev/sdb", word])
        assert f"--wipe {word}: " in caught.value.message
        assert "node1:/dev/sdb, node2:/dev/sdb, node3:/dev/sdb" in caught.value.advice


def test_a_topology_without_disks_says_so() -> None:
    mesh = golden.topology("triangle")
    bare = replace(mesh, nodes=tuple(replace(node, disks=()) for node in mesh.nodes))
    with pytest.raises(UsageError) as caught:
        named_disks(bare, ["node1:/dev/sdb"])
    assert "it names no disks" in caught.value.advice


def test_advice_can_be_pasted() -> None:
    assert as_options({("node2", "/dev/sdb"), ("node1", "/dev/sdc")}) == " --wipe node1:/dev/sdc --wipe node2:/dev/sdb"


def test_what_would_be_destroyed_is_said_before_the_question() -> None:
    reason = "--wipe destroys everything on /dev/sdb (Samsung, S5, 8.6 GB): signatures: ext4"
    changes = (
        Change("wipe@node2", "node2", "command", "sh -c …", reason),
        Change("frr@node2", "node2", "file", "/etc/frr/frr.conf", "differs"),
    )
    assert destroyed(Preview(changes, (), ())) == [f"node2: {reason}"]
