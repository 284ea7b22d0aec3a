"""Who we are: the operator's keys, the agent, sudo; and what to say when the host doesn't let us in."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Self

import asyncssh
import pytest

from meshctl.errors import AuthError
from meshctl.host.connect import connect
from meshctl.host.known_hosts import KnownHosts
from meshctl.state import StateFolder
from meshctl.topology import Node
from meshctl.topology.document import Ssh
from tests.ssh.sshd import Server

WORDS = "correct horse"


async def test_a_user_or_key_that_is_not_let_in(node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts) -> None:
    with pytest.raises(AuthError) as caught:
        await connect(node, ssh.model_copy(update={"user": "stranger"}), known_hosts)
    assert "stranger" in caught.value.message
    assert str(ssh.identity) in caught.value.message
    assert "ssh-copy-id" in caught.value.advice
    assert server.logins == 1, "a refused login is no reason to try again"


@pytest.mark.parametrize(("name", "message"), [("missing", "No such file"), ("nonsense", "not a private key")])
async def test_an_identity_that_is_none(node: Node, ssh: Ssh, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "nonsense").write_text("nonsense")
    with pytest.raises(AuthError, match=message):
        await connect(
            node, ssh.model_copy(update={"identity": str(tmp_path / name)}), KnownHosts(StateFolder(tmp_path / "state"))
        )


async def test_an_identity_with_a_passphrase(
    node: Node, ssh: Ssh, known_hosts: KnownHosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    locked = tmp_path / "locked"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(locked, "pkcs8-pem", WORDS)
    with pytest.raises(AuthError, match="has a passphrase") as caught:
        await connect(node, ssh.model_copy(update={"identity": str(locked)}), known_hosts)
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
    async with await connect(node, ssh.model_copy(update={"user": "ops"}), known_hosts) as host:
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
        await connect(node, ssh.model_copy(update={"user": "ops"}), known_hosts)
    assert "NOPASSWD" in caught.value.advice


async def test_no_sudo_at_all(node: Node, ssh: Ssh, server: Server, known_hosts: KnownHosts, tmp_path: Path) -> None:
    install_sudo(server, tmp_path, "")
    (tmp_path / "bin/sudo").unlink()
    server.environment["PATH"] = str(tmp_path / "bin")
    with pytest.raises(AuthError, match="sudo: not found") as caught:
        await connect(node, ssh.model_copy(update={"user": "ops"}), known_hosts)
    assert "Install sudo" in caught.value.advice
