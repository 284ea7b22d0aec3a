"""What is kept in the cluster for another operator, and above all what is not."""

import json
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from meshctl.ca import CA_FILE, KEY_FILE, NEXT_FILE, Authority
from meshctl.cluster import Cluster
from meshctl.errors import ParseError, SecretsError
from meshctl.host.base import text
from meshctl.roles.ceph import HANDOVER_KEY as KEY
from meshctl.roles.handover.bundle import LARGEST, Bundle, bundle, encrypted, host_keys, merged, own
from meshctl.roles.handover.role import SET, HandoverRole
from meshctl.roles.tls import CA
from meshctl.secrets import PLAIN, Seal
from meshctl.state import StateFolder
from tests.roles import golden
from tests.roles.cephworld import CephHost, World, cluster_of

TRIANGLE = golden.topology("triangle")


@pytest.fixture
def seal(tmp_path: Path) -> Seal:
    identity = pyrage.x25519.Identity.generate()
    file = tmp_path / "identity"
    file.touch(mode=0o600)
    file.write_text(str(identity))
    return Seal((str(identity.to_public()),), file)


def sealed_state(tmp_path: Path, seal: Seal, folder: str = "state") -> StateFolder:
    state = StateFolder(tmp_path / folder, seal)
    Authority.create(state, "triangle")
    return state


class KeepingHost(CephHost):
    """A host whose `ceph config-key set` does what it says."""

    def keep(self) -> "KeepingHost":
        self.on(" ".join(SET), then=lambda: self.world.keys.update({KEY: self.stdins[-1].decode()}))
        return self


def keeping_cluster(tmp_path: Path, state: StateFolder, trusted: str = "") -> tuple[Cluster, KeepingHost]:
    hosts = [KeepingHost(name=node.name, world=World()) for node in TRIANGLE.nodes]
    hosts[0].keep().files[CA] = text(trusted)
    return replace(cluster_of(TRIANGLE, hosts, tmp_path), state=state), hosts[0]


async def apply(cluster: Cluster, host: KeepingHost) -> None:
    await HandoverRole(TRIANGLE).apply(TRIANGLE.nodes[0], host, cluster)


async def test_the_second_run_changes_nothing(tmp_path: Path, seal: Seal) -> None:
    state = sealed_state(tmp_path, seal)
    cluster, host = keeping_cluster(tmp_path, state)
    assert await HandoverRole(TRIANGLE).verify(cluster)
    await apply(cluster, host)
    assert len(host.ran) == 1
    kept = bundle(host.world.keys[KEY])
    assert kept.topology == TRIANGLE.source.read_text()
    assert kept.authorities == {CA_FILE: (state.read_secret(CA_FILE) or b"").decode()}
    assert kept.by
    await apply(cluster, host)
    assert len(host.ran) == 1
    assert await HandoverRole(TRIANGLE).verify(cluster) == []


async def test_nothing_of_it_is_in_an_argument(tmp_path: Path, seal: Seal) -> None:
    cluster, host = keeping_cluster(tmp_path, sealed_state(tmp_path, seal))
    await apply(cluster, host)
    assert host.ran == ["ceph --connect-timeout 10 config-key set meshctl/handover -i -"]


async def test_a_plain_key_is_never_kept(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state", PLAIN)
    Authority.create(state, "triangle")
    notes: list[str] = []
    cluster, host = keeping_cluster(tmp_path, state)
    await apply(replace(cluster, note=notes.append), host)
    assert bundle(host.world.keys[KEY]).authorities == {}
    assert b"PRIVATE" not in host.stdins[-1]
    assert "is not encrypted" in notes[0]


def test_nor_one_beside_an_encrypted_one(tmp_path: Path, seal: Seal) -> None:
    state = sealed_state(tmp_path, seal)
    assert encrypted(state)
    plain = StateFolder(tmp_path / "plain", PLAIN)
    Authority.create(plain, "triangle")
    content = plain.read_secret(CA_FILE) or b""
    state.write_secret(NEXT_FILE, content)
    assert list(encrypted(state)) == [CA_FILE]
    state.write_secret(CA_FILE, (state.read_secret(CA_FILE) or b"") + content)
    assert encrypted(state) == {}
    plain.write_secret(KEY_FILE, content)
    assert encrypted(plain) == {}
    with pytest.raises(SecretsError, match="without encryption"):
        Bundle(authorities={CA_FILE: content.decode()}).encode()


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(SecretsError, match=f"takes {LARGEST}"):
        Bundle(topology="x" * LARGEST).encode()


def test_an_old_ca_never_replaces_the_one_that_is_kept(tmp_path: Path, seal: Seal) -> None:
    old, new = (own(TRIANGLE, sealed_state(tmp_path, seal, folder)) for folder in ("old", "new"))
    assert merged(new, old, new.authorities[CA_FILE]).authorities == new.authorities
    assert merged(old, new, new.authorities[CA_FILE]).authorities == new.authorities
    nothing = replace(old, authorities={})
    assert merged(new, nothing, new.authorities[CA_FILE]).authorities == new.authorities


def test_the_next_ca_stays_until_it_has_taken_over(tmp_path: Path, seal: Seal) -> None:
    state = sealed_state(tmp_path, seal)
    following = Authority.create(state, "triangle", file=NEXT_FILE)
    both = own(TRIANGLE, state)
    assert set(both.authorities) == {CA_FILE, NEXT_FILE}
    first_only = replace(both, authorities={CA_FILE: both.authorities[CA_FILE]})
    assert merged(both, first_only, both.authorities[CA_FILE]).authorities == both.authorities
    state.promote_secret(CA_FILE, NEXT_FILE)
    after = own(TRIANGLE, state)
    assert merged(both, after, following.certificate).authorities == after.authorities


def test_host_keys_of_others_are_not_handed_over(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    address = TRIANGLE.nodes[0].management
    mine = f"{address} ssh-ed25519 AAAA node1\n"
    state.write_secret("known_hosts", f"192.0.2.99 ssh-ed25519 BBBB other\n{mine}".encode())
    assert list(host_keys(TRIANGLE, state)) == [mine]


@pytest.mark.parametrize(
    "evil",
    [
        {"authorities": {"/root/.ssh/authorized_keys": "ssh-ed25519 AAAA"}},
        {"authorities": {"../other/ca.pem": "x"}},
        {"known_hosts": "* ssh-ed25519 AAAA\n"},
        {"known_hosts": "@cert-authority * ssh-ed25519 AAAA\n"},
        {"known_hosts": "192.0.2.1,* ssh-ed25519 AAAA\n"},
    ],
)
def test_what_another_made_of_it_reaches_no_operators_folder(evil: dict[str, object]) -> None:
    good = Bundle(
        "t", "192.0.2.1 ssh-ed25519 AAAA node1\n[192.0.2.2]:2222 ssh-ed25519 BBBB\n", {CA_FILE: "x"}, "a", "b"
    )
    assert bundle(good.encode().decode()) == good
    with pytest.raises(ValueError, match=r"no files of a CA|no host keys"):
        bundle(json.dumps(json.loads(good.encode()) | evil))


async def test_what_is_no_bundle_is_named(tmp_path: Path) -> None:
    cluster, host = keeping_cluster(tmp_path, StateFolder(tmp_path / "state"))
    host.world.keys[KEY] = json.dumps({"topology": 7})
    with pytest.raises(ParseError, match="config-key get meshctl/handover"):
        await apply(cluster, host)
