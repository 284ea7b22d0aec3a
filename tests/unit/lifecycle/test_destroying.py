"""Destroying a cluster: the order, what each layer takes away, and what none of them touches."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import HostError, RefusedError
from meshctl.host.base import text
from meshctl.host.fake import FakeHost
from meshctl.lifecycle.destroying import TRACES, destruction, holdings
from meshctl.lifecycle.layers import bottom_up, part
from meshctl.roles.base import Role
from meshctl.roles.discovery import discover
from meshctl.roles.disks import crc32c
from meshctl.roles.removal import erase, stop
from meshctl.roles.system import hosts
from meshctl.state import StateFolder
from meshctl.topology import Topology, load

FSID = "25ba3556-bf5f-43b4-8b83-afb67ec1f63b"
EMPTY = "sh -c for pattern; do*"
THERE = "sh -c for path; do if*"


@pytest.fixture
def topology() -> Topology:
    return load(Path(__file__).parents[3] / "topologies/triangle.yaml")


@pytest.fixture
def roles(topology: Topology) -> list[Role]:
    return [role(topology) for role in discover().values()]


def removal(roles: list[Role], name: str) -> Any:
    return part(next(role for role in roles if role.name == name), "removal")


def cluster_of(topology: Topology, tmp_path: Path, host: FakeHost) -> Cluster:
    return Cluster(topology, {host.name: host}, StateFolder(tmp_path))


def test_what_builds_on_a_layer_is_gone_from_every_host_before_the_layer_goes(
    topology: Topology, roles: list[Role]
) -> None:
    plan = destruction(topology, roles)
    for role in roles:
        for need in role.needs:
            for node in topology.nodes:
                above, below = (f"{name}.remove@{node.name}" for name in (role.name, need))
                if above in plan.steps and below in plan.steps:
                    everywhere = {f"{role.name}.remove@{other.name}" for other in topology.nodes}
                    assert everywhere <= plan.ancestors(below), (role.name, need)
    assert plan.order()[-1].id == f"{TRACES}.verify"


def test_every_role_that_renders_files_is_removed(topology: Topology, roles: list[Role]) -> None:
    plan = destruction(topology, roles)
    for role in roles:
        rendered = role.render(topology.nodes[0])
        assert (f"{role.name}.remove@node1" in plan.steps) is bool(rendered or part(role, "removal"))


def test_roles_come_after_what_they_need(roles: list[Role]) -> None:
    order = [role.name for role, _ in bottom_up(roles, "removal")]
    for role in roles:
        assert all(order.index(need) < order.index(role.name) for need in role.needs)
    assert order.index("incus") > max(order.index("ovn"), order.index("ceph_osd"))


async def test_only_what_exists_is_removed_and_only_what_runs_is_stopped() -> None:
    host = (
        FakeHost()
        .on(THERE, "/etc/a\n")
        .on(
            "systemctl show *",
            "Id=a.service\nActiveState=active\nUnitFileState=enabled\n\nId=b.service\nActiveState=inactive\nUnitFileState=disabled\n",
        )
    )
    host.on("rm *").on("systemctl stop *").on("systemctl disable *")
    await erase(host, "/etc/a", "/etc/b", reason="why")
    await stop(host, "a.service", "b.service", reason="why")
    assert host.ran == [
        "rm -rf --one-file-system -- /etc/a",
        "systemctl stop -- a.service",
        "systemctl disable -- a.service",
    ]
    host.on(THERE, "").on("systemctl show *", "Id=a.service\nActiveState=inactive\nUnitFileState=disabled\n")
    host.ran.clear()
    await erase(host, "/etc/a", reason="why")
    await stop(host, "a.service", reason="why")
    assert host.ran == []


async def test_an_incus_of_its_own_is_left_alone(topology: Topology, roles: list[Role], tmp_path: Path) -> None:
    host = FakeHost().on(EMPTY, "")  # no cluster.crt
    incus = removal(roles, "incus")
    cluster = cluster_of(topology, tmp_path, host)
    await incus.remove(topology.nodes[0], host, cluster)
    assert await incus.holdings(topology.nodes[0], host, cluster) == []
    assert host.ran == []


async def test_a_member_of_another_incus_cluster_is_refused(
    topology: Topology, roles: list[Role], tmp_path: Path
) -> None:
    host = FakeHost().on(EMPTY, "/var/lib/incus/x\n").on("python3 *", "10.50.1.1:8443\n192.0.2.9:8443\n")
    with pytest.raises(RefusedError, match=r"another cluster: 192\.0\.2\.9:8443"):
        await removal(roles, "incus").remove(topology.nodes[0], host, cluster_of(topology, tmp_path, host))
    assert host.ran == []


async def test_nothing_of_incus_is_removed_while_instances_run(
    topology: Topology, roles: list[Role], tmp_path: Path
) -> None:
    host = FakeHost().on(EMPTY, "/var/lib/incus/x\n").on("python3 *", "10.50.1.1:8443\n")
    host.on("systemctl is-active *", "inactive\n" * 5, status=3).on("incus admin shutdown *")
    host.on("pgrep *", "77 [lxc monitor] /var/lib/incus/containers c1\n")
    with pytest.raises(HostError, match=r"instances still run.*c1") as caught:
        await removal(roles, "incus").remove(topology.nodes[0], host, cluster_of(topology, tmp_path, host))
    assert "Reboot" in caught.value.advice
    assert not [line for line in host.ran if line.startswith("rm")]


def look(fsid: str) -> str:
    """What the look at /dev/sdb prints when an OSD of that cluster is on it."""
    body = b"\x01\x00\x00\x00" + b"\x09\0\0\0ceph_fsid\x24\0\0\0" + fsid.encode()
    head = b"bluestore block device\n" + b"f4657645-ccbb-418d-84bf-c3b3c7a40000" + b"\n" + b"\x02\x01"
    head += len(body).to_bytes(4, "little") + body
    head += crc32c(head).to_bytes(4, "little")
    listed = {
        "blockdevices": [
            {"name": "sdb", "size": 8589934592, "ro": False, "model": "M", "serial": "S", "mountpoints": [None]}
        ]
    }
    sections = {
        "disk": "/dev/sdb\nblock",
        "lsblk": json.dumps(listed),
        "wipefs": "",
        "tags": "",
        "head": base64.b64encode(head.ljust(4096, b"\0")).decode(),
    }
    return "".join(f"@@ {name} /dev/sdb\n{content}\n" for name, content in sections.items())


@pytest.mark.parametrize(("fsid", "emptied"), [(FSID, True), ("0" * 8 + FSID[8:], False)])
async def test_only_disks_with_osds_of_this_cluster_are_emptied(
    topology: Topology, roles: list[Role], tmp_path: Path, fsid: str, *, emptied: bool
) -> None:
    host = FakeHost().on("grep -E *", f"fsid = {FSID}\n").on("sh -s -- /dev/sdb", look(fsid)).on("systemctl show *", "")
    host.on("sh -c for at *").on("sh -c # Empty*").on(THERE, "")
    cluster = cluster_of(topology, tmp_path, host)
    osd = removal(roles, "ceph_osd")
    assert bool(await osd.holdings(topology.nodes[0], host, cluster)) is emptied
    await osd.remove(topology.nodes[0], host, cluster)
    assert any("/dev/sdb" in line for line in host.ran) is emptied


async def test_names_leave_etc_hosts_and_other_lines_stay(
    topology: Topology, roles: list[Role], tmp_path: Path
) -> None:
    block = f"{hosts.BEGIN}\n10.50.1.1\tnode1\n{hosts.END}\n"
    names = f"127.0.0.1\tlocalhost\n\n{block}192.0.2.1\tprinter\n"
    host = FakeHost(files={"/etc/hosts": text(names)}).on(EMPTY, "").on(THERE, "")
    await removal(roles, "system").remove(topology.nodes[0], host, cluster_of(topology, tmp_path, host))
    assert host.files["/etc/hosts"].content == b"127.0.0.1\tlocalhost\n\n192.0.2.1\tprinter\n"


async def test_saved_standalone_databases_of_ovn_stay(topology: Topology, roles: list[Role], tmp_path: Path) -> None:
    host = (
        FakeHost()
        .on(EMPTY, "/x\n")
        .on("systemctl show *", "")
        .on("rm *")
        .on("ovs-vsctl --timeout=5 list-br", "br-int\nbr-mine\nincusovn1\n")
    )
    host.on(THERE, "/var/lib/ovn/ovnnb_db.db\n").on("ovs-vsctl --timeout=10 *")
    await removal(roles, "ovn").remove(topology.nodes[0], host, cluster_of(topology, tmp_path, host))
    assert not [line for line in host.queried if "standalone-" in line]
    (told,) = [line for line in host.ran if line.startswith("ovs-vsctl")]
    assert "del-br br-int" in told
    assert "del-br incusovn1" in told
    assert "br-mine" not in told


async def test_holdings_are_told_for_every_host(topology: Topology, roles: list[Role], tmp_path: Path) -> None:
    fakes = {}
    for node in topology.nodes:
        host = fakes[node.name] = FakeHost(name=node.name).on(EMPTY, "").on(THERE, "").on("grep -E *", "")
        host.on("sh -s -- /dev/sdb", look(FSID)).on("grep *", "", status=1).on("sh -c exec grep *", "", status=1)
    held = await holdings(roles, Cluster(topology, fakes, StateFolder(tmp_path)))
    assert held == {"node1": [], "node2": [], "node3": []}
