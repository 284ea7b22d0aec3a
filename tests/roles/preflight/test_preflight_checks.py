"""Every fault that preflight names, on facts of a real lab host with one thing changed."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import ParseError
from meshctl.host.fake import FakeHost
from meshctl.host.views import ReadOnlyHost
from meshctl.roles.base import Problem
from meshctl.roles.disks import Label, Part, is_ours
from meshctl.roles.fsid import common
from meshctl.roles.preflight import checks, clocks, disks, nics
from meshctl.roles.preflight.parse import HostFacts, Nic, Space, host_facts
from meshctl.roles.preflight.role import SCRIPT, Preflight
from meshctl.state import StateFolder
from meshctl.topology import Disk, Topology
from tests.roles import golden

DATA = Path(__file__).parent / "data"
FSID = "3f6f9e0a-1b7c-4a54-9a3a-0d5e2c1b7a11"
GIB = 1 << 30


def data(name: str) -> str:
    return (DATA / f"{name}.txt").read_text()


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def facts() -> HostFacts:
    """A host with nothing to complain about."""
    found = host_facts(data("empty"))
    return replace(found, spaces=(Space("/", 100 * GIB, 80 * GIB),))


def faults(mesh: Topology, facts: HostFacts) -> list[Problem]:
    node = mesh.nodes[0]
    found = [*checks.system(mesh, node, facts), *nics.check(mesh, node, facts), *disks.check(node, facts)]
    assert all(problem.final and problem.command and problem.advice for problem in found)
    return found


def with_nic(facts: HostFacts, name: str, **changes: object) -> HostFacts:
    known: Mapping[str, Nic] = facts.nics or {}
    blank = Nic(name, "02:00:00:00:00:01", max_mtu=0, addresses=())
    return replace(facts, nics={**known, name: replace(known.get(name, blank), **changes)})  # type: ignore[arg-type]


def test_fit_host(mesh: Topology, facts: HostFacts) -> None:
    assert faults(mesh, facts) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"uid": 1000}, "no root rights"),
        ({"systemd": False}, "systemd does not run this host"),
        ({"os_version": "11"}, "an operating system that meshctl does not know"),
        ({"hostname": "node2"}, "172.31.0.11 leads to another node"),
        ({"memory": GIB}, "too little memory for the daemons"),
        ({"spaces": (Space("/", 20 * GIB, GIB),)}, "too little free space on /"),
        ({"spaces": (Space("/", 1000 * GIB, 40 * GIB),)}, "too little free space on /"),
        ({"nics": None}, "there is no `ip` command"),
    ],
)
def test_unfit_host(mesh: Topology, facts: HostFacts, changes: dict[str, object], what: str) -> None:
    [problem] = faults(mesh, replace(facts, **changes))  # type: ignore[arg-type]
    assert problem.what == what


def test_memory_that_is_needed_is_itemised(mesh: Topology, facts: HostFacts) -> None:
    [problem] = faults(mesh, replace(facts, memory=GIB))
    assert problem.expected == (
        "2046 MiB (system, FRR, OVS and OVN 400, ceph-mon 100, ceph-mgr 400, Incus 250, 1 OSDs 896)"
    )


def test_supported_systems_are_listed(mesh: Topology, facts: HostFacts) -> None:
    [problem] = faults(mesh, replace(facts, os_id="fedora", os_title="Fedora Linux 43"))
    assert (problem.expected, problem.seen) == (
        "Debian 13, Debian 12, Ubuntu 24.04 LTS, Ubuntu 22.04 LTS",
        "Fedora Linux 43",
    )


def test_missing_nic(mesh: Topology, facts: HostFacts) -> None:
    left = {name: nic for name, nic in (facts.nics or {}).items() if name not in {"eth2", "eth3"}}
    found = {problem.what for problem in faults(mesh, replace(facts, nics=left))}
    assert found == {
        "there is no NIC eth2 for the cable node1:eth2 <-> node3:eth1",
        "there is no NIC eth3 for the uplink",
    }


def test_nic_that_can_not_do_the_mtu(mesh: Topology, facts: HostFacts) -> None:
    [problem] = faults(mesh, with_nic(facts, "eth1", max_mtu=1400))
    assert (problem.expected, problem.seen) == ("1500", "at most 1400")


def test_nic_with_another_mac(mesh: Topology, facts: HostFacts) -> None:
    node = mesh.nodes[0]
    pinned = replace(node, ports=(replace(node.ports[0], mac="02:aa:aa:aa:aa:aa"), *node.ports[1:]))
    [problem] = nics.check(mesh, pinned, facts)
    assert problem.what == "eth1 is not the NIC of the topology"


def test_management_address_on_a_cable(mesh: Topology, facts: HostFacts) -> None:
    moved = with_nic(with_nic(facts, "eth0", addresses=()), "eth1", addresses=("172.31.0.11",))
    [problem] = faults(mesh, moved)
    assert problem.what == "the management address sits on a NIC of the mesh"


def test_management_nic_of_another_name(mesh: Topology, facts: HostFacts) -> None:
    [problem] = faults(mesh, with_nic(with_nic(facts, "eth0", addresses=()), "eno1", addresses=("172.31.0.11",)))
    assert problem.advice == "State `management_nic: eno1` for node1."


def test_management_address_behind_translation(mesh: Topology, facts: HostFacts) -> None:
    hidden = with_nic(facts, "eth0", addresses=("10.0.2.15",))
    assert faults(mesh, hidden) == []
    assert "no NIC has 172.31.0.11; the way there translates addresses" in nics.notes(mesh.nodes[0], hidden)


def test_management_address_inside_the_mesh(mesh: Topology, facts: HostFacts) -> None:
    inside = replace(mesh.nodes[0], management="10.50.1.200")
    assert [p.what for p in nics.check(mesh, inside, facts)] == ["the management address lies inside the mesh"]


def test_somebody_else_uses_the_mesh_prefix(mesh: Topology, facts: HostFacts) -> None:
    [problem] = faults(mesh, with_nic(facts, "virbr0", addresses=("192.168.11.254", "fe80::1")))
    assert problem.what == "192.168.11.254 on virbr0 conflicts with the mesh"


def test_address_of_a_former_topology_is_for_the_links_role_to_take_back(mesh: Topology, facts: HostFacts) -> None:
    moved = with_nic(facts, "eth7", addresses=("192.168.11.99",))
    assert faults(mesh, replace(moved, ours=moved.ours | {"192.168.11.99"})) == []


@pytest.mark.parametrize(
    ("capture", "seen"),
    [
        ("own-osd", f"an OSD of the Ceph cluster {FSID} (11111111-2222-4333-8444-555555555555)"),
        ("mounted-ext4", "mounted on /mnt; signatures: ext4"),
        ("partitioned", "signatures: dos"),
    ],
)
def test_disk_with_anything_on_it(mesh: Topology, facts: HostFacts, capture: str, seen: str) -> None:
    [problem] = faults(mesh, replace(facts, disks=host_facts(data(capture)).disks))
    assert problem.seen == seen
    assert re.match(r"/dev/sdb \(unknown model, no serial number, [0-9.]+ GB\) is (not empty|in use)$", problem.what)
    assert problem.refused


def test_own_osd_is_welcome(mesh: Topology, facts: HostFacts) -> None:
    again = replace(facts, disks=host_facts(data("own-osd")).disks, fsid=FSID)
    assert faults(mesh, again) == []
    assert faults(mesh, replace(again, fsid="00000000-0000-0000-0000-000000000000"))


def test_osd_that_was_never_finished(mesh: Topology, facts: HostFacts) -> None:
    disk = replace(facts.disks["/dev/sdb"], label=Label("11111111-2222-4333-8444-555555555555", None))
    assert is_ours(disk, FSID)
    assert not is_ours(disk, None)
    assert not is_ours(replace(disk, label=Label("11111111-2222-4333-8444-555555555555", FSID, whole=False)), FSID)


def test_osd_of_a_reinstalled_host_is_found_again_by_the_others_fsid(mesh: Topology, facts: HostFacts) -> None:
    again = replace(facts, disks=host_facts(data("own-osd")).disks)
    assert again.fsid is None
    assert list(disks.check(mesh.nodes[0], again, common([None, FSID, FSID]))) == []
    assert list(disks.check(mesh.nodes[0], again, common([None, FSID, "another"])))


def test_lvm_osds_of_two_clusters_are_not_ours(facts: HostFacts) -> None:
    disk = replace(facts.disks["/dev/sdb"], signatures=("LVM2_member",), lvm_fsids=frozenset({FSID}))
    assert is_ours(disk, FSID)
    assert not is_ours(replace(disk, lvm_fsids=frozenset({FSID, "other"})), FSID)
    assert not is_ours(replace(disk, lvm_fsids=frozenset()), FSID)


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"read_only": True}, "read-only"),
        ({"size": 0}, "a size of 0 bytes"),
        ({"readable": False}, "its first bytes can't be read"),
    ],
)
def test_unusable_disk(mesh: Topology, facts: HostFacts, changes: dict[str, object], seen: str) -> None:
    broken = {"/dev/sdb": replace(facts.disks["/dev/sdb"], **changes)}  # type: ignore[arg-type]
    [problem] = faults(mesh, replace(facts, disks=broken))
    assert problem.seen == seen


@pytest.mark.parametrize(("path", "seen"), [("/dev/sdx", "no such file"), ("/etc/fstab", "not a block device")])
def test_disk_that_is_not_there(mesh: Topology, facts: HostFacts, path: str, seen: str) -> None:
    node = replace(mesh.nodes[0], disks=(Disk(path, "auto", "auto"),))
    [problem] = disks.check(node, facts)
    assert seen in problem.seen


def test_disk_named_twice(mesh: Topology, facts: HostFacts) -> None:
    alias = "/dev/disk/by-id/x"
    both = {**facts.disks, alias: replace(facts.disks["/dev/sdb"], path=alias)}
    node = replace(mesh.nodes[0], disks=(Disk("/dev/sdb", "auto", "auto"), Disk(alias, "auto", "auto")))
    [problem] = disks.check(node, replace(facts, disks=both))
    assert problem.what == f"{alias} is the same disk as /dev/sdb"


def test_data_of_no_known_format_is_refused(mesh: Topology, facts: HostFacts) -> None:
    odd = {"/dev/sdb": replace(facts.disks["/dev/sdb"], unknown_data=True)}
    [problem] = faults(mesh, replace(facts, disks=odd))
    assert problem.refused
    assert problem.seen == "data of no known format (an encrypted disk looks like that)"


def test_cloned_hosts_and_one_host_twice(facts: HostFacts) -> None:
    clone = {"node1": facts, "node2": replace(facts, boot_id="another")}
    assert ["A cloned disk" in p.advice for p in checks.across(clone)] == [True]
    same = {"node1": facts, "node2": facts}
    assert ["one machine" in p.advice for p in checks.across(same)] == [True]


def test_another_architecture(facts: HostFacts) -> None:
    hosts = {n: replace(facts, machine_id=n) for n in ("node1", "node2", "node3")}
    hosts["node2"] = replace(hosts["node2"], architecture="aarch64")
    assert [(p.host, p.seen) for p in checks.across(hosts)] == [("node2", "aarch64")]


def test_round_trip_is_taken_out_of_the_offset() -> None:
    measured = clocks.offset(sent=100.0, started=110.2, ended=110.3, received=100.5)
    assert measured.seconds == pytest.approx(10.0)
    assert measured.error == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("apart", "refused", "noted"), [(0.0, 0, 0), (0.03, 0, 0), (1.0, 0, 1), (-1.0, 0, 1), (9.0, 1, 0)]
)
def test_clock_of_one_host(apart: float, refused: int, noted: int) -> None:
    offsets = {name: clocks.Offset(100.0, 0.01) for name in ("node1", "node2")}
    offsets["node3"] = clocks.Offset(100.0 + apart, 0.01)
    assert (len(list(clocks.check(offsets))), len(list(clocks.notes(offsets)))) == (refused, noted)


def test_slow_connection_excuses_an_offset() -> None:
    offsets = {"node1": clocks.Offset(0, 0.01), "node2": clocks.Offset(0, 0.01), "node3": clocks.Offset(6.0, 2.0)}
    assert list(clocks.check(offsets)) == []


async def look(mesh: Topology, outputs: list[str]) -> tuple[list[Problem], list[str], list[FakeHost]]:
    fakes = [FakeHost(n.name).on("sh -s -- /dev/sdb", out) for n, out in zip(mesh.nodes, outputs, strict=True)]
    notes: list[str] = []
    hosts = {host.name: ReadOnlyHost(host) for host in fakes}
    cluster = Cluster(mesh, hosts, StateFolder(Path("/nowhere")), note=notes.append)
    return await Preflight(mesh, clock=lambda: 0.0).verify(cluster), notes, fakes


async def test_all_findings_of_all_hosts_come_at_once(mesh: Topology) -> None:
    problems, notes, fakes = await look(mesh, [data("mounted-ext4"), data("partitioned"), data("empty")])
    found = {(problem.host, problem.what) for problem in problems}
    disk = "/dev/sdb (unknown model, no serial number, {} GB)"
    assert {("node1", f"{disk} is in use".format(8.6)), ("node2", f"{disk} is not empty".format(0.1))} <= found
    assert ("node2", "172.31.0.12 leads to another node") in found
    assert ("node3", "the same machine-id as node1") in found
    assert all(len(fake.queried) == 1 for fake in fakes)
    assert any(note.startswith("node1, node2, node3: ") for note in notes)


async def test_facts_that_can_not_be_read(mesh: Topology) -> None:
    with pytest.raises(ParseError, match="section"):
        await look(mesh, ["", "", ""])


@pytest.mark.parametrize("shell", ["sh", "dash"])
def test_script_is_plain_shell(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    subprocess.run([shell, "-n"], input=SCRIPT, check=True)


GROUPS = (
    ({"signatures": ("ext4",)}, None),
    ({"signatures": ("LVM2_member",), "volume_groups": ()}, None),
    ({"mounts": ("/",), "parts": (Part("/dev/sdb1", "part", "ext4"),)}, "is the system disk"),
    ({"mounts": ("[SWAP]",), "signatures": ("swap",)}, "swapoff /dev/sdb"),
    ({"mounts": ("/srv",), "signatures": ("xfs",)}, "umount /srv"),
    ({"signatures": ("LVM2_member",), "volume_groups": ("vg0",)}, "vgremove vg0; pvremove /dev/sdb"),
    ({"signatures": ("LVM2_member",)}, "vgremove GROUP"),
    ({"signatures": ("gpt",), "parts": (Part("/dev/sdb1", "part", "LVM2_member"),)}, "belongs to LVM"),
    ({"signatures": ("LVM2_member",), "lvm_fsids": frozenset({"other"})}, "ceph-volume lvm zap --destroy /dev/sdb"),
    ({"signatures": ("linux_raid_member",), "parts": (Part("/dev/md0", "raid1"),)}, "mdadm --stop /dev/md0"),
    ({"signatures": ("crypto_LUKS",), "parts": (Part("/dev/mapper/x", "crypt"),)}, "cryptsetup close /dev/mapper/x"),
    ({"label": Label("u", "other"), "users": ("kernel 0", "ceph-osd 77")}, "by the kernel: mounted elsewhere"),
    ({"label": Label("u", "other"), "users": ("ceph-osd 77",)}, "is in use by ceph-osd (process 77)"),
)


@pytest.mark.parametrize(("changes", "said"), GROUPS)
def test_only_what_nothing_uses_may_be_wiped(
    mesh: Topology, facts: HostFacts, changes: dict[str, object], said: str | None
) -> None:
    full = {"/dev/sdb": replace(facts.disks["/dev/sdb"], **changes)}  # type: ignore[arg-type]
    found = list(disks.check(mesh.nodes[0], replace(facts, disks=full), wipe=("/dev/sdb",)))
    told = [f"{p.what}: {p.seen}: {p.advice}" for p in found]
    assert all(p.refused and p.final and "so it is not wiped" in p.what for p in found)
    assert (told == []) if said is None else (said in told[0]), told


async def test_users_are_looked_for_only_on_disks_that_are_to_be_wiped(mesh: Topology) -> None:
    users = "\n@@ users /dev/sdb\nceph-osd 77\n"
    text = data("own-osd").replace(f"fsid = {FSID}", "")
    outputs = {"node1": text.replace("@@ clock.end", f"{users}\n@@ clock.end")}
    fakes = [FakeHost(n.name).on("sh -s -- /dev/sdb", outputs.get(n.name, data("empty"))) for n in mesh.nodes[1:]]
    first = FakeHost("node1").on("sh -s -- /dev/sdb -- /dev/sdb", outputs["node1"])
    hosts = {host.name: ReadOnlyHost(host) for host in (first, *fakes)}
    cluster = Cluster(mesh, hosts, StateFolder(Path("/nowhere")), wipe=frozenset({("node1", "/dev/sdb")}))
    problems = await Preflight(mesh, clock=lambda: 0.0).verify(cluster)
    assert [p.what for p in problems if p.refused] == [
        "/dev/sdb (unknown model, no serial number, 8.6 GB) is in use by ceph-osd (process 77), so it is not wiped"
    ]
