from pathlib import Path

import pytest

from meshctl.roles.disks import Part, bluestore_label
from meshctl.roles.preflight.parse import FactsError, host_facts, nics

DATA = Path(__file__).parent / "data"
FSID = "3f6f9e0a-1b7c-4a54-9a3a-0d5e2c1b7a11"


def data(name: str) -> str:
    return (DATA / f"{name}.txt").read_text()


def test_a_lab_host() -> None:
    facts = host_facts(data("empty"))
    assert (facts.uid, facts.os_id, facts.os_version, facts.architecture) == (0, "debian", "13", "x86_64")
    assert (facts.hostname, facts.systemd, facts.ssh_enabled, facts.fsid) == ("node1", True, True, None)
    assert facts.memory == 24684084 * 1024
    assert [space.mount for space in facts.spaces] == ["/"]
    assert facts.clock_end >= facts.clock_start > 1e9
    assert facts.nics
    assert facts.nics["eth0"].addresses[0] == "172.31.0.11"
    assert facts.ours == {"192.168.11.1", "192.168.11.17", "10.50.1.1"}


def test_disks_of_each_kind() -> None:
    disks = host_facts(data("empty")).disks
    assert (disks["/dev/sdb"].kind, disks["/dev/sdb"].size) == ("block", 8589934592)
    assert (disks["/dev/sdb"].signatures, disks["/dev/sdb"].unknown_data) == ((), False)
    assert disks["/dev/sdx"].kind == "missing"
    assert disks["/etc/fstab"].kind == "other"


def test_disk_with_an_osd() -> None:
    disk = host_facts(data("own-osd")).disks["/dev/sdb"]
    assert disk.label
    assert (disk.label.osd, disk.label.fsid) == ("11111111-2222-4333-8444-555555555555", FSID)


def test_unfinished_osd_has_no_fsid() -> None:
    label = bluestore_label(b"bluestore block device\n11111111-2222-4333-8444-555555555555\n\x02\x01\0\0")
    assert label
    assert label.fsid is None
    assert bluestore_label(bytes(4096)) is None


def test_disk_in_use() -> None:
    disk = host_facts(data("mounted-ext4")).disks["/dev/sdb"]
    assert (disk.signatures, disk.mounts) == (("ext4",), ("/mnt",))


def test_partition_table_as_util_linux_2_38_prints_it() -> None:
    disk = host_facts(data("partitioned")).disks["/dev/sdb"]
    assert (disk.signatures, disk.mounts) == (("dos",), ())


def test_devices_on_top_of_a_disk_are_found_at_any_depth() -> None:
    top = '"mountpoints": []\n'
    inside = (
        '"mountpoints": [null], "children": [{"name": "/dev/sdb1", "children": '
        '[{"name": "/dev/mapper/x", "mountpoints": ["/srv"]}]}]\n'
    )
    text = data("empty").replace('"mountpoints": [],', top.strip() + ",", 1)
    text = text.replace('"mountpoints": []', inside.strip(), 1)
    disk = host_facts(text).disks["/dev/sdb"]
    assert disk.parts == (Part("/dev/sdb1", ""), Part("/dev/mapper/x", ""))
    assert disk.mounts == ("/srv",)


def test_lvm_osd_is_known_by_its_tags() -> None:
    tags = f"@@ tags /dev/sdb\n  ceph.block_device=/dev/x,ceph.cluster_fsid={FSID},ceph.osd_id=0\n"
    disk = host_facts(data("empty").replace("@@ tags /dev/sdb\n", tags, 1)).disks["/dev/sdb"]
    assert disk.lvm_fsids == {FSID}


@pytest.mark.parametrize("section", ["os", "memory", "nics", "clock.end", "lsblk /dev/sdb", "uid"])
def test_missing_section_is_an_error(section: str) -> None:
    with pytest.raises(FactsError, match=f"^the section {section}$"):
        host_facts(data("empty").replace(f"@@ {section}\n", "@@ other\n"))


def test_signatures_that_could_not_be_read_are_an_error() -> None:
    text = data("partitioned")
    start, end = text.index("@@ wipefs /dev/sdb\n"), text.index("@@ head /dev/sdb")
    with pytest.raises(FactsError):
        host_facts(f"{text[:start]}@@ wipefs /dev/sdb\nfailed\n{text[end:]}")


def test_host_without_ip_command() -> None:
    assert nics("") is None
