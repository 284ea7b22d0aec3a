"""The pki role against hosts whose openssl is python's cryptography."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from meshctl import certs
from meshctl.certs import Authority
from meshctl.cluster import Cluster
from meshctl.errors import SecretsError
from meshctl.host.base import Result, text
from meshctl.host.fake import FakeHost
from meshctl.roles.pki.parse import Carried, fault
from meshctl.roles.pki.role import CA, CERTIFICATE, KEY, Pki
from meshctl.state import StateFolder
from meshctl.topology import Node, Topology
from tests.roles import golden


class PkiHost(FakeHost):
    """Answers openssl and stat from the files it has."""

    def _answer(self, argv: object, ok: object) -> Result:
        key, ca, certificate = (self.files.get(path) for path in (KEY, CA, CERTIFICATE))
        self.on("openssl pkey *", _public(key.content)) if key else self.on("openssl pkey *", status=1)
        self.on("stat *", f"{key.mode:o} {key.owner}:{key.group}\n") if key else self.on("stat *", status=1)
        good = ca and certificate and certs.issued_by(certificate.content.decode(), ca.content.decode())
        self.on("openssl verify *", status=0 if good else 2)
        return super()._answer(argv, ok)  # type: ignore[arg-type]


def _public(key: bytes) -> str:
    return (
        serialization.load_pem_private_key(key, None)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


@pytest.fixture
def mesh() -> Topology:
    return golden.topology("triangle")


@pytest.fixture
def hosts(mesh: Topology) -> dict[str, PkiHost]:
    return {node.name: PkiHost(node.name) for node in mesh.nodes}


@pytest.fixture
def cluster(mesh: Topology, hosts: dict[str, PkiHost], tmp_path: Path) -> Cluster:
    return Cluster(mesh, hosts, StateFolder(tmp_path / "state"))


async def bootstrap(cluster: Cluster) -> None:
    role = Pki(cluster.topology)
    await role.prepare(cluster)
    await cluster.each(lambda node, host: role.apply(node, host, cluster))


async def faults(cluster: Cluster) -> dict[str, str]:
    return {p.host: p.seen for p in await Pki(cluster.topology).verify(cluster)}


def forget(hosts: dict[str, PkiHost]) -> None:
    for host in hosts.values():
        host.written.clear()


async def test_first_run(cluster: Cluster, hosts: dict[str, PkiHost]) -> None:
    assert set(await faults(cluster)) == {"node1", "node2", "node3"}
    await bootstrap(cluster)
    assert {name: host.written for name, host in hosts.items()} == {name: [CA, CERTIFICATE, KEY] for name in hosts}
    assert hosts["node1"].files[KEY].secret
    assert hosts["node1"].files[KEY].mode == 0o600
    assert await faults(cluster) == {}


async def test_second_run_changes_nothing(cluster: Cluster, hosts: dict[str, PkiHost]) -> None:
    await bootstrap(cluster)
    forget(hosts)
    await bootstrap(cluster)
    assert [host.written for host in hosts.values()] == [[], [], []]


@pytest.mark.parametrize("lost", [KEY, CERTIFICATE])
async def test_killed_between_key_and_certificate(cluster: Cluster, hosts: dict[str, PkiHost], lost: str) -> None:
    await bootstrap(cluster)
    del hosts["node2"].files[lost]
    assert set(await faults(cluster)) == {"node2"}
    forget(hosts)
    await bootstrap(cluster)
    assert await faults(cluster) == {}
    assert hosts["node1"].written == []


async def test_lost_ca_certificate_comes_back_alone(cluster: Cluster, hosts: dict[str, PkiHost]) -> None:
    await bootstrap(cluster)
    del hosts["node2"].files[CA]
    forget(hosts)
    await bootstrap(cluster)
    assert hosts["node2"].written == [CA]


async def test_readable_key_is_replaced(cluster: Cluster, hosts: dict[str, PkiHost]) -> None:
    await bootstrap(cluster)
    hosts["node3"].files[KEY] = replace(hosts["node3"].files[KEY], mode=0o644)
    old = hosts["node3"].files[KEY].content
    await bootstrap(cluster)
    assert hosts["node3"].files[KEY].content != old
    assert await faults(cluster) == {}


async def test_certificates_of_an_unknown_ca_stay_while_they_are_good(
    cluster: Cluster, hosts: dict[str, PkiHost], tmp_path: Path
) -> None:
    await bootstrap(cluster)
    forget(hosts)
    notes: list[str] = []
    stranger = replace(cluster, state=StateFolder(tmp_path / "elsewhere"), note=notes.append)
    await bootstrap(stranger)
    assert [host.written for host in hosts.values()] == [[], [], []]
    assert "can't renew" in notes[0]
    assert Authority.load(stranger.state) is None


@pytest.mark.parametrize("own_ca", [False, True])
async def test_unknown_ca_is_never_replaced(
    cluster: Cluster, hosts: dict[str, PkiHost], tmp_path: Path, *, own_ca: bool
) -> None:
    await bootstrap(cluster)
    hosts["node2"].files.clear()
    forget(hosts)
    stranger = replace(cluster, state=StateFolder(tmp_path / "elsewhere"))
    if own_ca:
        Authority.create(stranger.state, "triangle")
    with pytest.raises(SecretsError, match=r"node1, node3 carry certificates .* \(node2: it has no CA") as caught:
        await bootstrap(stranger)
    assert str(stranger.state.path / "ca.pem") in caught.value.advice
    assert [host.written for host in hosts.values()] == [[], [], []]


async def test_host_from_another_cluster(cluster: Cluster, hosts: dict[str, PkiHost], tmp_path: Path) -> None:
    other = Authority.create(StateFolder(tmp_path / "other"), "other")
    await bootstrap(cluster)
    hosts["node3"].files[CA] = text(other.certificate)
    with pytest.raises(SecretsError, match="node3 carry"):
        await bootstrap(cluster)


async def test_gate_sees_hosts_that_trust_different_cas(
    cluster: Cluster, hosts: dict[str, PkiHost], tmp_path: Path
) -> None:
    await bootstrap(cluster)
    hosts["node2"].files[CA] = text(Authority.create(StateFolder(tmp_path / "other"), "x").certificate)
    assert await faults(cluster) == {"node2": "it trusts another CA than the other hosts"}


async def test_gate_believes_the_hosts_own_openssl(cluster: Cluster, hosts: dict[str, PkiHost]) -> None:
    class Doubter(PkiHost):
        def on(self, pattern: str, *args: object, **options: object) -> FakeHost:
            if pattern.startswith("openssl verify"):
                options["status"] = 2
            return super().on(pattern, *args, **options)  # type: ignore[arg-type]

    await bootstrap(cluster)
    doubter = Doubter("node1", files=hosts["node1"].files)
    assert await faults(replace(cluster, hosts={**hosts, "node1": doubter})) == {
        "node1": "its own openssl does not accept its certificate"
    }


# --- what makes a certificate unfit


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(StateFolder(tmp_path), "triangle")


def carried(authority: Authority, node: Node) -> Carried:
    leaf = authority.issue(node.name, [node.loopback])
    return Carried(authority.certificate, leaf.certificate, _public(leaf.key.encode()), "600 root:root", trusted=True)


def test_fit(mesh: Topology, authority: Authority) -> None:
    node = mesh.nodes[0]
    assert fault(carried(authority, node), node, authority.certificate, datetime.now(UTC)) == ""


def test_unfit(mesh: Topology, authority: Authority, tmp_path: Path) -> None:
    node, other = mesh.nodes[:2]
    good, now = carried(authority, node), datetime.now(UTC)
    stranger = Authority.create(StateFolder(tmp_path / "x"), "x").certificate
    in_time = now + certs.LEAF_LIFE - certs.RENEW_BEFORE
    cases = {
        "has no certificate": (replace(good, certificate=""), node, authority.certificate, now),
        "can't be read": (replace(good, certificate="rubbish"), node, authority.certificate, now),
        "not from this cluster's CA": (good, node, stranger, now),
        "does not name 10.50.1.2, node2": (good, other, authority.certificate, now),
        "ends on": (good, node, authority.certificate, in_time + timedelta(hours=1)),
        "belongs to another": (replace(good, public_key=""), node, authority.certificate, now),
        "mode 644": (replace(good, key_mode="644 root:root"), node, authority.certificate, now),
    }
    assert {part: part in fault(*case) for part, case in cases.items()} == dict.fromkeys(cases, True)
    assert fault(good, node, authority.certificate, in_time - timedelta(hours=1)) == ""
