"""OSPF's packets are signed: one key per cluster, which nobody but FRR gets to see."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import SecretsError
from meshctl.host.fake import FakeHost
from meshctl.roles.frr import key, parse
from meshctl.roles.frr.role import Frr
from meshctl.roles.frr.vty import CONF
from meshctl.state import StateFolder, VolatileState
from meshctl.topology import Topology
from tests.roles import golden
from tests.roles.frrhost import FrrHost, apply

LOAD = "sh -c umask 077*vtysh -f*"
KEY = "0123456789abcdef0123456789abcdef"


def signed(name: str) -> Topology:
    mesh = golden.topology(name)
    return replace(mesh, ospf=mesh.ospf.model_copy(update={"authentication": "hmac-sha-256"}))


@pytest.fixture
def mesh() -> Topology:
    return signed("triangle")


@pytest.fixture
def host() -> FrrHost:
    host = FrrHost()
    host.on(LOAD, then=lambda: None)
    return host


def keep(folder: Path, content: str = f"{KEY}\n") -> None:
    StateFolder(folder).write_secret(key.FILE, content.encode())


def kept(folder: Path) -> str:
    return (folder / key.FILE).read_text()


@pytest.mark.parametrize("name", ["triangle", "five"])
def test_files_are_as_reviewed(name: str) -> None:
    mesh = signed(name)
    golden.check_files(__file__, f"{name}-signed", {node.name: Frr(mesh).render(node) for node in mesh.nodes})


async def test_the_first_run_makes_a_key_that_only_its_owner_and_frr_can_read(
    mesh: Topology, host: FrrHost, tmp_path: Path
) -> None:
    await apply(mesh, host, tmp_path)
    found = kept(tmp_path).strip()
    assert len(found) == 64
    assert stat.S_IMODE((tmp_path / key.FILE).stat().st_mode) == 0o600
    file = host.files[CONF]
    assert (file.mode, file.owner, file.group, file.secret) == (0o640, "frr", "frr", True)
    assert parse.routing_key(file.content.decode()) == found
    assert not any(found in line for line in host.ran + host.queried)


async def test_the_second_run_changes_nothing(mesh: Topology, host: FrrHost, tmp_path: Path) -> None:
    await apply(mesh, host, tmp_path)
    host.forget()
    await apply(mesh, host, tmp_path)
    assert (host.ran, host.written) == ([], [])


async def test_frr_has_another_key_before_frr_reload_could_log_it(
    mesh: Topology, host: FrrHost, tmp_path: Path
) -> None:
    await apply(mesh, host, tmp_path)
    keep(tmp_path)
    host.forget()
    host.stdins.clear()
    await apply(mesh, host, tmp_path)
    assert [line.split()[0] for line in host.ran] == ["sh", "systemctl"]
    assert f"  key-string {KEY}\n".encode() in host.stdins[0]
    assert not any(KEY in line for line in host.ran)


async def test_signing_is_switched_on_in_a_running_frr(mesh: Topology, host: FrrHost, tmp_path: Path) -> None:
    await apply(golden.topology("triangle"), host, tmp_path)
    host.forget()
    await apply(mesh, host, tmp_path)
    assert [line.split()[0] for line in host.ran] == ["sh", "systemctl"]


async def test_a_lost_state_folder_gets_the_key_of_most_hosts(mesh: Topology, tmp_path: Path) -> None:
    hosts = {node.name: FrrHost(node.name) for node in mesh.nodes}
    for name, own in zip(hosts, (KEY, KEY, KEY[::-1]), strict=True):
        role = Frr(mesh)
        role._key = own
        hosts[name].files[CONF] = role.render(mesh.node(name))[CONF]
    notes: list[str] = []
    await Frr(mesh).prepare(Cluster(mesh, hosts, StateFolder(tmp_path), note=notes.append))
    assert kept(tmp_path).strip() == KEY
    assert "node1, node2 had it" in notes[0]


async def test_a_plan_keeps_no_key(mesh: Topology, host: FrrHost, tmp_path: Path) -> None:
    hosts = {node.name: host for node in mesh.nodes}
    await Frr(mesh).prepare(Cluster(mesh, hosts, VolatileState(tmp_path)))
    assert not (tmp_path / key.FILE).exists()


@pytest.mark.parametrize("content", ["", "short", "two lines of\nsomething long enough", "k" * 200])
async def test_a_damaged_key_stops_the_run(mesh: Topology, host: FrrHost, tmp_path: Path, content: str) -> None:
    keep(tmp_path, content)
    with pytest.raises(SecretsError, match=r"routing\.key holds no routing key"):
        await apply(mesh, host, tmp_path)
    assert (host.ran, host.written) == ([], [])


async def test_a_rejected_configuration_does_not_show_the_key(mesh: Topology, host: FrrHost, tmp_path: Path) -> None:
    keep(tmp_path)
    host.on("sh -c cat | vtysh *", f"line 9: % Unknown command:   key-string {KEY}", status=2)
    with pytest.raises(Exception, match=r"key-string \(not shown\)") as caught:
        await apply(mesh, host, tmp_path)
    assert KEY not in str(caught.value)
    assert KEY not in repr(vars(caught.value))


# --- the gate


def routing_host(mesh: Topology, name: str, *, chain: str = "meshctl", digest: str = "aa") -> FakeHost:
    node = mesh.node(name)
    neighbours = {
        str(mesh.node(p.peer).loopback): [
            {"nbrState": "Full/-", "ifaceAddress": str(p.peer_address.ip), "ifaceName": f"{p.nic}:x"}
        ]
        for p in node.ports
    }
    interface = {"cost": 10, "mtuBytes": 1500, "bandwidthMbit": 10000, "keychain": chain}
    answers = (
        {"neighbors": neighbours},
        [{"peer": str(p.peer_address.ip), "interface": p.nic, "status": "up"} for p in node.ports],
        {"interfaces": {p.nic: interface for p in node.ports}},
    )
    routes = [
        {"dst": str(o.loopback), "protocol": "ospf", "prefsrc": str(node.loopback)} for o in mesh.nodes if o is not node
    ]
    host = FakeHost(name).on("*is-active*vtysh *", "\n".join(json.dumps(answer, indent=1) for answer in answers))
    host.on("sh -c *vtysh*sha256sum", f"{digest}  -\n")
    return host.on("ip -j -4 route show", json.dumps(routes)).on("sh -c *ping*")


async def test_all_interfaces_sign(mesh: Topology, tmp_path: Path) -> None:
    hosts = {node.name: routing_host(mesh, node.name) for node in mesh.nodes}
    assert await Frr(mesh).verify(Cluster(mesh, hosts, StateFolder(tmp_path))) == []


async def test_an_interface_that_does_not_sign_and_a_host_with_another_key(mesh: Topology, tmp_path: Path) -> None:
    hosts = {node.name: routing_host(mesh, node.name) for node in mesh.nodes}
    hosts["node2"] = routing_host(mesh, "node2", chain="", digest="bb")
    found = await Frr(mesh).verify(Cluster(mesh, hosts, StateFolder(tmp_path)))
    assert [(p.host, p.what) for p in found] == [
        ("node2", "OSPF on eth2 is not signed"),
        ("node2", "OSPF on eth1 is not signed"),
        ("node2", "it signs with another key than the other hosts"),
    ]
    assert found[-1].expected == "the key that node1, node3 use"
