"""Snapshots of a lab: everything on the hosts' disks comes back, whatever happened to it meanwhile."""

import os
from collections.abc import Iterator

import pytest

from meshctl.lab.names import paths
from tests.lab.conftest import Lab, running_lab

pytestmark = pytest.mark.lab

# A file of the image that is gone, a folder of the image that was replaced, owner, mode, attribute, hole, device, disk.
MAKE = """
rm /etc/issue; rm -r /etc/logrotate.d; mkdir /etc/logrotate.d
echo kept >/etc/kept; chown 7:8 /etc/kept; chmod 640 /etc/kept; ln -s kept /etc/link
truncate -s 1G /root/sparse; mknod /root/device c 1 3
printf kept | dd of=/dev/sdb seek=4000000000 oflag=seek_bytes conv=notrunc status=none
"""
SPOIL = """
echo spoilt >/etc/kept; chown 0:0 /etc/kept; rm /etc/link /root/*
echo >/etc/issue; rm -r /etc/logrotate.d; echo new >/etc/new
printf spoilt | dd of=/dev/sdb seek=4000000000 oflag=seek_bytes conv=notrunc status=none; sync
"""
LOOK = """
ls /etc/issue /etc/new 2>&1 | sort
ls -lan --time-style=full-iso /etc/logrotate.d /etc/kept /etc/link /root/sparse /root/device
cat /etc/kept; dd if=/dev/sdb skip=4000000000 count=4 iflag=skip_bytes,count_bytes status=none
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    yield from running_lab(f"snap-{os.getpid()}")


def test_all_that_a_host_has_on_its_disks_comes_back(lab: Lab) -> None:
    lab.ok("lab", "power-off", lab.topology, "node3")
    lab.ssh("node1", MAKE)
    ca = paths(lab.name).state / "ca.json"
    ca.write_text("kept")
    before = lab.ssh("node1", LOOK)
    assert before.endswith("kept\nkept")
    lab.ok("lab", "save", lab.topology, "made")
    assert lab.ssh("node1", LOOK) == before, "saving changed it"

    lab.ssh("node1", SPOIL)
    ca.write_text("spoilt")
    assert lab.ssh("node1", LOOK) != before
    lab.ok("lab", "power-on", lab.topology, "node3")
    report = lab.report("lab", "load", lab.topology, "made")
    assert lab.ssh("node1", LOOK) == before
    assert ca.read_text() == "kept"
    assert [host["state"] for host in report["labs"][0]["hosts"]] == ["on", "on", "off"]  # as when it was saved
    kept = paths(lab.name).snapshots / "made"
    assert sum(file.stat().st_blocks for file in kept.rglob("*") if file.is_file()) * 512 < 100 << 20  # of 25 GiB


def test_a_snapshot_that_is_not_there_changes_nothing(lab: Lab) -> None:
    done = lab.call("lab", "load", lab.topology, "other")
    assert done.returncode == 1
    assert "has no snapshot other" in done.stderr
    assert "It has made." in done.stderr
    done = lab.call("lab", "save", lab.topology, "../made")
    assert "can't be the name of a snapshot" in done.stderr
    assert lab.ssh("node1", "cat /etc/kept") == "kept\n"
