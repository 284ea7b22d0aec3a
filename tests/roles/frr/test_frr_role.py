"""The frr role against fake hosts: what it renders, changes, refuses and reports."""

import json
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, RefusedError
from meshctl.host.base import Result
from meshctl.host.fake import FakeHost
from meshctl.roles.frr import parse, vty
from meshctl.roles.frr.role import Frr
from meshctl.roles.frr.vty import CONF
from meshctl.state import StateFolder
from meshctl.topology import Node, Topology
from meshctl.topology.settings import Bfd
from tests.roles import golden
from tests.roles.frrhost import FrrHost, apply

DATA = Path(__file__).parent / "data"


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


@pytest.mark.parametrize("name", ["triangle", "five", "ring", "dual", "switched"])
def test_files_are_as_reviewed(name: str) -> None:
    golden.check(__file__, Frr, name)


def test_bfd_values_equal_to_the_defaults_are_left_out(mesh: Topology) -> None:
    conf = Frr(mesh).render(mesh.nodes[0])[CONF].content.decode()
    assert "  transmit-interval" not in conf
    assert "detect-multiplier" not in conf
    fast = replace(mesh, bfd=mesh.bfd.model_copy(update={"interval": 50, "multiplier": 5}))
    conf = Frr(fast).render(mesh.nodes[0])[CONF].content.decode()
    assert "  detect-multiplier 5\n  transmit-interval 50\n  receive-interval 50\n" in conf


def test_bfd_profiles(mesh: Topology) -> None:
    fast = replace(mesh, bfd=Bfd.model_validate({"profile": "fast"}))
    conf = Frr(fast).render(mesh.nodes[0])[CONF].content.decode()
    assert " profile meshctl\n  transmit-interval 50\n  receive-interval 50\n exit" in conf
    off = replace(mesh, bfd=Bfd.model_validate({"profile": "none"}))
    assert "bfd" not in Frr(off).render(mesh.nodes[0])[CONF].content.decode()


def test_an_empty_bfd_block_is_no_difference(mesh: Topology) -> None:
    off = replace(mesh, bfd=Bfd.model_validate({"profile": "none"}))
    conf = Frr(off).render(mesh.nodes[0])[CONF].content.decode()
    assert parse.differences(conf, conf.replace("end\n", "bfd\nexit\n!\nend\n")) == ""
    assert parse.differences(conf, conf.replace("end\n", "bfd\n profile meshctl\n exit\nexit\n!\nend\n")) != ""


def test_only_addresses_inside_the_prefixes_are_redistributed(mesh: Topology) -> None:
    prefixes = [IPv4Network("10.100.0.0/24"), IPv4Network("10.200.0.7/32")]
    wide = replace(mesh, ospf=mesh.ospf.model_copy(update={"redistribute": prefixes}))
    conf = Frr(wide).render(mesh.nodes[0])[CONF].content.decode()
    assert "ip prefix-list meshctl-redistribute seq 5 permit 10.100.0.0/24 ge 32 le 32\n" in conf
    assert "ip prefix-list meshctl-redistribute seq 10 permit 10.200.0.7/32\n" in conf
    assert " redistribute kernel route-map meshctl-redistribute\n" in conf


def test_what_a_lab_host_runs_is_what_was_rendered(mesh: Topology) -> None:
    conf = Frr(mesh).render(mesh.nodes[0])[CONF].content.decode()
    assert parse.differences(conf, (DATA / "running.conf").read_text()) == ""


async def test_first_run_restarts_once(mesh: Topology, tmp_path: Path) -> None:
    host = FrrHost()
    await apply(mesh, host, tmp_path)
    assert host.ran == ["systemctl reset-failed frr.service", "systemctl restart frr.service"]
    assert host.written == ["/etc/frr/daemons", CONF, vty.VTYSH]


async def test_second_run_changes_nothing(mesh: Topology, tmp_path: Path) -> None:
    host = FrrHost()
    await apply(mesh, host, tmp_path)
    host.forget()
    await apply(mesh, host, tmp_path)
    assert (host.ran, host.written) == ([], [])


async def test_killed_after_writing_the_files(mesh: Topology, tmp_path: Path) -> None:
    host = FrrHost()
    host.files.update(Frr(mesh).render(mesh.nodes[0]))
    await apply(mesh, host, tmp_path)
    assert host.ran[-1] == "systemctl restart frr.service"


async def test_edited_file_is_repaired_without_a_command(mesh: Topology, tmp_path: Path) -> None:
    host = FrrHost()
    await apply(mesh, host, tmp_path)
    host.forget()
    edited = host.files[CONF].content.decode().replace("dead-interval 4", "dead-interval 9")
    host.files[CONF] = replace(host.files[CONF], content=edited.encode())
    await apply(mesh, host, tmp_path)
    assert (host.ran, host.written) == ([], [CONF])


async def test_routes_without_their_source_are_made_anew(mesh: Topology, tmp_path: Path) -> None:
    host = FrrHost()
    await apply(mesh, host, tmp_path)
    host.forget()
    route = {"dst": "10.50.1.2", "gateway": "192.168.11.2", "dev": "eth1", "protocol": "ospf", "metric": 20}
    host.on("ip -j * route show", json.dumps([{**route, "prefsrc": "10.50.1.1"}, {**route, "protocol": "kernel"}]))
    await apply(mesh, host, tmp_path)
    assert not host.ran
    host.on("ip -j * route show", json.dumps([route]))
    await apply(mesh, host, tmp_path)
    assert host.ran == ["systemctl reset-failed frr.service", "systemctl restart frr.service"]


@pytest.mark.parametrize(("started", "told"), [(0, "-c show daemons -c show version\n"), (3, "")])
def test_a_starting_frr_is_asked_nothing(tmp_path: Path, started: int, told: str) -> None:
    for name, script in {"systemctl": f"exit {started}", "vtysh": 'echo "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    argv = vty.asking("show daemons", "show version")
    done = subprocess.run(argv, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (started, told)


async def test_edited_running_configuration_is_reloaded_never_restarted(mesh: Topology, tmp_path: Path) -> None:
    host = FrrHost()
    await apply(mesh, host, tmp_path)
    host.forget()
    host.runs("zebra ospfd bfdd", host.files[CONF].content.decode() + "interface eth1\n ip ospf cost 7\n")
    await apply(mesh, host, tmp_path)
    assert host.ran == ["systemctl reload frr.service"]


async def test_stopped_unit_is_started(mesh: Topology, tmp_path: Path) -> None:
    host = FrrHost()
    await apply(mesh, host, tmp_path)
    host.forget()
    host.on("systemctl show *", "Id=frr.service\nActiveState=inactive\nUnitFileState=disabled\n")
    host.on("*is-active*vtysh *", status=1, stderr="failed to connect to any daemons.")
    host.on("systemctl enable frr.service")

    def start() -> None:
        del host.answers["*is-active*vtysh *"]
        host.start()

    host.on("systemctl restart frr.service", then=start)
    await apply(mesh, host, tmp_path)
    assert host.ran == [
        "systemctl enable frr.service",
        "systemctl reset-failed frr.service",
        "systemctl restart frr.service",
    ]


async def test_someone_elses_configuration_is_refused(mesh: Topology, tmp_path: Path) -> None:
    host = FrrHost(saved="router bgp 65000\n")
    with pytest.raises(RefusedError, match="router bgp 65000"):
        await apply(mesh, host, tmp_path)
    assert (host.ran, host.written) == ([], [])


async def test_a_configuration_that_frr_rejects_never_lands(mesh: Topology, tmp_path: Path) -> None:
    host = FrrHost()
    host.on("sh -c cat | vtysh *", "line 3: % Unknown command: ip ospf bfd", status=2)
    with pytest.raises(CommandError, match="Unknown command"):
        await apply(mesh, host, tmp_path)
    assert (host.ran, host.written) == ([], [])


# --- the gate


class RoutingHost(FakeHost):
    """A host with a view of its neighbours, BFD peers and routes, which tests change."""

    def __init__(self, mesh: Topology, node: Node) -> None:
        super().__init__(node.name)
        self.neighbours: dict[str, list[dict[str, str]]] = {}
        for port in node.ports:
            self.neighbours.setdefault(str(mesh.node(port.peer).loopback), []).append(
                {"nbrState": "Full/-", "ifaceAddress": str(port.peer_address.ip), "ifaceName": f"{port.nic}:x"}
            )
        self.bfd = [{"peer": str(p.peer_address.ip), "interface": p.nic, "status": "up"} for p in node.ports]
        self.routes = [
            {"dst": str(other.loopback), "protocol": "ospf", "prefsrc": str(node.loopback)}
            for other in mesh.nodes
            if other is not node
        ]
        self.ospfd_says = ""
        self.on("sh -c *ping*")

    def _answer(self, argv: Sequence[str], ok: Collection[int] | None) -> Result:
        ospfd = self.ospfd_says or json.dumps({"neighbors": self.neighbours}, indent=2)
        sessions = f"{ospfd}\n{json.dumps(self.bfd, indent=2)}\n"
        self.on("*vtysh -c show ip ospf neighbor json -c show bfd peers json", sessions)
        self.on("ip -j -4 route show", json.dumps(self.routes))
        return super()._answer(argv, ok)


Hosts = dict[str, RoutingHost]


def healthy(mesh: Topology) -> Hosts:
    return {node.name: RoutingHost(mesh, node) for node in mesh.nodes}


async def problems(mesh: Topology, hosts: Hosts, tmp_path: Path) -> list[tuple[str, str, str]]:
    found = await Frr(mesh).verify(Cluster(mesh, hosts, StateFolder(tmp_path)))
    return [(p.host, p.what, p.seen) for p in found]


@pytest.mark.parametrize("name", ["triangle", "five", "ring", "dual", "switched"])
async def test_healthy_cluster_has_no_problem(name: str, tmp_path: Path) -> None:
    mesh = golden.topology(name)
    assert await problems(mesh, healthy(mesh), tmp_path) == []


async def test_missing_neighbours(mesh: Topology, tmp_path: Path) -> None:
    hosts = healthy(mesh)
    hosts["node2"].neighbours.clear()
    assert set(await problems(mesh, hosts, tmp_path)) == {
        ("node2", "OSPF adjacency with node1 on eth2", "no neighbour"),
        ("node2", "OSPF adjacency with node3 on eth1", "no neighbour"),
    }


async def test_neighbour_stuck_by_unequal_mtus(mesh: Topology, tmp_path: Path) -> None:
    hosts = healthy(mesh)
    hosts["node1"].neighbours["10.50.1.2"][0]["nbrState"] = "ExStart/-"
    found = await Frr(mesh).verify(Cluster(mesh, hosts, StateFolder(tmp_path)))
    assert [(p.host, p.seen) for p in found] == [("node1", "ExStart")]
    assert "MTU" in found[0].advice


async def test_wrong_router_at_the_other_end(mesh: Topology, tmp_path: Path) -> None:
    hosts = healthy(mesh)
    hosts["node1"].neighbours["10.9.9.9"] = hosts["node1"].neighbours.pop("10.50.1.2")
    [(host, what, seen)] = await problems(mesh, hosts, tmp_path)
    assert (host, what, seen) == ("node1", "OSPF adjacency with node2 on eth1", "router 10.9.9.9, Full")


async def test_unexpected_neighbour(mesh: Topology, tmp_path: Path) -> None:
    hosts = healthy(mesh)
    stranger = {"nbrState": "Full/-", "ifaceAddress": "192.0.2.9", "ifaceName": "eth3:x"}
    hosts["node3"].neighbours["10.9.9.9"] = [stranger]
    assert [p[1] for p in await problems(mesh, hosts, tmp_path)] == ["unexpected OSPF neighbour on eth3"]


async def test_one_of_two_parallel_cables_is_dead(tmp_path: Path) -> None:
    mesh = golden.topology("dual")
    hosts = healthy(mesh)
    node = mesh.nodes[0]
    port = node.ports[0]
    for entries in hosts[node.name].neighbours.values():
        entries[:] = [e for e in entries if e["ifaceAddress"] != str(port.peer_address.ip)]
    assert [p[1] for p in await problems(mesh, hosts, tmp_path)] == [f"OSPF adjacency with {port.peer} on {port.nic}"]


async def test_ospfd_is_dead(mesh: Topology, tmp_path: Path) -> None:
    hosts = healthy(mesh)
    hosts["node1"].ospfd_says = "ospfd is not running"
    assert [p[1] for p in await problems(mesh, hosts, tmp_path)] == ["ospfd does not answer"]


async def test_bfd_session_is_down(mesh: Topology, tmp_path: Path) -> None:
    hosts = healthy(mesh)
    hosts["node1"].bfd[0]["status"] = "down"
    assert await problems(mesh, hosts, tmp_path) == [("node1", "BFD session with node2 on eth1", "down")]


async def test_without_bfd_nobody_asks_for_sessions(mesh: Topology, tmp_path: Path) -> None:
    hosts = healthy(mesh)
    for host in hosts.values():
        host.bfd.clear()
    off = replace(mesh, bfd=Bfd.model_validate({"profile": "none"}))
    assert await problems(off, hosts, tmp_path) == []


async def test_bfd_session_is_missing(mesh: Topology, tmp_path: Path) -> None:
    hosts = healthy(mesh)
    hosts["node1"].bfd.clear()
    assert ("node1", "BFD session with node2 on eth1", "no session") in await problems(mesh, hosts, tmp_path)


async def test_route_is_in_frr_but_not_in_the_kernel(mesh: Topology, tmp_path: Path) -> None:
    hosts = healthy(mesh)
    hosts["node1"].routes.clear()
    assert ("node1", "kernel route to node2", "no OSPF route") in await problems(mesh, hosts, tmp_path)


async def test_route_without_the_loopback_as_source(mesh: Topology, tmp_path: Path) -> None:
    hosts = healthy(mesh)
    del hosts["node1"].routes[0]["prefsrc"]
    assert await problems(mesh, hosts, tmp_path) == [
        ("node1", "kernel route to node2", "a route with source of the link")
    ]


async def test_silent_loopback(mesh: Topology, tmp_path: Path) -> None:
    hosts = healthy(mesh)
    hosts["node3"].on("sh -c *ping* 10.50.1.3 10.50.1.1 10.50.1.2", "10.50.1.2\n")
    assert await problems(mesh, hosts, tmp_path) == [
        ("node3", "node2's loopback does not answer", "no answer within 1 s")
    ]
