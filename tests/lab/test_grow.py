"""A cluster of three grows to four hosts and shrinks again: real daemons, its data and instances all the time."""

import os
from collections.abc import Iterator

import pytest

from tests.lab.conftest import ROOT, TRIANGLE, Lab, running_lab
from tests.lab.test_replace import SUM, instances, whole, work

pytestmark = [pytest.mark.lab, pytest.mark.long]


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Four cabled hosts, three of which are a cluster."""
    file = tmp_path_factory.mktemp("grown") / "four.yaml"
    file.write_text(grown())
    for lab in running_lab(f"gr{os.getpid()}", topology=str(file)):
        assert Lab(lab.name).bootstrap()["ok"]
        yield lab


def grown() -> str:
    text = (ROOT / TRIANGLE).read_text()
    for after, more in {
        "disks: [/dev/sdb]}\n\ncables": "  node4: {address: 172.31.0.14, disks: [/dev/sdb]}\n",
        "node3:eth1 <-> node1:eth2\n": "  - node4:eth1 <-> node1:eth4\n  - node4:eth2 <-> node2:eth4\n",
    }.items():
        line, rest = after.split("\n", 1)
        assert after in text
        text = text.replace(after, f"{line}\n{more}{rest}")
    return text


def test_a_fourth_host_is_added_and_removed_again(four: Lab) -> None:
    three = Lab(four.name)
    before = work(three)
    added = four.report("add", four.topology, "node4", "--yes")
    print(f"added in {added['wall_s']:.0f} s")
    assert added["ok"]
    whole(four, 4)
    again = four.report("add", four.topology, "node4", "--yes")
    assert (again["ok"], again["changed"]) == (True, 0)
    launch = ("incus", "launch", "-q", "idle", "on-node4", "-s", "local", "--target", "node4", "</dev/null")
    four.ssh("node1", *launch)

    removed = four.report("remove", four.topology, "node4", "--yes", "node4")
    print(f"removed in {removed['wall_s']:.0f} s")
    assert removed["ok"]
    whole(three, 3)
    assert three.ssh("node1", SUM) == before
    assert {one["name"]: one["status"] for one in instances(three)} == dict.fromkeys(
        ("on-node1", "on-node3", "on-node4"), "Running"
    )
    left = four.ssh("node4", "ip -br -4 address; wipefs /dev/sdb; ls /etc/ceph /var/lib/ceph/osd")
    assert "10.50.1" not in left
    assert "bluestore" not in left


def test_copies_are_not_put_at_risk(four: Lab) -> None:
    refused = four.call("remove", TRIANGLE, "node3", "--yes", "node3")
    assert refused.returncode == 6, refused.stderr
    assert "keeps 3 copies on different hosts, and 2 with OSDs would be left" in refused.stdout + refused.stderr
    whole(Lab(four.name), 3)
