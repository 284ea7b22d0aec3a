"""Who a host is: its key, recorded, pinned or vouched for by a human; another key is refused whatever was chosen."""

import asyncio
import io
import stat
from dataclasses import replace

import asyncssh
import pytest

from meshctl.cli.failures import report
from meshctl.errors import AuthError, HostKeyError, SecretsError
from meshctl.host.connect import HostsUnreachableError, connect, connect_all
from meshctl.host.known_hosts import KnownHosts
from meshctl.state import StateFolder
from meshctl.topology import Node, Topology
from meshctl.topology.document import Ssh
from tests.ssh.sshd import Server, public


async def test_an_unknown_host_is_refused_with_its_fingerprint(
    node: Node, ssh: Ssh, server: Server, state: StateFolder
) -> None:
    with pytest.raises(HostKeyError) as caught:
        await connect(node, ssh, KnownHosts(state))
    assert server.host_key.get_fingerprint() in caught.value.message
    assert public(server.host_key) in caught.value.advice
    assert not state.known_hosts.exists()


async def test_a_new_host_is_recorded_when_that_was_chosen(
    node: Node, ssh: Ssh, server: Server, state: StateFolder
) -> None:
    await (await connect(node, ssh, KnownHosts(state, accept_new=True))).close()
    assert state.known_hosts.read_text() == f"[127.0.0.1]:{server.port} {public(server.host_key)} node1\n"
    assert stat.S_IMODE(state.known_hosts.stat().st_mode) == 0o600
    await (await connect(node, ssh, KnownHosts(state))).close()


async def test_a_human_may_say_yes_once(node: Node, ssh: Ssh, server: Server, state: StateFolder) -> None:
    asked = []

    async def yes(of: Node, fingerprint: str) -> bool:
        asked.append((of.name, fingerprint))
        return True

    known_hosts = KnownHosts(state, confirm=yes)
    for _ in range(2):
        await (await connect(node, ssh, known_hosts)).close()
    assert asked == [("node1", server.host_key.get_fingerprint())]


async def test_a_human_may_say_no(node: Node, ssh: Ssh, server: Server, state: StateFolder) -> None:
    async def no(of: Node, fingerprint: str) -> bool:
        del of, fingerprint
        return False

    with pytest.raises(HostKeyError, match="unknown"):
        await connect(node, ssh, KnownHosts(state, confirm=no))
    assert not state.known_hosts.exists()
    assert server.logins == 1


async def test_a_key_that_the_host_could_not_prove_is_not_recorded(
    node: Node, ssh: Ssh, server: Server, state: StateFolder
) -> None:
    server.users = set()  # the login fails, so nobody learns that the key exchange worked
    with pytest.raises(AuthError):
        await connect(node, ssh, KnownHosts(state, accept_new=True))
    assert not state.known_hosts.exists()


async def test_a_key_that_cannot_be_recorded_is_an_error_and_nothing_stays_open(
    node: Node, ssh: Ssh, server: Server, state: StateFolder
) -> None:
    state.ensure()

    async def yes_but(of: Node, fingerprint: str) -> bool:
        del of, fingerprint
        state.path.chmod(0o755)
        return True

    with pytest.raises(SecretsError, match="0755"):
        await connect(node, ssh, KnownHosts(state, confirm=yes_but))
    for connection in server.connections:
        async with asyncio.timeout(5):
            await connection.wait_closed()


@pytest.mark.parametrize("accept_new", [False, True])
async def test_a_changed_key_is_always_refused(
    node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts, *, accept_new: bool
) -> None:
    await (await connect(node, ssh, known_hosts)).close()
    old = server.host_key
    await server.stop()
    server.host_key = asyncssh.generate_private_key("ssh-ed25519")
    await server.start()
    before = known_hosts.state.known_hosts.read_text()
    logins = server.logins
    with pytest.raises(HostKeyError) as caught:
        await connect(node, ssh, KnownHosts(known_hosts.state, accept_new=accept_new))
    assert old.get_fingerprint() in caught.value.message
    assert server.host_key.get_fingerprint() in caught.value.message
    for meaning in ("reinstalled or replaced", "a wrong cable, a duplicate address, or an attacker", "host's console"):
        assert meaning in caught.value.advice
    assert f"ssh-keygen -f {known_hosts.state.known_hosts} -R '[127.0.0.1]:{server.port}'" in caught.value.advice
    assert known_hosts.state.known_hosts.read_text() == before
    assert server.logins == logins + 1, "a wrong key is no reason to try again"


async def test_a_new_machines_key_takes_the_place_of_the_old_ones_once_somebody_says_so(
    node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts
) -> None:
    await (await connect(node, ssh, known_hosts)).close()
    await server.stop()
    server.host_key = asyncssh.generate_private_key("ssh-ed25519")
    await server.start()
    renewed = replace(known_hosts, renewed=frozenset({node.name}), accept_new=False)
    with pytest.raises(HostKeyError) as caught:
        await connect(node, ssh, renewed)
    assert caught.value.advice.endswith(f"--host-key {server.host_key.get_fingerprint()}")

    async def same(_node: Node, fingerprint: str) -> bool:
        return fingerprint == server.host_key.get_fingerprint()

    await (await connect(node, ssh, replace(renewed, confirm=same))).close()
    assert known_hosts.state.known_hosts.read_text().count(f"[127.0.0.1]:{server.port} ") == 1
    await (await connect(node, ssh, KnownHosts(known_hosts.state))).close()


async def test_a_changed_key_stops_a_run_with_all_hosts_and_one_piece_of_advice(
    topology: Topology, server: Server, known_hosts: KnownHosts
) -> None:
    """What an operator sees: each host with both fingerprints, then once what it can mean."""
    for host in (await connect_all(topology, known_hosts)).values():
        await host.close()
    old = server.host_key
    await server.stop()
    server.host_key = asyncssh.generate_private_key("ssh-ed25519")
    await server.start()
    with pytest.raises(HostsUnreachableError) as caught:
        await connect_all(topology, KnownHosts(known_hosts.state, accept_new=True))
    stream = io.StringIO()
    assert report(caught.value, stream) == 1
    said = stream.getvalue()
    assert said.startswith("error: 3 of 3 hosts can't be reached:\n  node1: 127.0.0.1 shows the SSH host key ")
    assert said.count(server.host_key.get_fingerprint()) == 3
    assert all(old.get_fingerprint() in line for line in said.splitlines()[1:4])
    assert said.count("attacker") == 1


async def test_a_pinned_key_needs_no_record(node: Node, ssh: Ssh, server: Server, state: StateFolder) -> None:
    pinned = replace(node, host_key=public(server.host_key))
    await (await connect(pinned, ssh, KnownHosts(state))).close()
    assert not state.known_hosts.exists()


async def test_a_pinned_key_outweighs_the_record(node: Node, ssh: Ssh, known_hosts: KnownHosts) -> None:
    await (await connect(node, ssh, known_hosts)).close()
    other = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(HostKeyError, match="pinned in the topology") as caught:
        await connect(replace(node, host_key=public(other)), ssh, known_hosts)
    assert "replace its host_key in the topology" in caught.value.advice


async def test_a_pin_that_is_no_key(node: Node, ssh: Ssh, known_hosts: KnownHosts) -> None:
    with pytest.raises(HostKeyError, match="not an SSH public key"):
        await connect(replace(node, host_key="ssh-ed25519 nonsense"), ssh, known_hosts)


async def test_a_revoked_key_is_refused(node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts) -> None:
    line = f"@revoked [127.0.0.1]:{server.port} {public(server.host_key)}\n"
    known_hosts.state.write_secret("known_hosts", line.encode())
    with pytest.raises(HostKeyError, match="revoked"):
        await connect(node, ssh, known_hosts)


async def test_a_known_rsa_key_is_asked_for_although_ed25519_is_preferred(
    node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts
) -> None:
    await server.stop()
    server.host_key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    await server.start()
    await (await connect(node, ssh, known_hosts)).close()
    await server.stop()
    server.more_host_keys = [asyncssh.generate_private_key("ssh-ed25519")]
    await server.start()
    await (await connect(node, ssh, KnownHosts(known_hosts.state))).close()
