"""Reaching a host: who it is, who we are, and what to tell the operator when it fails."""

import asyncio
import io
import socket
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

import asyncssh
import pytest

from meshctl.cli.failures import report
from meshctl.errors import AuthError, ConnectError, HostKeyError, SecretsError
from meshctl.host.connect import HostsUnreachableError, connect, connect_all
from meshctl.host.dial import open_socket
from meshctl.host.known_hosts import KnownHosts
from meshctl.state import StateFolder
from meshctl.topology import Node, Topology, load
from meshctl.topology.document import Ssh
from tests.ssh.sshd import Server

WORDS = "correct horse"
TRIANGLE = Path(__file__).parents[2] / "topologies/triangle.yaml"


def public(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().strip()


def with_options(ssh: Ssh, **options: object) -> Ssh:
    return ssh.model_copy(update=options)


def state_of(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


# Who it is


async def test_an_unknown_host_is_refused_with_its_fingerprint(
    node: Node, ssh: Ssh, server: Server, tmp_path: Path
) -> None:
    state = state_of(tmp_path)
    with pytest.raises(HostKeyError) as caught:
        await connect(node, ssh, KnownHosts(state))
    assert server.host_key.get_fingerprint() in caught.value.message
    assert public(server.host_key) in caught.value.advice
    assert not state.known_hosts.exists()


async def test_a_new_host_is_recorded_when_that_was_chosen(
    node: Node, ssh: Ssh, server: Server, tmp_path: Path
) -> None:
    state = state_of(tmp_path)
    await (await connect(node, ssh, KnownHosts(state, accept_new=True))).close()
    assert state.known_hosts.read_text() == f"[127.0.0.1]:{server.port} {public(server.host_key)} node1\n"
    assert stat.S_IMODE(state.known_hosts.stat().st_mode) == 0o600
    await (await connect(node, ssh, KnownHosts(state))).close()


async def test_a_human_may_say_yes_once(node: Node, ssh: Ssh, server: Server, tmp_path: Path) -> None:
    asked = []

    async def yes(of: Node, fingerprint: str) -> bool:
        asked.append((of.name, fingerprint))
        return True

    known_hosts = KnownHosts(state_of(tmp_path), confirm=yes)
    for _ in range(2):
        await (await connect(node, ssh, known_hosts)).close()
    assert asked == [("node1", server.host_key.get_fingerprint())]


async def test_a_human_may_say_no(node: Node, ssh: Ssh, server: Server, tmp_path: Path) -> None:
    async def no(of: Node, fingerprint: str) -> bool:
        del of, fingerprint
        return False

    state = state_of(tmp_path)
    with pytest.raises(HostKeyError, match="unknown"):
        await connect(node, ssh, KnownHosts(state, confirm=no))
    assert not state.known_hosts.exists()
    assert server.logins == 1


async def test_a_key_that_the_host_could_not_prove_is_not_recorded(
    node: Node, ssh: Ssh, server: Server, tmp_path: Path
) -> None:
    server.users = set()  # the login fails, so nobody learns that the key exchange worked
    state = state_of(tmp_path)
    with pytest.raises(AuthError):
        await connect(node, ssh, KnownHosts(state, accept_new=True))
    assert not state.known_hosts.exists()


async def test_a_key_that_cannot_be_recorded_is_an_error_and_nothing_stays_open(
    node: Node, ssh: Ssh, server: Server, tmp_path: Path
) -> None:
    state = state_of(tmp_path)
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


async def test_a_pinned_key_needs_no_record(node: Node, ssh: Ssh, server: Server, tmp_path: Path) -> None:
    state = state_of(tmp_path)
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


# Who we are


async def test_a_user_or_key_that_is_not_let_in(node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts) -> None:
    with pytest.raises(AuthError) as caught:
        await connect(node, with_options(ssh, user="stranger"), known_hosts)
    assert "stranger" in caught.value.message
    assert str(ssh.identity) in caught.value.message
    assert "ssh-copy-id" in caught.value.advice
    assert server.logins == 1, "a refused login is no reason to try again"


@pytest.mark.parametrize(("name", "message"), [("missing", "No such file"), ("nonsense", "not a private key")])
async def test_an_identity_that_is_none(node: Node, ssh: Ssh, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "nonsense").write_text("nonsense")
    with pytest.raises(AuthError, match=message):
        await connect(node, with_options(ssh, identity=str(tmp_path / name)), KnownHosts(state_of(tmp_path)))


async def test_an_identity_with_a_passphrase(
    node: Node, ssh: Ssh, known_hosts: KnownHosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    locked = tmp_path / "locked"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(locked, "pkcs8-pem", WORDS)
    with pytest.raises(AuthError, match="has a passphrase") as caught:
        await connect(node, with_options(ssh, identity=str(locked)), known_hosts)
    assert f"ssh-add {locked}" in caught.value.advice


async def test_an_identity_with_a_passphrase_that_the_agent_holds(
    node: Node, ssh: Ssh, known_hosts: KnownHosts, client_key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = asyncssh.read_private_key(client_key)
    key.write_private_key(client_key, "pkcs8-pem", WORDS)
    key.write_public_key(client_key.with_name(client_key.name + ".pub"))
    async with Agent(client_key.with_name("agent"), key) as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.path))
        await (await connect(node, ssh, known_hosts)).close()


class Agent:
    """An ssh-agent with one Ed25519 key (draft-ietf-sshm-ssh-agent)."""

    def __init__(self, path: Path, key: asyncssh.SSHKey) -> None:
        self.path = path
        self._key = key

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                request = await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
                answer = self._answer(request)
                writer.write(len(answer).to_bytes(4) + answer)
        writer.close()

    def _answer(self, request: bytes) -> bytes:
        def string(data: bytes) -> bytes:
            return len(data).to_bytes(4) + data

        public_data = self._key.public_data
        if request[0] == 11:  # list the identities
            return b"\x0c" + (1).to_bytes(4) + string(public_data) + string(b"comment")
        start = 5 + len(public_data)
        data = request[start + 4 : start + 4 + int.from_bytes(request[start : start + 4])]
        return b"\x0e" + string(self._key.sign(data, b"ssh-ed25519"))


SUDO = """#!/bin/sh
echo "$*" >>"$SUDO_LOG"
[ "$1 $2" = "-n --" ] || exit 9
shift 2
exec "$@"
"""


def install_sudo(server: Server, tmp_path: Path, script: str) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sudo").write_text(script)
    (folder / "sudo").chmod(0o755)
    server.users.add("ops")
    log = tmp_path / "sudo.log"
    server.environment |= {"PATH": f"{folder}:{server.environment['PATH']}", "SUDO_LOG": str(log)}
    return log


async def test_other_users_work_through_sudo(
    node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts, tmp_path: Path
) -> None:
    log = install_sudo(server, tmp_path, SUDO)
    async with await connect(node, with_options(ssh, user="ops"), known_hosts) as host:
        ran = await host.run(
            ["sh", "-c", 'cat; echo "$PATH $LC_ALL $1"; pwd', "sh", "a'b\n$x"], reason="t", stdin=b"in "
        )
        assert ran.stdout == "in /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin C a'b\n$x\n/\n"
        both = await asyncio.gather(*(host.query(["sh", "-c", 'echo "$LC_ALL"']) for _ in range(2)))
        assert [result.stdout for result in both] == ["C\n"] * 2
    lines = log.read_text().splitlines()
    assert "timeout -k 5 40.000 true" in lines[0]
    assert lines[-1] == "-n -- /bin/sh -s"


async def test_sudo_that_wants_a_password(
    node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts, tmp_path: Path
) -> None:
    install_sudo(server, tmp_path, "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    with pytest.raises(AuthError, match="a password is required") as caught:
        await connect(node, with_options(ssh, user="ops"), known_hosts)
    assert "NOPASSWD" in caught.value.advice


async def test_no_sudo_at_all(node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts, tmp_path: Path) -> None:
    install_sudo(server, tmp_path, "")
    (tmp_path / "bin/sudo").unlink()
    server.environment["PATH"] = str(tmp_path / "bin")
    with pytest.raises(AuthError, match="sudo: not found") as caught:
        await connect(node, with_options(ssh, user="ops"), known_hosts)
    assert "Install sudo" in caught.value.advice


# Whether it is there


async def test_a_closed_port(node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts) -> None:
    await server.stop()
    with pytest.raises(ConnectError, match=r"port \d+ of 127.0.0.1 is closed .*; tried for 1 s") as caught:
        await connect(node, with_options(ssh, connect_timeout=1), known_hosts)
    assert "booting" in caught.value.advice


async def test_a_host_that_comes_up_while_we_try(node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts) -> None:
    await server.stop()
    tried = asyncio.Event()

    async def observed(address: str, port: int, seconds: float) -> socket.socket:
        tried.set()
        return await open_socket(address, port, seconds)

    connecting = asyncio.create_task(connect(node, ssh, known_hosts, open_socket=observed))
    await tried.wait()
    await server.start()
    await (await connecting).close()


def failing(error: Exception) -> Callable[[str, int, float], Awaitable[socket.socket]]:
    async def fail(address: str, port: int, seconds: float) -> socket.socket:
        del address, port, seconds
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(113, "No route to host"), "there is no way to 127.0.0.1: No route to host"),
        (OSError(101, "Network is unreachable"), "there is no way to 127.0.0.1: Network is unreachable"),
        (TimeoutError(), "does not answer"),
    ],
)
async def test_no_way_there(node: Node, ssh: Ssh, known_hosts: KnownHosts, error: Exception, message: str) -> None:
    with pytest.raises(ConnectError, match=message):
        await connect(node, with_options(ssh, connect_timeout=1), known_hosts, open_socket=failing(error))


@pytest.mark.parametrize(
    ("banner", "message"),
    [
        (b"", "did not finish the login"),
        (b"220 mail.example.net ESMTP\r\n" * 2000, "did not finish|speaks no SSH"),
        (b"Not allowed at this time\r\n", "did not finish the login"),
        (b"SSH-1.5-ancient\r\n", "speaks no SSH"),
    ],
)
async def test_something_else_answers(
    node: Node, ssh: Ssh, known_hosts: KnownHosts, banner: bytes, message: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(banner)
        await reader.read(1)
        writer.close()

    other = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    async with other:
        with pytest.raises(ConnectError, match=message):
            await connect(node, with_options(ssh, connect_timeout=1, port=port), known_hosts)


async def test_a_server_that_says_nothing(node: Node, ssh: Ssh, known_hosts: KnownHosts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = with_options(ssh, connect_timeout=1, port=silent.getsockname()[1])
        async with asyncio.timeout(5):
            with pytest.raises(ConnectError, match="did not finish the login"):
                await connect(node, mute, known_hosts)


# All at once


@pytest.fixture
def topology(ssh: Ssh, node: Node) -> Topology:
    nodes = tuple(replace(node, name=f"node{n}", id=n) for n in (1, 2, 3))
    return replace(load(TRIANGLE), ssh=ssh, nodes=nodes)


async def test_all_hosts_by_name(topology: Topology, known_hosts: KnownHosts) -> None:
    hosts = await connect_all(topology, known_hosts)
    assert list(hosts) == ["node1", "node2", "node3"]
    for host in hosts.values():
        await host.close()


async def test_all_problems_at_once_and_nothing_left_open(
    topology: Topology, known_hosts: KnownHosts, server: Server
) -> None:
    wrong = replace(topology.nodes[1], host_key="nonsense")
    absent = replace(topology.nodes[2], management="127.0.0.2", host_key=public(server.host_key))

    async def only_the_first(address: str, port: int, seconds: float) -> socket.socket:
        if address != "127.0.0.1":
            raise OSError(113, "No route to host")
        return await open_socket(address, port, seconds)

    broken = replace(
        topology, ssh=with_options(topology.ssh, connect_timeout=1), nodes=(topology.nodes[0], wrong, absent)
    )
    with pytest.raises(HostsUnreachableError) as caught:
        await connect_all(broken, known_hosts, open_socket=only_the_first)
    assert [(error.host, type(error)) for error in caught.value.errors] == [
        ("node2", HostKeyError),
        ("node3", ConnectError),
    ]
    assert "2 of 3 hosts" in caught.value.message
    assert "No route to host" in caught.value.message
    for connection in server.connections:
        async with asyncio.timeout(5):
            await connection.wait_closed()


async def test_a_defect_is_not_dressed_up_as_an_unreachable_host(topology: Topology, known_hosts: KnownHosts) -> None:
    with pytest.raises(ZeroDivisionError):
        await connect_all(topology, known_hosts, open_socket=failing(ZeroDivisionError()))


async def test_giving_up_while_connecting_closes_all(
    topology: Topology, known_hosts: KnownHosts, server: Server
) -> None:
    reached = asyncio.Event()

    async def last_one_hangs(address: str, port: int, seconds: float) -> socket.socket:
        if server.logins >= 2:
            reached.set()
            await asyncio.Event().wait()
        return await open_socket(address, port, seconds)

    connecting = asyncio.create_task(connect_all(topology, known_hosts, open_socket=last_one_hangs))
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    for connection in server.connections:
        async with asyncio.timeout(5):
            await connection.wait_closed()
