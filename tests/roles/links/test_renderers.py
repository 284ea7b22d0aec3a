"""Renderers beside networkd: what they write, which one a host gets, and how they bring the kernel there."""

import doctest
import subprocess
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
import yaml

from meshctl.errors import RefusedError
from meshctl.roles import deadman
from meshctl.roles.links import ifupdown, netplan, networkd, renderers, slackware
from meshctl.roles.links.parse import Holding, holdings, older, uses
from meshctl.roles.links.role import Links
from meshctl.roles.links.wanted import devices
from meshctl.topology import Topology, loads
from tests.roles import golden
from tests.roles.links.test_links_role import HABITS, OURS, Kernel, apply, cluster_of, fresh

OTHERS = ["netplan", "ifupdown", "ifupdown2", "slackware"]


def kept_by(renderer: str, name: str = "triangle") -> Topology:
    """An example topology whose hosts' links are kept by that renderer."""
    mesh = golden.topology(name) if name != "ipv6" else dual_stack()
    return replace(mesh, nodes=tuple(replace(node, renderer=renderer) for node in mesh.nodes))  # type: ignore[arg-type]


def dual_stack() -> Topology:
    """The triangle with IPv6 loopbacks."""
    file = golden.TOPOLOGIES / "triangle.yaml"
    return loads(file.read_text().replace("mesh:\n", "mesh:\n  loopbacks6: fd00:50::/64\n"), file)


@pytest.mark.parametrize("renderer", OTHERS)
@pytest.mark.parametrize("name", ["triangle", "dual", "bonded", "vlans", "ipv6"])
def test_files_are_as_reviewed(renderer: str, name: str) -> None:
    mesh = kept_by(renderer, name)
    rendered = {node.name: Links(mesh).render(node) for node in mesh.nodes}
    golden.check_files(__file__, f"{renderer}-{name}", rendered)


@pytest.mark.parametrize("renderer", [*OTHERS, "networkd"])
@pytest.mark.parametrize("name", ["triangle", "bonded", "vlans", "ipv6"])
def test_files_say_what_they_give_to_whom(renderer: str, name: str, tmp_path: Path) -> None:
    """Without it nobody could take back an address or a device that has left the topology."""
    mesh = kept_by(renderer, name)
    node = mesh.nodes[0]
    for path, file in Links(mesh).render(node).items():
        there = tmp_path / path.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(file.content)
    moved = [f"{tmp_path}{word}" if word.startswith("/") else word for word in renderers.OURS]
    said = subprocess.run(moved, capture_output=True, text=True, check=False).stdout  # 2: not all of them are there
    found = holdings(said.replace(str(tmp_path), ""))
    assert {(one.device, a) for one in found for a in one.addresses} == {
        (device.name, a) for device in devices(node) for a in device.addresses
    }
    assert {one.device for one in found if one.made} == {device.name for device in devices(node) if device.virtual}


def test_netplan_is_yaml_and_secret_enough_for_netplan() -> None:
    [file] = Links(kept_by("netplan")).render(kept_by("netplan").nodes[0]).values()
    network = yaml.safe_load(file.content)["network"]
    assert file.mode == 0o600
    assert network["ethernets"]["eth1"]["addresses"] == ["192.168.11.1/30"]
    assert "eth0" not in network["ethernets"]


def held(path: str) -> tuple[Holding, ...]:
    return (Holding(path, "eth1", ()),)


@pytest.mark.parametrize(
    ("host", "before", "chosen"),
    [
        ("networkd", (), "networkd"),
        ("", (), "networkd"),
        ("networkd netplan", (), "netplan"),
        ("ifupdown", (), "ifupdown"),
        ("ifupdown2", (), "ifupdown2"),
        ("slackware", (), "slackware"),
        ("networkd ifupdown", (), "networkd"),
        ("networkd netplan", held(networkd.path("eth1")), "networkd"),
        ("networkd", held(netplan.PATH), "netplan"),
        ("ifupdown2", held(ifupdown.PATH), "ifupdown2"),
        ("", held(ifupdown.PATH), "ifupdown"),
        ("", held(slackware.SCRIPT), "slackware"),
    ],
)
def test_host_keeps_what_it_uses(host: str, before: tuple[Holding, ...], chosen: str) -> None:
    assert renderers.choice(uses(host), before).name == chosen


def test_topology_has_the_last_word() -> None:
    node = kept_by("netplan").nodes[0]
    assert renderers.choose(node, uses("ifupdown2"), ()).name == "netplan"


def test_examples() -> None:
    assert doctest.testmod(renderers).failed == 0


def hosts(mesh: Topology) -> dict[str, Kernel]:
    found = {node.name: fresh(node) for node in mesh.nodes}
    for kernel in found.values():
        kernel.host.on("netplan generate").on("ip link set *").on("ip address replace *").on("grep -qE *")
    return found


@pytest.fixture(params=["ifupdown", "ifupdown2"])
def boot_only(request: pytest.FixtureRequest) -> Topology:
    return kept_by(request.param)


async def test_kernel_is_told_what_the_next_boot_would_do(boot_only: Topology) -> None:
    kernels = hosts(boot_only)
    kernels["node1"].host.on("ip address replace 10.50.1.1/32 dev lo", then=kernels["node1"].configure)
    kernels["node1"].host.on("ip *eth3 up", then=kernels["node1"].configure)
    host = await apply(boot_only, kernels)
    assert host.written == [ifupdown.PATH]
    assert host.ran == [
        "ip address replace 10.50.1.1/32 dev lo",
        "ip link set dev eth1 up",
        "ip address replace 192.168.11.1/30 dev eth1",
        "ip link set dev eth2 up",
        "ip address replace 192.168.11.17/30 dev eth2",
        "ip link set dev eth3 up",
    ]
    assert [line.split(f" {deadman.FOLDER} ")[1].split()[0] for line in host.safeguards] == ["arm", "confirm"]
    kernels["node1"].host.on(OURS, said(boot_only))
    assert (await apply(boot_only, kernels)).ran == []


def said(mesh: Topology) -> str:
    """What `grep` finds in the file of node1."""
    content = Links(mesh).render(mesh.nodes[0])[ifupdown.PATH].content.decode()
    return "".join(f"{ifupdown.PATH}:{line}\n" for line in content.splitlines() if line.startswith("# has: "))


async def test_file_that_the_next_boot_would_not_read_is_not_written(boot_only: Topology) -> None:
    kernels = hosts(boot_only)
    kernels["node1"].host.on("grep -qE *", status=1)
    with pytest.raises(RefusedError, match=r"does not read /etc/network/interfaces\.d/meshctl"):
        await apply(boot_only, kernels)
    assert kernels["node1"].host.written == kernels["node1"].host.ran == []


async def test_only_what_differs_is_touched(boot_only: Topology) -> None:
    kernels = hosts(boot_only)
    kernel = kernels["node1"]
    kernel.configure()
    kernel.host.files.update(Links(boot_only).render(boot_only.nodes[0]))
    kernel.host.on(OURS, said(boot_only))
    kernel.nics["eth2"]["mtu"] = 1400
    kernel.show()
    kernel.host.on("ip link set dev eth2 mtu 1500", then=kernel.configure)
    assert (await apply(boot_only, kernels)).ran == ["ip link set dev eth2 mtu 1500"]


async def test_address_that_left_the_topology_goes(boot_only: Topology) -> None:
    """Nobody but us would take it away: the file is for the next boot."""
    kernels = hosts(boot_only)
    kernel = kernels["node1"]
    kernel.configure()
    kernel.host.on(OURS, f"{ifupdown.PATH}:# has: eth1 192.168.11.77/30\n")
    kernel.nics["eth1"]["addresses"] = {IPv4Interface("192.168.11.77/30"), IPv4Interface("192.168.11.1/30")}
    kernel.show()
    kernel.host.on("ip addr del *", then=kernel.configure)
    assert (await apply(boot_only, kernels)).ran == ["ip addr del 192.168.11.77/30 dev eth1"]


async def test_another_renderer_takes_over(boot_only: Topology) -> None:
    """The addresses stay, networkd's files go: at the next boot it would configure the same NICs."""
    kernels = hosts(boot_only)
    kernel = kernels["node1"]
    kernel.configure()
    mesh = golden.topology("triangle")
    old = Links(mesh).render(mesh.nodes[0])
    lines = [
        f"{path}:{line}"
        for path, file in old.items()
        for line in file.content.decode().splitlines()
        if line.startswith(("Name=", "Address="))
    ]
    kernel.host.on(OURS, "\n".join(lines)).on("rm -f -- *")
    host = await apply(boot_only, kernels)
    assert host.ran == [f"rm -f -- {path}" for path in sorted(old)]
    assert set(old) | {ifupdown.PATH} <= set(host.safeguards[0].split())


async def test_netplan_is_generated_and_networkd_told() -> None:
    topology = kept_by("netplan")
    kernels = hosts(topology)
    host = await apply(topology, kernels)
    assert host.written == [netplan.PATH]
    assert host.ran == ["netplan generate", "networkctl reload", "networkctl reconfigure lo eth1 eth2 eth3"]
    assert (await apply(topology, kernels)).ran == []


async def test_netplan_that_nobody_has_told_of_its_file() -> None:
    topology = kept_by("netplan")
    kernels = hosts(topology)
    await apply(topology, kernels)
    kernel = kernels["node1"]
    index = list(kernel.nics).index("eth1") + 1
    kernel.host.on("sh -c stat *", f"200.1 {netplan.PATH}\n200.0 /run/systemd/netif/links/{index}\n")

    def read() -> None:
        kernel.host.on("sh -c stat *")

    kernel.host.on("networkctl reload", then=read)
    assert (await apply(topology, kernels)).ran[0] == "netplan generate"


def test_devices_configured_before_the_file_was_written() -> None:
    times = f"200.1 {netplan.PATH}\n200.0 /run/systemd/netif/links/2\n200.3 /run/systemd/netif/links/3\n"
    assert older(times, {"eth1": 2, "eth2": 3}, netplan.PATH) == ["eth1"]
    assert older("", {"eth1": 2}, netplan.PATH) == []


async def test_operator_is_told_which_program_keeps_the_links() -> None:
    mesh = golden.topology("triangle")
    kernels = hosts(mesh)
    kernel = kernels["node1"]
    kernel.configure()
    kernel.host.on(HABITS, "ifupdown2\n")
    notes: list[str] = []
    await Links(mesh).apply(kernel.node, kernel.host, replace(cluster_of(mesh, kernels), note=notes.append))
    assert notes == ["node1: its links are kept by ifupdown2"]
