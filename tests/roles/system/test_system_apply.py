"""The system role against a fake Debian 13."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, RefusedError, WaitError
from meshctl.host.base import text
from meshctl.host.fake import FakeHost
from meshctl.host.views import ReadOnlyHost
from meshctl.roles import distributions
from meshctl.roles.system import packages, sysctls
from meshctl.roles.system.role import CHRONY, System
from meshctl.state import StateFolder
from meshctl.topology import Topology
from tests.roles import golden

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n'
STOCK_HOSTS = "127.0.0.1\tlocalhost\n127.0.1.1\tnode1\n"
RESOLVED = "10.50.1.1 STREAM node1\n10.50.1.1 DGRAM\n10.50.1.2 STREAM node2\n10.50.1.3 STREAM node3\n"
ALL = sorted({package for d in distributions.SUPPORTED for package in d.packages})


def listing(*, without: tuple[str, ...] = ()) -> str:
    return "".join(f"{package}\tinstalled\tok\n" for package in ALL if package not in without)


def kernel(**different: int) -> str:
    values = {s.path: different.get(s.key.replace(".", "_").replace("-", "_"), s.value) for s in sysctls.SETTINGS}
    return "".join(f"{path}:{value}\n" for path, value in values.items())


def stock() -> FakeHost:
    """All packages, nothing configured; remembers what it is told."""
    host = FakeHost("node1", files={"/etc/os-release": text(DEBIAN), "/etc/hosts": text(STOCK_HOSTS)})
    host.on("cat /proc/sys/kernel/hostname", "debian\n")
    host.on("test -d *", status=1)
    host.on("dpkg-query *", listing())
    host.on("grep -sH *", kernel(net_ipv4_ip_forward=0))
    host.on("find /proc/sys/*", "\n".join(s.path for s in sysctls.SETTINGS))
    host.on("systemctl is-active chrony.service", "active\n")
    host.on("systemctl is-enabled chrony.service", "enabled\n")
    host.on("find /etc/chrony/*", "")
    host.on("getent *", RESOLVED)
    host.on("hostname node1", then=_then(host, "cat /proc/sys/kernel/hostname", "node1\n"))
    host.on("sh -s -- /proc/sys/*", then=_then(host, "grep -sH *", kernel()))
    host.on("systemctl restart chrony.service")
    return host


def _then(host: FakeHost, pattern: str, stdout: str) -> Callable[[], None]:
    def answer() -> None:
        host.on(pattern, stdout)

    return answer


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


def cluster_of(mesh: Topology, host: FakeHost, notes: list[str] | None = None) -> Cluster:
    """Three times the same host, as a gate sees it."""
    hosts = {node.name: ReadOnlyHost(host) for node in mesh.nodes}
    return Cluster(mesh, hosts, StateFolder(Path("/nowhere")), note=(notes if notes is not None else []).append)


async def apply(mesh: Topology, host: FakeHost) -> None:
    await System(mesh).apply(mesh.nodes[0], host, cluster_of(mesh, host))


async def test_first_run_changes_what_differs(mesh: Topology) -> None:
    host = stock()
    await apply(mesh, host)
    assert host.ran == [
        "hostname node1",
        "sh -s -- /proc/sys/net/ipv4/ip_forward=1",
        "systemctl restart chrony.service",
    ]
    assert "10.50.1.3\tnode3\n" in host.files["/etc/hosts"].content.decode()
    assert "127.0.1.1" not in host.files["/etc/hosts"].content.decode()


async def test_second_run_changes_nothing(mesh: Topology) -> None:
    host = stock()
    await apply(mesh, host)
    host.ran.clear()
    host.written.clear()
    await apply(mesh, host)
    assert host.ran == []
    assert host.written == []


async def test_chrony_is_restarted_when_a_killed_run_only_wrote_its_file(mesh: Topology) -> None:
    host = stock()
    await apply(mesh, host)
    host.ran.clear()
    host.on("find /etc/chrony/*", f"{CHRONY}\n")
    await apply(mesh, host)
    assert host.ran == ["systemctl restart chrony.service"]


async def test_chrony_is_enabled_and_started(mesh: Topology) -> None:
    host = stock()
    await apply(mesh, host)
    host.ran.clear()
    host.on("systemctl is-active chrony.service", "inactive\n", status=3)
    host.on("systemctl is-enabled chrony.service", "disabled\n", status=1)
    host.on("systemctl enable chrony.service")
    await apply(mesh, host)
    assert host.ran == ["systemctl enable chrony.service", "systemctl restart chrony.service"]


async def test_only_missing_packages_are_installed(mesh: Topology) -> None:
    host = stock()
    host.on("dpkg-query *", listing(without=("frr", "lvm2")), status=1)
    host.on("sh -s -- -- frr lvm2", then=_then(host, "dpkg-query *", listing()))
    await apply(mesh, host)
    assert "sh -s -- -- frr lvm2" in host.ran
    assert host.stdins[host.ran.index("sh -s -- -- frr lvm2")] == packages.INSTALL


async def test_open_vswitch_is_started_once_it_is_installed(mesh: Topology) -> None:
    host = stock()
    host.on("dpkg-query *", listing(without=("openvswitch-switch",)), status=1)
    host.on("sh -s -- -- openvswitch-switch", then=_then(host, "dpkg-query *", listing()))
    host.on("systemctl start openvswitch-switch.service")
    await apply(mesh, host)
    assert host.ran.index("systemctl start openvswitch-switch.service") > host.ran.index(
        "sh -s -- -- openvswitch-switch"
    )


async def test_installation_is_not_believed_but_looked_at(mesh: Topology) -> None:
    host = stock()
    host.on("dpkg-query *", listing(without=("frr",)), status=1)
    host.on("sh -s -- -- frr")
    with pytest.raises(WaitError, match="frr"):
        await apply(mesh, host)


async def test_failed_installation_says_what_apt_said(mesh: Topology) -> None:
    host = stock()
    host.on("dpkg-query *", listing(without=("frr",)), status=1)
    host.on("sh -s -- -- frr", status=100, stderr="E: Unable to locate package frr\n")
    with pytest.raises(CommandError, match="Unable to locate package frr"):
        await apply(mesh, host)


async def test_packages_are_left_to_the_operator_on_request(mesh: Topology) -> None:
    own = replace(mesh, packages=mesh.packages.model_copy(update={"install": False}))
    host = stock()
    host.on("dpkg-query *", listing(without=("frr",)), status=1)
    await apply(own, host)
    assert not [line for line in host.ran if "frr" in line]
    problems = await System(own).verify(cluster_of(own, host))
    assert {(p.what, p.seen, p.final) for p in problems} >= {("1 packages are missing", "frr", True)}


async def test_third_party_keys_are_handed_over_on_ubuntu(mesh: Topology) -> None:
    host = stock()
    host.files["/etc/os-release"] = text('ID=ubuntu\nVERSION_ID="24.04"\n')
    host.on("dpkg-query *", listing(without=("incus",)), status=1)
    host.on("sh -s -- https://pkgs.zabbly.com/key.asc *", then=_then(host, "dpkg-query *", listing()))
    await apply(mesh, host)
    assert "/etc/apt/sources.list.d/zabbly-incus-lts-6.0.sources" in host.files
    install = next(line for line in host.ran if "zabbly" in line)
    assert install.endswith(" 4EFC590696CB15B87C73A3AD82CC8797C838DCFD -- incus")


async def test_unknown_system_is_refused(mesh: Topology) -> None:
    host = stock()
    host.files["/etc/os-release"] = text('ID=fedora\nVERSION_ID=43\nPRETTY_NAME="Fedora Linux 43"\n')
    with pytest.raises(RefusedError, match="Fedora Linux 43"):
        await apply(mesh, host)
    assert host.ran == host.written == []


async def test_cloud_init_is_told_to_keep_the_names(mesh: Topology) -> None:
    host = stock().on("test -d *")
    await apply(mesh, host)
    assert b"preserve_hostname: true" in host.files["/etc/cloud/cloud.cfg.d/99-meshctl.cfg"].content


async def test_host_wide_settings_are_noted_where_they_can_not_be_written(mesh: Topology) -> None:
    host = stock().on("grep -sH *", kernel(fs_aio_max_nr=65536)).on("find /proc/sys/*", "", status=1)
    host.on("cat /proc/sys/kernel/hostname", "node1\n")
    await apply(mesh, host)
    assert not [line for line in host.ran if line.startswith("sh -s")]
    notes: list[str] = []
    assert not [p for p in await System(mesh).verify(cluster_of(mesh, host, notes)) if "aio" in p.what]
    assert notes == ["node1, node2, node3: not writable there: fs.aio-max-nr = 65536 (wanted: 1048576)"]


async def test_setting_that_does_not_take_is_an_error(mesh: Topology) -> None:
    host = stock().on("sh -s -- /proc/sys/*")
    with pytest.raises(WaitError, match=r"net\.ipv4\.ip_forward = 0"):
        await apply(mesh, host)


async def test_gate_names_each_fault(mesh: Topology) -> None:
    host = stock().on("getent *", "127.0.1.1 STREAM node1\n10.50.1.2 STREAM node2\n", status=2)
    problems = await System(mesh).verify(cluster_of(mesh, host))
    seen = {(p.host, p.what, p.seen) for p in problems}
    assert ("node1", "the name node1 leads elsewhere", "127.0.1.1") in seen
    assert ("node3", "the name node3 leads elsewhere", "no address") in seen
    assert ("node2", "another hostname", "debian") in seen
    assert ("node1", "net.ipv4.ip_forward has no effect", "0") in seen


async def test_gate_is_content_after_apply(mesh: Topology) -> None:
    host = stock()
    await apply(mesh, host)
    problems = await System(mesh).verify(cluster_of(mesh, host))
    assert [p for p in problems if p.host == "node1"] == []
