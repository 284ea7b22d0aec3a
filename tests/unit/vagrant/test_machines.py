"""vagrant/: the machines are the topology's hosts. Ruby comes with Vagrant; where it is missing, these are skipped."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshctl.topology import Topology, load

ROOT = Path(__file__).parents[3]
VAGRANT = ROOT / "vagrant"
TOPOLOGIES = ["triangle", "five", "ring", "dual", "bonded"]

pytestmark = pytest.mark.skipif(not shutil.which("ruby"), reason="ruby is not installed (make vagrant-packages)")


def ruby(*words: str, variant: str = "", own: Path | None = None) -> subprocess.CompletedProcess[str]:
    settings = {"MESH_VARIANT": variant, "MESH_SETTINGS": str(own or "")}
    argv = ["ruby", *(words or [str(VAGRANT / "machines.rb")])]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **settings})


def machines(tmp_path: Path, name: str = "triangle", variant: str = "", **settings: Any) -> list[dict[str, Any]]:
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"topology": str(ROOT / f"topologies/{name}.yaml"), **settings}))
    done = ruby(variant=variant, own=own)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def plugged(found: list[dict[str, Any]]) -> set[frozenset[str]]:
    """Every cable as the NICs at its ends, found by the UDP ports that they send to each other."""
    ends = {
        nic["port"]: (f"{m['name']}:{nic['name']}", nic) for m in found for nic in m["nics"] if nic["to"] == "cable"
    }
    for port, (_, nic) in ends.items():
        assert ends[nic["peer_port"]][1]["peer_port"] == port
    return {frozenset({end, ends[nic["peer_port"]][0]}) for end, nic in ends.values()}


def cables(topology: Topology) -> set[frozenset[str]]:
    return {frozenset(map(str, wire)) for cable in topology.cables for wire in cable.strands}


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_hosts_nics_cables_and_disks_are_the_topologys(tmp_path: Path, name: str) -> None:
    topology = load(ROOT / f"topologies/{name}.yaml")
    found = machines(tmp_path, name)
    assert [(m["name"], m["address"], m["management"]) for m in found] == [
        (n.name, n.management, n.management_nic) for n in topology.nodes
    ]
    assert plugged(found) == cables(topology)
    for machine, node in zip(found, topology.nodes, strict=True):
        names = [nic["name"] for nic in machine["nics"]]
        uplink = [node.uplink_nic] if node.uplink_nic else []
        assert sorted(names) == sorted([node.management_nic, *(plug.nic for plug in node.plugs), *uplink])
        assert names == sorted(names), "the kernel counts them in this order"
        assert {disk.path for disk in node.disks} <= {f"/dev/{disk['device']}" for disk in machine["disks"]}
        assert [disk["rotational"] for disk in machine["disks"]] == [True, False]
    macs = [nic["mac"] for machine in found for nic in machine["nics"]]
    assert len(set(macs)) == len(macs)


def test_the_management_vlan_has_a_trunk_and_vagrant_a_nic_of_its_own(tmp_path: Path) -> None:
    machine = machines(tmp_path, variant="vlan")[0]
    assert [nic["name"] for nic in machine["nics"]] == ["vagrant0", "trunk0", "eth1", "eth2", "eth3"]
    files = guest(tmp_path, "vlan")
    assert "Kind=vlan" in files["/etc/systemd/network/60-mesh-eth0.netdev"]
    assert "Id=121" in files["/etc/systemd/network/60-mesh-eth0.netdev"]
    assert "Address=172.31.0.11/24" in files["/etc/systemd/network/60-mesh-eth0.network"]
    assert "Address" not in files["/etc/systemd/network/60-mesh-vagrant0.network"]


def test_five_hosts(tmp_path: Path) -> None:
    found = machines(tmp_path, "five", variant="five")
    assert [machine["name"] for machine in found] == [f"node{n}" for n in range(1, 6)]
    assert plugged(found) == cables(load(ROOT / "topologies/five.yaml"))


@pytest.mark.parametrize(
    ("name", "settings", "variant", "said"),
    [
        ("triangle", {"memroy": 1}, "", "unknown settings memroy; known: topology, box,"),
        ("triangle", {"driver": "xen"}, "", "driver is xen, not one of auto, kvm, qemu"),
        ("dual", {"disks": [{"size": "8G"}]}, "", "node1 wants /dev/sdc, but the settings give it /dev/sdb"),
        ("none", {}, "", "none.yaml is not there"),
        ("triangle", {}, "bondde", "variants: bonded, five, vlan"),
    ],
)
def test_faults_are_one_sentence(tmp_path: Path, name: str, settings: dict[str, Any], variant: str, said: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"topology": str(ROOT / f"topologies/{name}.yaml"), **settings}))
    done = ruby(variant=variant, own=own)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


# What a machine is told about itself

_GUEST = """
require "json"
require ARGV[0] + "/machines"
require ARGV[0] + "/guest"
made = Machines.from(Machines.settings(ARGV[0], variant: ENV["MESH_VARIANT"])).first
puts JSON.generate({ "files" => Guest.files(made), "script" => Guest.script(made) })
"""


def told(tmp_path: Path, variant: str) -> dict[str, Any]:
    program = tmp_path / "guest-test.rb"
    program.write_text(_GUEST)
    done = ruby(str(program), str(VAGRANT), variant=variant)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def guest(tmp_path: Path, variant: str = "") -> dict[str, str]:
    files: dict[str, str] = told(tmp_path, variant)["files"]
    return files


def test_every_nic_is_named_by_its_mac_and_cables_are_left_alone(tmp_path: Path) -> None:
    files = guest(tmp_path)
    for nic in machines(tmp_path)[0]["nics"]:
        link = files[f"/etc/systemd/network/60-mesh-{nic['name']}.link"]
        assert f"MACAddress={nic['mac']}\n" in link
        assert f"Name={nic['name']}\n" in link
    assert [path for path in files if path.endswith(".network")] == ["/etc/systemd/network/60-mesh-eth0.network"]
    assert "Address=172.31.0.11/24" in files["/etc/systemd/network/60-mesh-eth0.network"]
    assert files["/etc/hostname"] == "node1\n"


@pytest.mark.parametrize("variant", ["", "vlan"])
def test_the_script_writes_exactly_these_files(tmp_path: Path, variant: str) -> None:
    made = told(tmp_path, variant)
    root = tmp_path / "root"
    for folder in ("etc", "bin"):
        (root / folder).mkdir(parents=True)
    (root / "etc/hosts").touch()
    for tool in ("hostname", "udevadm", "systemctl", "networkctl", "ip"):
        (root / "bin" / tool).write_text("#!/bin/sh\nexit 0\n")
        (root / "bin" / tool).chmod(0o755)
    script = made["script"].replace("/etc/", f"{root}/etc/").replace("/sys/", f"{root}/sys/")
    for _ in range(2):
        path = {"PATH": f"{root}/bin:{os.environ['PATH']}"}
        done = subprocess.run(["sh"], input=script, text=True, capture_output=True, env=path, check=False, timeout=20)
        assert (done.returncode, done.stderr) == (0, "")
    written = {f"/{path.relative_to(root)}" for path in (root / "etc").rglob("*") if path.is_file()}
    assert written == {*made["files"], "/etc/hosts"}
    for path, content in made["files"].items():
        assert (root / path.lstrip("/")).read_text() == content.replace("/etc/", f"{root}/etc/")
    assert (root / "etc/hosts").read_text() == "127.0.1.1 node1\n"


@pytest.mark.skipif(not shutil.which("vagrant"), reason="vagrant is not installed (make vagrant-packages)")
@pytest.mark.parametrize("variant", ["", "vlan"])
def test_vagrant_accepts_it(tmp_path: Path, variant: str) -> None:
    environment = {**os.environ, "VAGRANT_HOME": str(tmp_path), "VAGRANT_DOTFILE_PATH": str(tmp_path / "dot")}
    argv = ["vagrant", "validate"]
    done = subprocess.run(
        argv, cwd=VAGRANT, env={**environment, "MESH_VARIANT": variant}, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
