"""Reaching hosts: one, or all of a topology."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import asyncssh

from meshctl.errors import AuthError, ConnectError, HostError, MeshctlError
from meshctl.host import quoting
from meshctl.host.base import RUN_TIMEOUT
from meshctl.host.channel import Channels
from meshctl.host.dial import KEEPALIVE, Dialer, OpenSocket, open_socket
from meshctl.host.identity import TOPOLOGY, Stated
from meshctl.host.known_hosts import KnownHosts
from meshctl.host.ssh import SshHost
from meshctl.host.sshconfig import Login
from meshctl.topology.document import Ssh
from meshctl.topology.model import Node, Topology

SUDO_PATIENCE = 40.0
"""Seconds for the first sudo. It asks DNS for the host's own name, and takes 30 when nobody answers."""


class HostsUnreachableError(MeshctlError):
    """Some hosts could not be reached; `errors` has one for each of them.

    Its advice has each kind once, for the first host that needs it.
    """

    def __init__(self, errors: list[HostError], total: int) -> None:
        self.errors = tuple(errors)
        lines = [f"{len(errors)} of {total} hosts can't be reached:", *(f"  {error}" for error in errors)]
        alike = {(type(error), error.advice[:30]): error.advice for error in reversed(errors) if error.advice}
        super().__init__("\n".join(lines), advice="\n".join(reversed(alike.values())))


async def connect(
    node: Node,
    ssh: Ssh,
    known_hosts: KnownHosts,
    *,
    open_socket: OpenSocket = open_socket,
    stated: Stated = TOPOLOGY,
    usual: float = RUN_TIMEOUT,
    keepalive: float = KEEPALIVE,
) -> SshHost:
    """A host, connected and able to become root; `usual` as SshHost has it.

    Tries for `ssh.connect_timeout` seconds while the host may be booting. Raises ConnectError when it doesn't answer,
    HostKeyError when it is not known to be the right one, AuthError when it lets us not in or not become root.
    """
    return await _connect(node, Dialer(ssh, known_hosts, open_socket, keepalive, stated), usual)


async def connect_all(
    topology: Topology,
    known_hosts: KnownHosts,
    *,
    open_socket: OpenSocket = open_socket,
    logins: Mapping[str, Login] | None = None,
) -> dict[str, SshHost]:
    """All hosts of a topology, in parallel, by name and in its order; `logins` has those that are not the topology's.

    Raises HostsUnreachableError with every host's problem when there is one; nothing stays open then.
    """
    shared = Dialer(topology.ssh, known_hosts, open_socket)
    own = {
        name: Dialer(login.ssh, login.trusting(known_hosts), open_socket, login.keepalive, login.stated)
        for name, login in (logins or {}).items()
    }
    tasks = [
        asyncio.create_task(
            _connect(node, own.get(node.name, shared), topology.timeouts.command), name=f"connect {node.name}"
        )
        for node in topology.nodes
    ]
    try:
        results = await asyncio.gather(*tasks, return_exceptions=True)
    except asyncio.CancelledError:
        await _close(await asyncio.gather(*tasks, return_exceptions=True))
        raise
    if failures := [result for result in results if isinstance(result, BaseException)]:
        await _close(results)
        raise _reason(failures, len(tasks))
    return {host.name: host for host in results if isinstance(host, SshHost)}


def _reason(failures: Sequence[BaseException], total: int) -> BaseException:
    """One error for all hosts; but a defect comes first, as it is."""
    expected = [failure for failure in failures if isinstance(failure, HostError)]
    defects = (failure for failure in failures if not isinstance(failure, HostError))
    return next(defects, HostsUnreachableError(expected, total))


async def _close(results: list[SshHost | BaseException]) -> None:
    await asyncio.gather(*(result.close() for result in results if isinstance(result, SshHost)))


async def _connect(node: Node, dialer: Dialer, usual: float) -> SshHost:
    connection = await dialer.dial(node)
    sudo = dialer.ssh.user != "root"
    if sudo:
        try:
            await _check_sudo(node, dialer.ssh.user, connection)
        except BaseException:
            connection.abort()
            raise
    return SshHost(node.name, connection, partial(dialer.dial, node), sudo=sudo, usual=usual)


async def _check_sudo(node: Node, user: str, connection: asyncssh.SSHClientConnection) -> None:
    line = quoting.one_line(["true"], SUDO_PATIENCE, sudo=True)
    try:
        async with asyncio.timeout(SUDO_PATIENCE):
            ended = await Channels(node.name, connection).execute(quoting.ONE_COMMAND, line, "a first `sudo -n true`")
    except TimeoutError:
        raise ConnectError(
            node.name,
            f"`sudo -n true` did not finish within {SUDO_PATIENCE:g} s",
            advice="sudo waits for DNS when the host can't resolve its own name: add it to /etc/hosts there.",
        ) from None
    if ended.status == 0:
        return
    said = " / ".join(ended.stderr.decode(errors="replace").strip().splitlines()[-2:])
    if ended.status == 127:  # noqa: PLR2004  (the shell's "not found")
        advice = f"Install sudo there, or log in as root (ssh.user is {user})."
    else:
        advice = f"As root on that host: echo '{user} ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/meshctl"
    raise AuthError(node.name, f"{user} can't become root without a password: {said}", advice=advice)
