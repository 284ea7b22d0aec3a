"""A backup of a running cluster: what is in it, that it can be read back, and that another operator can go on."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from meshctl.lab.names import paths
from tests.lab.conftest import ROOT, TRIANGLE, Lab, running_lab

pytestmark = [pytest.mark.lab, pytest.mark.long]

NODES = ("node1", "node2", "node3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backup")


@pytest.fixture(scope="module")
def identity(folder: Path) -> Path:
    file = folder / "identity"
    file.touch(mode=0o600)
    file.write_text(str(pyrage.x25519.Identity.generate()))
    return file


@pytest.fixture(scope="module")
def topology(folder: Path, identity: Path) -> Path:
    """The triangle, with its CA encrypted."""
    public = pyrage.x25519.Identity.from_str(identity.read_text()).to_public()
    file = folder / "triangle.yaml"
    file.write_text((ROOT / TRIANGLE).read_text() + f"\nsecrets: {{age_recipients: [{public}]}}\n")
    return file


@pytest.fixture(scope="module")
def lab(topology: Path, identity: Path) -> Iterator[Lab]:
    for found in running_lab(f"bu{os.getpid()}"):
        lab = Lab(found.name, str(topology))
        lab.ok("--age-identity", str(identity), "bootstrap", str(topology), "--yes")
        yield lab


def test_the_cluster_keeps_what_another_operator_needs(lab: Lab, identity: Path, folder: Path) -> None:
    kept = lab.report("state", "show", lab.topology)
    assert (kept["kept"], kept["same_topology"], kept["authorities"]) == (True, True, ["ca.pem"])
    assert [run["command"] for run in kept["runs"]] == ["bootstrap"]
    raw = lab.ssh("node2", "ceph config-key get meshctl/handover")
    assert "PRIVATE KEY" not in raw
    assert "BEGIN AGE ENCRYPTED FILE" in raw

    # Another machine: nothing but SSH access, an age identity, and the address of one host.
    other, copy = ("--state-dir", str(folder / "elsewhere")), folder / "fetched.yaml"
    address = json.loads(lab.ssh("node2", "ip -j -4 address show dev eth0"))[0]["addr_info"][0]["local"]
    lab.ok(*other, "state", "fetch", "--host", address, "--out", str(copy))
    assert copy.read_text() == Path(lab.topology).read_text()
    mine = paths(lab.name).state / "ca.pem"
    assert (folder / "elsewhere/ca.pem").read_bytes() == mine.read_bytes()
    lab.ssh("node3", "rm /etc/ovn/pki/cert.pem")
    report = lab.report(*other, "--age-identity", str(identity), "bootstrap", str(copy), "--yes")
    assert report["ok"]
    assert report["changed"] > 0
    again = lab.report(*other, "--age-identity", str(identity), "bootstrap", str(copy), "--yes")
    assert (again["ok"], again["changed"]) == (True, 0)
    assert [run["command"] for run in lab.report("state", "show", lab.topology)["runs"]] == ["bootstrap"] * 2


def test_a_backup_is_whole_and_what_is_in_it_can_be_used(lab: Lab, identity: Path, folder: Path) -> None:
    path = folder / "b.tar.age"
    report = lab.report("backup", lab.topology, "--out", str(path))
    assert (report["ok"], report["complete"], report["changed"]) == (True, True, 0)
    opened = ("--age-identity", str(identity))
    listed = lab.report(*opened, "backup", lab.topology, "--verify", str(path))
    sizes = {one["name"]: one["size"] for one in listed["members"]}
    assert min(sizes.values()) > 0, sizes
    assert sizes.keys() >= {
        "ceph/auth.keyring", "ceph/monmap", "ceph/osdmap", "ceph/crushmap", "ovn/OVN_Northbound.db",
        "ovn/OVN_Southbound.db", "incus/global.sql", "operator/ca.pem", "topology/triangle.yaml",
        *(f"hosts/{node}/etc/ceph/ceph.conf" for node in NODES),
        *(f"hosts/{node}/var/lib/incus/cluster.key" for node in NODES),
    }  # fmt: skip

    plain = folder / "plain"
    plain.mkdir(mode=0o700)
    opening = pyrage.x25519.Identity.from_str(identity.read_text())
    tar = pyrage.decrypt(path.read_bytes(), [opening])
    subprocess.run(["tar", "-x", "-C", str(plain)], input=tar, check=True)
    assert "[client.admin]" in (plain / "ceph/auth.keyring").read_text()
    assert "CREATE TABLE" in (plain / "incus/global.sql").read_text()
    # The databases are standalone ones that ovsdb takes, with the networks in them.
    lab.feed("node1", "cat >/root/nb.db", (plain / "ovn/OVN_Northbound.db").read_bytes())
    assert lab.ssh("node1", "ovsdb-tool db-name /root/nb.db").strip() == "OVN_Northbound"
    lab.feed("node1", "cat >/root/monmap", (plain / "ceph/monmap").read_bytes())
    assert lab.ssh("node1", "monmaptool --print /root/monmap").count("mon.node") == 3
    lab.ssh("node1", "ovsdb-client restore unix:/run/ovn/ovnnb_db.sock OVN_Northbound </root/nb.db")
    lab.ok("verify", lab.topology)


def test_a_monitors_store_is_copied_while_the_others_go_on(lab: Lab, identity: Path, folder: Path) -> None:
    path = folder / "store.tar.age"
    report = lab.report("--age-identity", str(identity), "backup", lab.topology, "--mon-store", "--out", str(path))
    assert report["complete"]
    sizes = {one["name"]: one["size"] for one in report["members"]}
    assert sizes["ceph/mon-store-node3.tar.gz"] > 100_000
    assert not lab.ssh("node3", "ls /var/lib/ceph/meshctl").split().count("mon-store.tar.gz")
    lab.ok("verify", lab.topology)


def test_a_host_that_is_off_is_missing_in_it(lab: Lab, folder: Path) -> None:
    lab.ok("lab", "power-off", lab.topology, "node3")
    try:
        done = lab.call("-o", "json", "backup", lab.topology, "--out", str(folder / "less.tar.age"))
        report = json.loads(done.stdout)
        assert done.returncode == 4
        assert not report["complete"]
        assert "node3 was not reached" in report["missing"]
        assert "ceph/auth.keyring" in {one["name"] for one in report["members"]}
    finally:
        lab.ok("lab", "power-on", lab.topology, "node3")
