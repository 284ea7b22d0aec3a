"""Who brings the routes: signed OSPF, OpenFabric, static routes, and the change from one to another under traffic."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from meshctl.cli.options import Options
from meshctl.cli.reach import connected
from meshctl.cluster import Cluster
from meshctl.events import Report
from meshctl.lab import running
from meshctl.roles.base import Problem
from meshctl.roles.frr.role import Frr
from meshctl.topology import load
from tests.lab import routing
from tests.lab.conftest import ROOT, TRIANGLE, Lab

pytestmark = [pytest.mark.lab, pytest.mark.long]

T = TypeVar("T")
NODES = ("node1", "node2", "node3")
SIGNED = "ospf: {authentication: hmac-sha-256}\n"
WOVEN = "routing: {protocol: openfabric}\n"
STATIC = "routing: {protocol: static}\n"
LONGEST = 3.0
"""Seconds of loss beside a full machine that still count as a change without an outage."""


class Mesh:
    """Three hosts that route and do nothing else, over the kernel's own cables."""

    def __init__(self, lab: Lab, file: Path) -> None:
        self.lab, self.file = lab, file

    def converge(self, sections: str = "", *, dual: bool = False) -> Report:
        """Make it route as these sections say; the report of the last try."""
        text = Path(ROOT, TRIANGLE).read_text()
        if dual:
            text = text.replace("mesh:\n", "mesh:\n  loopbacks6: fd00:50::/64\n")
        self.file.write_text(text + sections)
        return asyncio.run(self._with(routing.converge))

    def problems(self) -> list[Problem]:
        """What the gate says, once."""
        return asyncio.run(self._with(lambda cluster: Frr(cluster.topology).verify(cluster)))

    def settled(self, patience: float = 60) -> list[Problem]:
        """What the gate still says when its patience is over; nothing as soon as it says nothing."""
        ends = time.monotonic() + patience
        while (found := self.problems()) and time.monotonic() < ends:
            time.sleep(0.5)
        return found

    async def _with(self, act: Callable[[Cluster], Awaitable[T]]) -> T:
        topology, options = load(self.file), Options(lab=self.lab.name)
        state = options.state(topology)
        state.ensure()
        async with connected(topology, options, state, accept_new=False) as hosts:
            return await act(Cluster(topology, hosts, state))

    def ssh(self, node: str, *command: str) -> str:
        return self.lab.ssh(node, *command)

    @property
    def key(self) -> Path:
        return Path("/var/lib/meshctl/labs") / self.lab.name / "state" / "routing.key"

    @contextmanager
    def traffic(self) -> Iterator[list[float]]:
        """Probes every 50 ms between two loopbacks; afterwards the list has the seconds that were lost."""
        lost: list[float] = []
        command = ["ping", "-q", "-i", "0.05", "-w", "600", "-I", "10.50.1.1", "10.50.1.2"]
        argv = [sys.executable, "-m", "meshctl", f"--lab={self.lab.name}", "lab", "ssh", self.lab.topology, "node1"]
        with subprocess.Popen([*argv, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True) as probe:
            time.sleep(2)
            yield lost
            self.ssh("node1", "pkill", "-INT", "-x", "ping")
            said = probe.communicate(timeout=60)[0]
        sent, received = (int(number) for number in re.findall(r"(\d+) (?:packets transmitted|received)", said))
        assert received > 0, said
        lost.append((sent - received) * 0.05)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    file = tmp_path_factory.mktemp("protocols") / "triangle.yaml"
    file.write_text(Path(ROOT, TRIANGLE).read_text())
    lab = Lab(f"pr{os.getpid()}", str(file))
    try:
        asyncio.run(running.up(load(file), name=lab.name, plain=True))
        made = Mesh(lab, file)
        assert made.converge().ok
        yield made
    finally:
        lab.ok("lab", "down", lab.topology)


def ok(report: Report) -> None:
    assert report.ok, [problem for result in report.results for problem in result.problems]


def unchanged(report: Report) -> None:
    ok(report)
    assert [change.target for result in report.results for change in result.changes if result.step.role == "frr"] == []


def test_signing_is_switched_on_and_shows_nobody_the_key(mesh: Mesh) -> None:
    with mesh.traffic() as lost:
        ok(mesh.converge(SIGNED))
    assert lost[0] < LONGEST
    unchanged(mesh.converge(SIGNED))
    for node in NODES:
        assert '"keychain":"meshctl"' in mesh.ssh(node, "vtysh", "-c", "'show ip ospf interface json'")
    hidden(mesh, mesh.key.read_text().strip())


def test_another_key_reaches_all_hosts(mesh: Mesh) -> None:
    old = mesh.key.read_text().strip()
    mesh.key.write_text("another-key-of-the-same-cluster-0123456789\n")
    with mesh.traffic() as lost:
        ok(mesh.converge(SIGNED))
    assert lost[0] < LONGEST
    unchanged(mesh.converge(SIGNED))
    for key in (old, mesh.key.read_text().strip()):
        hidden(mesh, key)


def hidden(mesh: Mesh, key: str) -> None:
    """Not in a journal, not in a log, not in a temporary file; and nobody but root and frr can read it."""
    for node in NODES:
        assert mesh.ssh(node, f"cat /etc/frr/frr.conf | grep -c 'key-string' ; : {node}").strip() == "1"
        places = "/var/log /run /tmp /root"
        assert mesh.ssh(
            node, f"grep -rlF -e {key} {places} 2>/dev/null; journalctl --no-pager | grep -cF {key}; :"
        ) == ("0\n"), node
        nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups"
        assert mesh.ssh(node, f"{nobody} grep -rlsF -e {key} /etc /var /run /tmp; :") == ""


def test_a_lost_state_folder_finds_the_key_again(mesh: Mesh) -> None:
    key = mesh.key.read_text()
    mesh.key.unlink()
    unchanged(mesh.converge(SIGNED))
    assert mesh.key.read_text() == key


def test_a_host_with_another_key_is_named_and_mended(mesh: Mesh) -> None:
    chain = r"key chain meshctl\n key 1\n  key-string somebody-elses-key\n exit\nexit\n"
    mesh.ssh("node2", f"printf '{chain}' > /root/k && vtysh -f /root/k; rm /root/k")
    found, deadline = mesh.problems(), time.monotonic() + 60
    while "it signs with another key" not in str(found) and time.monotonic() < deadline:
        found = mesh.problems()
    assert [p.host for p in found if p.what.startswith("it signs with another key")] == ["node2"]
    ok(mesh.converge(SIGNED))


def test_signing_is_switched_off(mesh: Mesh) -> None:
    ok(mesh.converge())
    unchanged(mesh.converge())


def test_openfabric_takes_over(mesh: Mesh) -> None:
    with mesh.traffic() as lost:
        ok(mesh.converge(WOVEN))
    print(f"ospf to openfabric lost {lost[0]:.2f} s")
    assert lost[0] < LONGEST
    unchanged(mesh.converge(WOVEN))
    assert "openfabric" in mesh.ssh("node1", "ip", "route", "show", "10.50.1.2")
    assert "ospfd" not in mesh.ssh("node1", "vtysh", "-c", "'show daemons'")


def test_openfabric_goes_around_a_dead_cable(mesh: Mesh) -> None:
    survives_a_cut(mesh)


def survives_a_cut(mesh: Mesh, *how: str) -> None:
    with mesh.traffic() as lost:
        mesh.lab.ok("lab", "cut", mesh.lab.topology, "node1", "node2", *how)
        time.sleep(3)
        mesh.lab.ok("lab", "heal", mesh.lab.topology, "node1", "node2")
        assert mesh.settled() == []
    print(f"cut {how} lost {lost[0]:.2f} s")
    assert lost[0] < LONGEST


@pytest.mark.parametrize("sections", [WOVEN, SIGNED])
def test_ipv6_beside_ipv4(mesh: Mesh, sections: str) -> None:
    with mesh.traffic() as lost:
        ok(mesh.converge(sections, dual=True))
    print(f"dual stack with {sections.strip()} lost {lost[0]:.2f} s")
    assert lost[0] < LONGEST
    unchanged(mesh.converge(sections, dual=True))
    mesh.ssh("node1", "ping", "-c", "1", "-W", "5", "-I", "fd00:50::1", "fd00:50::3")
    survives_a_cut(mesh)


def test_ipv6_ends(mesh: Mesh) -> None:
    ok(mesh.converge())
    unchanged(mesh.converge())
    assert "fd00" not in mesh.ssh("node1", "ip", "-6", "route") + mesh.ssh("node1", "ip", "-6", "addr")


def test_static_routes_take_over(mesh: Mesh) -> None:
    with mesh.traffic() as lost:
        ok(mesh.converge(STATIC))
    print(f"ospf to static lost {lost[0]:.2f} s")
    assert lost[0] < LONGEST
    unchanged(mesh.converge(STATIC))
    assert "active" not in mesh.ssh("node1", "systemctl is-active frr.service; :").split()


def test_static_routes_go_around_a_cable_without_carrier(mesh: Mesh) -> None:
    survives_a_cut(mesh)


def test_static_routes_come_back_after_a_reboot_and_a_switched_off_nic(mesh: Mesh) -> None:
    mesh.ssh("node1", "ip", "link", "set", "eth1", "down")
    mesh.ssh("node1", "ip", "link", "set", "eth1", "up")
    by_itself = mesh.settled(patience=10)
    print("after ip link down, up:", by_itself)
    ok(mesh.converge(STATIC))
    mesh.lab.ok("lab", "power-off", mesh.lab.topology, "node2")
    mesh.lab.ok("lab", "power-on", mesh.lab.topology, "node2")
    assert mesh.settled(patience=120) == []


def test_ospf_takes_over_again(mesh: Mesh) -> None:
    with mesh.traffic() as lost:
        ok(mesh.converge())
    print(f"static to ospf lost {lost[0]:.2f} s")
    assert lost[0] < LONGEST
    unchanged(mesh.converge())
    assert mesh.ssh("node1", "ls", "-d", "/etc/systemd/network/*.d; :").strip() == ""
    assert mesh.ssh("node1", "sysctl", "-n", "net.ipv4.conf.all.ignore_routes_with_linkdown") == "0\n"
