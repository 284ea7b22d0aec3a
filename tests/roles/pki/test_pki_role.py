"""The pki role against hosts whose openssl is python's cryptography."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives import serialization

from meshctl import certs, issuing
from meshctl.ca import CA_FILE, KEY_FILE, NEXT_FILE, Authority, authorities
from meshctl.cluster import Cluster
from meshctl.errors import SecretsError
from meshctl.host.base import Result, text
from meshctl.host.fake import FakeHost
from meshctl.roles.pki.parse import Carried, fault
from meshctl.roles.pki.renewal import _SERIALS, Renewal
from meshctl.roles.pki.role import Pki
from meshctl.roles.pki.takeover import _ASKED_FOR, Clear, Cross, Trust
from meshctl.roles.tls import CA, CERTIFICATE, KEY
from meshctl.secrets import Seal
from meshctl.state import StateFolder
from meshctl.topology import Node, Topology
from tests.roles import golden
from tests.unit.owners import owners


def fnmatch_literal(script: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", script)


class PkiHost(FakeHost):
    """Answers openssl and stat from the files it has."""

    def _answer(self, argv: object, ok: object) -> Result:
        key, ca, certificate = (self.files.get(path) for path in (KEY, CA, CERTIFICATE))
        self.on("openssl pkey *", _public(key.content)) if key else self.on("openssl pkey *", status=1)
        self.on("stat *", f"{key.mode:o} {key.owner}:{key.group}\n") if key else self.on("stat *", status=1)
        trusted = certs.bundle(ca.content.decode()) if ca else ()
        good = certificate and any(certs.issued_by(certificate.content.decode(), one) for one in trusted)
        self.on("openssl verify *", status=0 if good else 2)
        served = f"serial={certs.serial(certificate.content.decode())}" if certificate else ""
        asked_for = "".join(f"{certs.common_name(one)}|" for one in certs.bundle(ca.content.decode())) if ca else ""
        for script, said in ((_SERIALS, served), (_ASKED_FOR, asked_for)):
            self.on(f"sh -c {fnmatch_literal(script)} *", "".join(f"{port} {said}\n" for port in range(6641, 6645)))
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


# --- a key that is encrypted


def sealed(cluster: Cluster, tmp_path: Path, *, opened: bool = True) -> Cluster:
    """The same cluster with a recipient in its topology, and perhaps somebody who can open its key."""
    file = tmp_path / "identity"
    if not file.exists():
        file.write_text(str(pyrage.x25519.Identity.generate()))
        file.chmod(0o600)
    public = str(pyrage.x25519.Identity.from_str(file.read_text()).to_public())
    return replace(cluster, state=StateFolder(cluster.state.path, Seal((public,), file if opened else None)))


async def test_a_converged_cluster_needs_no_identity(
    cluster: Cluster, hosts: dict[str, PkiHost], tmp_path: Path
) -> None:
    await bootstrap(sealed(cluster, tmp_path))
    forget(hosts)
    blind = sealed(cluster, tmp_path, opened=False)
    await Pki(blind.topology).foresee(blind)
    await bootstrap(blind)
    assert [host.written for host in hosts.values()] == [[], [], []]
    assert await faults(blind) == {}


@pytest.mark.parametrize("first", [True, False])
async def test_no_identity_is_said_before_any_change(
    cluster: Cluster, hosts: dict[str, PkiHost], tmp_path: Path, *, first: bool
) -> None:
    if not first:
        await bootstrap(sealed(cluster, tmp_path))
        del hosts["node2"].files[KEY]
    forget(hosts)
    blind = sealed(cluster, tmp_path, opened=False)
    with pytest.raises(SecretsError, match="no identity"):
        await Pki(blind.topology).foresee(blind)
    assert [host.written for host in hosts.values()] == [[], [], []]
    assert authorities(blind.state) == () or not first


# --- another CA takes over


async def take_over(cluster: Cluster, until: str = "") -> None:
    """The steps of `certs renew --ca` that pki has, up to the one named."""
    for role in (Trust(cluster.topology), Cross(cluster.topology), Clear(cluster.topology)):
        if not isinstance(role, Cross):
            await role.prepare(cluster)
        for node in cluster.topology.nodes:
            if f"{type(role).__name__}@{node.name}" == until:
                return
            await role.apply(node, cluster.host(node), cluster)
            assert await faults(cluster) == {}, "a host would not be let in by another one"


def trusts(host: PkiHost) -> list[str]:
    return [
        certs.common_name(one).removeprefix("meshctl CA of ") for one in certs.bundle(host.files[CA].content.decode())
    ]


async def test_another_ca_takes_over(cluster: Cluster, hosts: dict[str, PkiHost]) -> None:
    await bootstrap(cluster)
    old = hosts["node1"].files[CA].content
    await take_over(cluster)
    [new] = authorities(cluster.state)
    assert {host.files[CA].content for host in hosts.values()} == {new.certificate.encode()} != {old}
    assert not (cluster.state.path / NEXT_FILE).exists()
    forget(hosts)
    await bootstrap(cluster)
    assert [host.written for host in hosts.values()] == [[], [], []]


POINTS = [f"{role}@node{i}" for role in ("Trust", "Cross", "Clear") for i in (1, 2, 3)]


@pytest.mark.parametrize("killed", POINTS)
async def test_a_killed_takeover_goes_on(cluster: Cluster, hosts: dict[str, PkiHost], killed: str) -> None:
    await bootstrap(cluster)
    await take_over(cluster, until=killed)
    last = authorities(cluster.state)[-1].certificate
    await take_over(cluster)
    [new] = authorities(cluster.state)
    assert {host.files[CA].content for host in hosts.values()} == {new.certificate.encode()}
    if killed != "Trust@node1":  # nothing had been made yet
        assert new.certificate == last


@pytest.mark.parametrize("killed", POINTS)
async def test_a_bootstrap_meanwhile_takes_no_trust_away(
    cluster: Cluster, hosts: dict[str, PkiHost], killed: str
) -> None:
    await bootstrap(cluster)
    await take_over(cluster, until=killed)
    certificates = {name: host.files[CERTIFICATE].content for name, host in hosts.items()}
    del hosts["node3"].files[KEY]
    await bootstrap(cluster)
    assert await faults(cluster) == {}
    assert {name: hosts[name].files[CERTIFICATE].content for name in ("node1", "node2")} == {
        name: certificates[name] for name in ("node1", "node2")
    }
    pending = (cluster.state.path / NEXT_FILE).exists()
    assert {len(trusts(host)) for host in hosts.values()} == {2 if pending else 1}
    await take_over(cluster)
    assert {len(trusts(host)) for host in hosts.values()} == {1}


async def test_the_ca_of_a_hosts_own_certificate_comes_first(cluster: Cluster, hosts: dict[str, PkiHost]) -> None:
    await bootstrap(cluster)
    await take_over(cluster, until="Cross@node2")
    old, new = (certs.common_name(one.certificate).removeprefix("meshctl CA of ") for one in authorities(cluster.state))
    assert [trusts(host) for host in hosts.values()] == [[new, old], [old, new], [old, new]]


async def test_another_operator_with_the_old_ca_changes_nothing(
    cluster: Cluster, hosts: dict[str, PkiHost], tmp_path: Path
) -> None:
    await bootstrap(cluster)
    other = replace(cluster, state=StateFolder(tmp_path / "elsewhere"))
    other.state.write_secret(CA_FILE, cluster.state.read_secret(CA_FILE) or b"")
    await take_over(cluster, until="Cross@node3")
    forget(hosts)
    await bootstrap(other)
    assert [host.written for host in hosts.values()] == [[], [], []]


async def test_certificates_alone_are_not_renewed_meanwhile(cluster: Cluster) -> None:
    await bootstrap(cluster)
    await take_over(cluster, until="Cross@node2")
    with pytest.raises(SecretsError, match="a renewal of the CA has not ended"):
        await Renewal(cluster.topology).prepare(cluster)


async def test_the_old_ca_stays_while_a_host_has_its_certificate(cluster: Cluster) -> None:
    await bootstrap(cluster)
    await take_over(cluster, until="Cross@node3")
    with pytest.raises(SecretsError, match=r"certificate of the new CA \(node3: its certificate is not from"):
        await Clear(cluster.topology).prepare(cluster)
    assert len(authorities(cluster.state)) == 2


async def test_an_owners_ca_is_not_replaced_by_one_of_ours(
    cluster: Cluster, hosts: dict[str, PkiHost], tmp_path: Path
) -> None:
    owners(cluster.state)
    await bootstrap(cluster)
    with pytest.raises(SecretsError, match="its owner's own") as caught:
        await take_over(cluster)
    assert str(cluster.state.path / NEXT_FILE) in caught.value.advice
    made = StateFolder(tmp_path / "made")
    owners(made)
    both = (made.read_secret(KEY_FILE) or b"") + (made.read_secret(CA_FILE) or b"")
    cluster.state.write_secret(NEXT_FILE, both)
    await take_over(cluster)
    assert not (cluster.state.path / KEY_FILE).exists()
    assert [certs.common_name(one.certificate) for one in authorities(cluster.state)] == ["Example Root"]


async def test_a_ca_near_its_end_is_said_and_renews_nothing_for_ever(
    cluster: Cluster, hosts: dict[str, PkiHost]
) -> None:
    Authority.create(cluster.state, "triangle", life=timedelta(days=30))
    await bootstrap(cluster)
    forget(hosts)
    notes: list[str] = []
    await bootstrap(replace(cluster, note=notes.append))
    assert [host.written for host in hosts.values()] == [[], [], []]
    assert "`meshctl certs renew --ca` makes another one" in notes[0]


# --- what makes a certificate unfit


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(StateFolder(tmp_path), "triangle")


def carried(authority: Authority, node: Node) -> Carried:
    leaf = authority.issue(node.name, [node.loopback])
    return Carried(authority.certificate, leaf.certificate, _public(leaf.key.encode()), "600 root:root", trusted=True)


def test_fit(mesh: Topology, authority: Authority) -> None:
    node = mesh.nodes[0]
    assert fault(carried(authority, node), node, [authority.certificate], datetime.now(UTC)) == ""


def test_unfit(mesh: Topology, authority: Authority, tmp_path: Path) -> None:
    node, other = mesh.nodes[:2]
    good, now = carried(authority, node), datetime.now(UTC)
    stranger = Authority.create(StateFolder(tmp_path / "x"), "x").certificate
    in_time = now + issuing.LEAF_LIFE - certs.RENEW_BEFORE
    cases = {
        "has no certificate": (replace(good, certificate=""), node, [authority.certificate], now),
        "can't be read": (replace(good, certificate="rubbish"), node, [authority.certificate], now),
        "not from this cluster's CA": (good, node, [stranger], now),
        "does not name 10.50.1.2, node2": (good, other, [authority.certificate], now),
        "ends on": (good, node, [authority.certificate], in_time + timedelta(hours=1)),
        "belongs to another": (replace(good, public_key=""), node, [authority.certificate], now),
        "mode 644": (replace(good, key_mode="644 root:root"), node, [authority.certificate], now),
    }
    assert {part: part in fault(*case) for part, case in cases.items()} == dict.fromkeys(cases, True)
    assert fault(good, node, [authority.certificate], in_time - timedelta(hours=1)) == ""
