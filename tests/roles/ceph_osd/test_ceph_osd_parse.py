"""Parsers and decisions of the ceph_osd role."""

import json
from pathlib import Path

import pytest

from meshctl.errors import RefusedError
from meshctl.roles.ceph_osd import disks, parse
from meshctl.roles.ceph_osd.disks import Fate, Look

DATA = Path(__file__).parent / "data"
FSID = "25ba3556-bf5f-43b4-8b83-afb67ec1f63b"
LABEL = parse.Label("u", 3, FSID, finished=True)
SDB = parse.Disk("unknown model, no serial number, 8.6 GB")

# As ceph-volume's documentation has it (`ceph-volume lvm list --format json`); not run here: no device mapper.
LVM = {
    "4": [
        {
            "devices": ["/dev/sdb"],
            "lv_path": "/dev/ceph-1/osd-block-2",
            "tags": {"ceph.cluster_fsid": FSID, "ceph.osd_fsid": "u", "ceph.osd_id": "4", "ceph.type": "block"},
            "type": "block",
        }
    ]
}


def read(name: str) -> str:
    return (DATA / name).read_text()


def test_label_of_a_finished_osd() -> None:
    label = parse.label(read("label.json"))
    assert label is not None
    assert (label.osd, label.fsid, label.finished, label.lvm) == (1, FSID, True, False)


def test_label_of_an_osd_whose_making_was_killed() -> None:
    early = {"/dev/sdb": {"osd_uuid": "bce8", "size": 1, "btime": "2026-11-20", "description": "main"}}
    assert parse.label(json.dumps(early)) == parse.Label("bce8", None, None, finished=False)
    assert parse.label("") is None


def test_label_on_a_logical_volume() -> None:
    assert parse.logical_label(json.dumps(LVM)) == parse.Label("u", 4, FSID, finished=True, lvm=True)
    assert parse.logical_label("{}") is None


def test_an_empty_disk_is_described() -> None:
    assert parse.disk(read("lsblk.json"), "") == SDB


def test_what_is_on_a_disk() -> None:
    assert parse.disk(read("lsblk.json"), read("wipefs_ext4.json")).contents == ("ext4 signature",)
    assert parse.disk(read("lsblk.json"), read("wipefs_bluestore.json")).contents == ("ceph_bluestore signature",)
    used = {
        "path": "/dev/sda", "size": 512110190592, "model": "Samsung SSD ", "serial": "S4", "mountpoints": [None],
        "children": [{"path": "/dev/sda1", "mountpoints": ["/"]}],
    }  # fmt: skip
    gpt = {"signatures": [{"type": "gpt"}, {"type": "gpt"}, {"type": "PMBR"}]}
    disk = parse.disk(json.dumps({"blockdevices": [used]}), json.dumps(gpt))
    assert disk == parse.Disk("Samsung SSD, S4, 512.1 GB", ("gpt signature", "PMBR signature", "/dev/sda1 on it"))
    lvm = {"signatures": [{"type": "LVM2_member"}]}
    assert parse.disk(read("lsblk.json"), json.dumps(lvm)).lvm


def test_osds_of_a_real_cluster() -> None:
    osds = parse.osds(read("osd_dump.json"))
    assert sorted(osd.id for osd in osds.values()) == [1, 2, 3]
    assert all(osd.up and osd.in_ and not osd.new for osd in osds.values())
    assert parse.fsid(read("osd_dump.json")) == FSID


def test_device_classes_and_memory_targets_of_a_real_cluster() -> None:
    assert parse.device_classes(read("osd_tree.json")) == {1: "hdd", 2: "hdd", 3: "hdd"}
    assert parse.memory_targets(read("config_dump.json")) == dict.fromkeys(("node1", "node2", "node3"), "4966055936")


@pytest.mark.parametrize(
    ("total", "osds", "target"),
    [
        (24684084 * 1024, 1, 4966055936),
        (24684084 * 1024, 2, 2415919104),
        (24680000 * 1024, 2, 2415919104),
        (4 << 30, 1, 939524096),
        (4 << 30, 12, 939524096),
    ],
)
def test_memory_target_is_a_fifth_in_steps_and_never_below_cephs_minimum(total: int, osds: int, target: int) -> None:
    assert parse.memory_target(total, osds) == target


def test_memory_of_a_host() -> None:
    assert parse.memory(read("meminfo")) > 2**30
    with pytest.raises(ValueError, match="MemTotal"):
        parse.memory("")


KNOWN = parse.Known(
    FSID, {"u": parse.Osd(3, up=True, in_=True, new=False), "n": parse.Osd(4, up=False, in_=True, new=True)}
)


@pytest.mark.parametrize(
    ("label", "fate"),
    [
        (None, Fate.CREATE),
        (LABEL, Fate.KEEP),
        (parse.Label("n", 4, FSID, finished=True), Fate.KEEP),
        (parse.Label("n", None, None, finished=False), Fate.REDO),
        (parse.Label("gone", None, None, finished=False), Fate.REDO),
        (parse.Label("n", 4, FSID, finished=True, lvm=True), Fate.REDO),
        (parse.Label("u", 3, FSID, finished=True, lvm=True), Fate.KEEP),
    ],
)
def test_what_becomes_of_a_disk(label: parse.Label | None, fate: Fate) -> None:
    assert disks.decide("node1", Look("/dev/sdb", SDB, label), KNOWN) is fate


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (Look("/dev/sdb", parse.Disk("Samsung, S4, 1 GB", ("ext4 signature",)), None), "is not empty: ext4 signature"),
        (Look("/dev/sdb", SDB, parse.Label("u", 3, "other", finished=True)), "another Ceph cluster: osd.3 of other"),
        (Look("/dev/sdb", SDB, parse.Label("x", 9, FSID, finished=True)), "no longer knows: osd.9, x"),
        (Look("/dev/sdb", SDB, parse.Label("u", None, None, finished=False)), "is damaged: osd.3 has run on it"),
    ],
)
def test_foreign_contents_are_refused_by_name(look: Look, said: str) -> None:
    with pytest.raises(RefusedError) as caught:
        disks.decide("node1", look, KNOWN)
    assert said in caught.value.message
    assert look.disk.name in caught.value.message
    assert "--wipe node1:/dev/sdb destroys it" in caught.value.advice
