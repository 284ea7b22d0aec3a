"""Two labs of the same topology at once: neither sees the other, the machine sees neither, and both leave nothing."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshctl.lab import cables, cgroups, machines, running
from meshctl.lab.login import ssh_argv
from meshctl.lab.names import host_namespace, lab_namespace, paths
from meshctl.lab.status import status
from meshctl.topology import load

pytestmark = pytest.mark.lab

TRIANGLE = Path(__file__).resolve().parents[2] / "topologies/triangle.yaml"
NODES = ("node1", "node2", "node3")
LABS = (f"iso-a-{os.getpid()}", f"iso-b-{os.getpid()}")
A, B = LABS


def on(lab: str, node: str, command: str) -> str:
    """What a command prints on a host; its standard error too."""
    done = subprocess.run(ssh_argv(lab, node, [command]), capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def machine_network() -> list[str]:
    """Links, addresses and forwarding of the machine's own namespace, without counters."""
    told = subprocess.run(["ip", "-j", "address"], capture_output=True, text=True, check=True).stdout
    lines = [f"{i['ifname']} {[a['local'] for a in i['addr_info']]}" for i in json.loads(told)]
    return [*sorted(lines), Path("/proc/sys/net/ipv4/ip_forward").read_text()]


def traces(lab: str) -> list[str]:
    """All that mentions the lab on this machine: mounts, namespaces, loop devices, processes, cgroups, files."""
    loops = subprocess.run(["losetup", "--list", "--raw"], capture_output=True, text=True, check=True).stdout
    found = [line for line in Path("/proc/self/mounts").read_text().splitlines() + loops.splitlines() if lab in line]
    found += [p.name for p in Path("/run/netns").iterdir() if lab in p.name]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if lab.encode() in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    found += [str(p) for p in cgroups.hierarchy().glob(f"*{lab}*")]
    return found + [str(p) for p in paths(lab).base.parent.glob(f"*{lab}*")]


async def both_up() -> None:
    await asyncio.gather(*(running.up(load(TRIANGLE), name=lab) for lab in LABS))


async def both_down() -> None:
    await asyncio.gather(*(running.down(lab) for lab in LABS))


@pytest.fixture(scope="module")
def network_before() -> list[str]:
    return machine_network()


@pytest.fixture(scope="module")
def labs(network_before: list[str]) -> Iterator[None]:
    """Both labs, booted at the same time, with the very same addresses."""
    try:
        asyncio.run(both_up())
        yield
    finally:
        asyncio.run(both_down())


@pytest.mark.usefixtures("labs")
def test_every_host_is_a_whole_system_of_its_own() -> None:
    ids = {on(lab, node, "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub") for lab in LABS for node in NODES}
    assert len(ids) == len(LABS) * len(NODES)
    for lab in LABS:
        for node in NODES:
            assert on(lab, node, "systemctl is-system-running --wait").strip() == "running"


@pytest.mark.usefixtures("labs")
def test_no_process_is_visible_in_another_host() -> None:
    on(A, "node1", "systemd-run --quiet --unit=probe sleep 987654")
    assert "987654" in on(A, "node1", "ps ax")
    for lab, node in ((A, "node2"), (B, "node1"), (B, "node2")):
        assert "987654" not in on(lab, node, "ps ax")
        assert "supervisor" not in on(lab, node, "ps ax")


@pytest.mark.usefixtures("labs")
def test_no_unit_is_visible_or_touched_in_another_host() -> None:
    for lab, node in ((A, "node1"), (A, "node2"), (B, "node1")):
        on(lab, node, "systemd-run --quiet --unit=same sleep 123456")
    pids = {on(lab, node, "systemd-cgls --unit same.service") for lab, node in ((A, "node1"), (A, "node2"))}
    assert all(text.count("123456") == 1 for text in pids)
    before = time.monotonic()
    assert on(A, "node1", "systemctl stop same; systemctl is-active same").strip() == "inactive"
    assert time.monotonic() - before < 10  # in a shared cgroup it waits 90 s for the other hosts' processes
    assert on(A, "node2", "systemctl is-active same").strip() == "active"
    assert on(B, "node1", "systemctl is-active same").strip() == "active"


@pytest.mark.usefixtures("labs")
def test_sysctls_of_the_network_are_the_hosts_own_and_all_others_are_out_of_reach() -> None:
    on(A, "node1", "sysctl -w net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=2")
    read = "sysctl -n net.ipv4.ip_forward net.ipv4.conf.all.rp_filter"
    assert on(A, "node1", read).split() == ["1", "2"]
    for lab, node in ((A, "node2"), (B, "node1")):
        assert on(lab, node, read).split()[0] == "0"
    before = Path("/proc/sys/vm/swappiness").read_text()
    assert "denied" in on(A, "node1", "sysctl -w vm.swappiness=3") or "Read-only" in on(
        A, "node1", "sysctl -w vm.swappiness=3"
    )
    assert Path("/proc/sys/vm/swappiness").read_text() == before


@pytest.mark.usefixtures("labs")
def test_the_clock_belongs_to_the_machine() -> None:
    assert "not permitted" in on(A, "node1", "date -s '2001-01-01'")
    assert time.time() > 1_700_000_000


@pytest.mark.usefixtures("labs")
def test_the_machine_has_no_part_in_the_labs_networks(network_before: list[str]) -> None:
    assert machine_network() == network_before
    for namespace in (lab_namespace(A), host_namespace(A, "node1")):
        argv = ["nsenter", f"--net=/run/netns/{namespace}", "ip", "-j", "route", "show", "default"]
        assert json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout or "[]") == []


@pytest.mark.usefixtures("labs")
def test_a_cut_in_one_lab_is_none_in_the_other() -> None:
    asyncio.run(cables.cut(A, "node1", "node2"))
    carrier = "ip link set eth1 up; sleep 0.3; cat /sys/class/net/eth1/carrier"
    assert on(A, "node1", carrier).strip() == "0"
    assert on(B, "node1", carrier).strip() == "1"
    asyncio.run(running.power_off(A, "node1"))
    asyncio.run(running.power_on(A, "node1"))
    assert on(A, "node1", carrier).strip() == "0"  # switching on heals nothing
    asyncio.run(cables.heal(A, "node1", "node2"))
    assert on(A, "node1", carrier).strip() == "1"


@pytest.mark.usefixtures("labs")
def test_a_host_without_power_drops_the_carrier_of_its_neighbours_and_keeps_its_disk() -> None:
    carriers = "ip link set eth1 up; ip link set eth2 up; sleep 0.3; cat /sys/class/net/eth[12]/carrier"
    assert on(B, "node2", carriers).split() == ["1", "1"]
    on(B, "node3", "echo kept > /root/note; sync")
    asyncio.run(running.power_off(B, "node3"))
    assert on(B, "node2", carriers).split() == ["0", "1"]
    seen = asyncio.run(status(B))
    assert seen is not None
    assert [host.state for host in seen.hosts] == ["on", "on", "off"]
    asyncio.run(running.power_on(B, "node3"))
    assert on(B, "node2", carriers).split() == ["1", "1"]
    assert on(B, "node3", "cat /root/note").strip() == "kept"
    # A host that boots into a cgroup which was killed loses random units as they start (see cgroups.make).
    assert on(B, "node3", "systemctl is-system-running --wait").strip() == "running"
    assert on(B, "node3", "journalctl -b | grep -c 'status=9/KILL'").strip() == "0"


@pytest.mark.usefixtures("labs")
def test_a_host_that_reboots_is_started_again() -> None:
    before = on(B, "node2", "cat /proc/sys/kernel/random/boot_id")
    on(B, "node2", "systemctl reboot")
    deadline = time.monotonic() + 60
    while (after := on(B, "node2", "cat /proc/sys/kernel/random/boot_id")) == before or len(after) != len(before):
        assert time.monotonic() < deadline, after
        time.sleep(0.2)
    assert on(B, "node2", "ip -br link show eth1").startswith("eth1")


def test_down_leaves_nothing(labs: None, network_before: list[str]) -> None:
    """Last but one: one lab goes as it should, the other after its supervisors and its files were lost."""
    for node in NODES[:2]:
        pid = machines.supervisor(B, node)
        assert pid
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(paths(B).base)
    asyncio.run(both_down())
    assert {lab: traces(lab) for lab in LABS} == {lab: [] for lab in LABS}
    assert machine_network() == network_before
    assert [asyncio.run(running.down(lab)) for lab in LABS] == [False, False]


def test_half_a_lab_is_cleared_away() -> None:
    """`up` died after the first namespace and before the plan was written."""
    subprocess.run(["ip", "netns", "add", host_namespace(A, "node9")], check=True)
    paths(A).nodes.mkdir(parents=True)
    assert asyncio.run(running.down(A))
    assert traces(A) == []
