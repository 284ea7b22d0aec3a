"""Links taken off a host, whichever renderer kept them."""

import pytest

from meshctl.host.fake import FakeHost
from meshctl.roles import deadman
from meshctl.roles.links import ifupdown, netplan, networkd
from meshctl.roles.links.removal import holdings, remove
from meshctl.topology import Topology
from tests.roles import golden
from tests.roles.links.test_links_role import OURS, Kernel, cluster_of, fresh


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


def kernel_of(mesh: Topology, ours: str) -> Kernel:
    kernel = fresh(mesh.nodes[0])
    kernel.configure()
    kernel.nics["br-up"] = {"up": True, "mtu": 1500, "addresses": set()}
    kernel.show()
    kernel.host.on(OURS, ours).on("ip addr del *").on("ip link del *").on("rm -rf *").on("netplan generate")
    paths = dict.fromkeys(line.partition(":")[0] for line in ours.splitlines())
    kernel.host.on("sh -c for path; *", "".join(f"{path}\n" for path in paths))
    return kernel


async def removed(mesh: Topology, kernel: Kernel) -> FakeHost:
    cluster = cluster_of(mesh, {node.name: fresh(node) for node in mesh.nodes})
    await remove(kernel.node, kernel.host, cluster)
    return kernel.host


ERASE = "rm -rf --one-file-system --"


@pytest.mark.parametrize("path", [ifupdown.PATH, netplan.PATH])
async def test_one_file_for_all(mesh: Topology, path: str) -> None:
    said = f"{path}:# has: lo 10.50.1.1/32\n{path}:# has: eth1 192.168.11.1/30\n{path}:# has: br-up bridge\n"
    kernel = kernel_of(mesh, said)
    cluster = cluster_of(mesh, {node.name: fresh(node) for node in mesh.nodes})
    assert await holdings(kernel.node, kernel.host, cluster) == ["192.168.11.1/30 on eth1", "10.50.1.1/32 on lo"]
    host = await removed(mesh, kernel)
    told = [
        "ip link del dev br-up",
        "ip addr del 192.168.11.1/30 dev eth1",
        "ip addr del 10.50.1.1/32 dev lo",
        f"{ERASE} {path}",
    ]
    netplans = ["netplan generate"] if path == netplan.PATH else []
    assert host.ran == [*told, *netplans, "networkctl reload"]
    assert [line.split(f" {deadman.FOLDER} ")[1].split()[0] for line in host.safeguards] == ["arm", "confirm"]


async def test_bridge_of_networkd_goes_once(mesh: Topology) -> None:
    base = f"{networkd.FOLDER}/{networkd.PREFIX}br-up"
    lines = (f"{base}.netdev:Name=br-up", f"{base}.netdev:Kind=bridge", f"{base}.network:Name=br-up")
    host = await removed(mesh, kernel_of(mesh, "".join(f"{line}\n" for line in lines)))
    assert host.ran[0] == "ip link del dev br-up"
    assert [line.split()[0] for line in host.ran] == ["ip", "rm", "networkctl"]


async def test_host_without_files_of_ours_is_left_alone(mesh: Topology) -> None:
    kernel = fresh(mesh.nodes[0])
    host = await removed(mesh, kernel)
    assert host.ran == host.safeguards == []
