"""A bare image and an unusual topology: another user and port, long NIC names, two cables, disks by id."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshctl.lab import running
from meshctl.lab.login import ssh_argv
from meshctl.lab.names import paths
from meshctl.topology import loads

pytestmark = pytest.mark.lab

LAB = f"bare-{os.getpid()}"
TOPOLOGY = """\
cluster: bare
ssh: {user: ops, port: 2222}
nodes:
  alpha: {address: 172.31.17.4, disks: [/dev/disk/by-id/osd-1, /dev/sdc], management_nic: eno1}
  beta: {address: 172.31.17.5, disks: [/dev/disk/by-id/osd-1], management_nic: eno1}
cables:
  - alpha:enp129s0f0np0v1 <-> beta:enp129s0f0np0v1
  - alpha:enp129s0f0np0v2 <-> beta:enp129s0f0np0v2
mesh: {loopbacks: 10.50.1.0/24, links: 192.168.11.0/24}
"""
NIC = "enp129s0f0np0v1"
INSTALL = (
    "sudo apt-get -q update && sudo DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends"
    " install openvswitch-switch iputils-ping </dev/null"
)


def on(node: str, command: str) -> str:
    """What a command prints on a host; its standard error too."""
    done = subprocess.run(ssh_argv(LAB, node, [command]), capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


def both(command: str) -> None:
    """On both hosts, with the host's number in place of `@`."""
    for node, number in (("alpha", "1"), ("beta", "2")):
        on(node, command.replace("@", number))


@pytest.fixture(scope="module")
def lab() -> Iterator[None]:
    """Made under the strictest umask: what the lab writes into a host must not depend on it."""
    before = os.umask(0o077)
    try:
        asyncio.run(running.up(loads(TOPOLOGY, Path("bare.yaml")), name=LAB, image_name="bare"))
        yield
    finally:
        os.umask(before)
        asyncio.run(running.down(LAB))


@pytest.mark.usefixtures("lab")
def test_the_user_may_use_sudo_and_sees_the_labs_settings() -> None:
    assert on("alpha", "id -un; sudo -n id -un").split() == ["ops", "root"]
    assert on("alpha", "sudo printenv CEPH_VOLUME_ALLOW_LOOP_DEVICES").strip() == "1"
    assert on("alpha", "systemctl is-system-running --wait").strip() == "running"
    assert paths(LAB).known_hosts.read_text().startswith("[172.31.17.4]:2222 ssh-ed25519 ")


@pytest.mark.usefixtures("lab")
def test_disks_are_where_the_topology_says() -> None:
    for disk in ("/dev/disk/by-id/osd-1", "/dev/sdc"):
        assert on("alpha", f"sudo blockdev --getsize64 {disk}").strip() == str(8 << 30)
    first, second = on("alpha", "readlink -f /dev/disk/by-id/osd-1 /dev/sdc").split()
    assert first != second
    assert on("beta", "readlink -f /dev/disk/by-id/osd-1").strip() not in {first, second}


@pytest.mark.usefixtures("lab")
def test_packages_come_from_the_labs_repository_and_nics_survive_open_vswitch() -> None:
    both(f"sudo ip link set {NIC} up; sudo ip address add 192.168.11.@/30 dev {NIC}")
    carrier = f"cat /sys/class/net/{NIC}/carrier"
    assert on("alpha", carrier).strip() == "1"
    both(INSTALL)
    deadline = time.monotonic() + 20
    while carried(carrier) != "1":
        assert time.monotonic() < deadline, on("alpha", "ip link; sudo ovs-vsctl show")
        time.sleep(0.2)
    both(f"sudo ip address replace 192.168.11.@/30 dev {NIC}")
    pinged = on("alpha", "sudo ping -c3 -i.2 -W1 192.168.11.2")
    assert " 0% packet loss" in pinged
    assert "DUP" not in pinged


def carried(command: str) -> str:
    both(f"sudo ip link set {NIC} up")
    return on("alpha", command).strip()
