import subprocess
from dataclasses import replace
from pathlib import Path
from shutil import which

import asyncssh
import pytest

from meshctl.errors import HostKeyError, SecretsError
from meshctl.host.known_hosts import KnownHosts, Trust
from meshctl.state import StateFolder
from tests.roles import golden

KEY = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()
OTHER = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()
NODE = golden.topology("triangle").nodes[0]


@pytest.fixture
def known(tmp_path: Path) -> KnownHosts:
    return KnownHosts(StateFolder(tmp_path / "state"))


def test_recording_keeps_other_lines(known: KnownHosts) -> None:
    known.state.write_secret("known_hosts", b"# mine\n192.0.2.1 ssh-ed25519 AAAA")
    known.record(NODE, 22, KEY)
    known.record(replace(NODE, management="172.31.0.12"), 2222, OTHER)
    lines = known.state.known_hosts.read_text().splitlines()
    assert lines[:2] == ["# mine", "192.0.2.1 ssh-ed25519 AAAA"]
    assert lines[2].startswith("172.31.0.11 ssh-ed25519 ")
    assert lines[3].startswith("[172.31.0.12]:2222 ssh-ed25519 ")
    assert known.trust(NODE, 22).keys == (KEY,)


def test_ports_are_hosts_of_their_own(known: KnownHosts) -> None:
    known.record(NODE, 22, KEY)
    assert known.trust(NODE, 2222).keys == ()
    known.record(NODE, 2222, OTHER)
    assert (known.trust(NODE, 22).keys, known.trust(NODE, 2222).keys) == ((KEY,), (OTHER,))


@pytest.mark.parametrize("port", [22, 2222])
def test_revoked_keys_are_seen_alone(known: KnownHosts, port: int) -> None:
    name = "172.31.0.11" if port == 22 else f"[172.31.0.11]:{port}"
    known.state.write_secret("known_hosts", f"@revoked {name} {KEY.export_public_key().decode()}".encode())
    assert known.trust(NODE, port) == Trust((), (KEY,))


@pytest.mark.skipif(which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_openssh_understands_the_file_and_the_advice_removes_the_key(known: KnownHosts) -> None:
    known.record(NODE, 2222, KEY)
    advice = known.changed(NODE, 2222, OTHER, known.trust(NODE, 2222)).advice
    command = advice[advice.index("ssh-keygen -f") :]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True, timeout=10)
    assert known.trust(NODE, 2222).keys == ()


def test_a_file_that_others_may_read_is_refused(known: KnownHosts) -> None:
    known.record(NODE, 22, KEY)
    known.state.known_hosts.chmod(0o644)
    with pytest.raises(SecretsError, match="0644"):
        known.trust(NODE, 22)


def test_a_broken_file_is_named(known: KnownHosts) -> None:
    known.state.write_secret("known_hosts", b"nonsense\n")
    with pytest.raises(HostKeyError, match="can't be read"):
        known.trust(NODE, 22)


def test_known_kinds_are_asked_for_first() -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048).convert_to_public()
    assert Trust().algorithms[0] == "ssh-ed25519"
    assert Trust((rsa,)).algorithms[:3] == ["rsa-sha2-256", "rsa-sha2-512", "ssh-ed25519"]
    assert "ssh-rsa" not in Trust((rsa,)).algorithms


def test_only_a_renewed_node_may_show_another_key(known: KnownHosts) -> None:
    known.record(NODE, 22, KEY)
    trust = known.trust(NODE, 22)
    assert not known.undecided(NODE, trust, OTHER)
    renewed = replace(known, renewed=frozenset({"node1"}))
    assert renewed.undecided(NODE, trust, OTHER)
    assert not renewed.undecided(NODE, trust, KEY)
    assert not renewed.undecided(NODE, replace(trust, pinned=True), OTHER)
    assert not renewed.undecided(NODE, Trust((), (OTHER,)), OTHER)
    assert not renewed.undecided(replace(NODE, name="node2"), trust, OTHER)


def test_a_renewed_nodes_key_takes_the_place_of_its_old_one(known: KnownHosts) -> None:
    neighbour = replace(NODE, name="node2", management="172.31.0.12")
    for node in (NODE, neighbour):
        known.record(node, 22, KEY)
    renewed = replace(known, renewed=frozenset({"node1"}))
    renewed.record(NODE, 22, OTHER)
    assert known.trust(NODE, 22).keys == (OTHER,)
    assert known.trust(neighbour, 22).keys == (KEY,)
