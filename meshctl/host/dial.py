"""One SSH connection: TCP, the host's key, the login. Foreign errors end here."""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import asyncssh
from tenacity import AsyncRetrying, retry_if_exception_type, stop_before_delay, wait_random_exponential

from meshctl.errors import AuthError, ConnectError, HostKeyError
from meshctl.host import identity
from meshctl.host.known_hosts import KnownHosts, Trust
from meshctl.topology.document import Ssh
from meshctl.topology.model import Node

OpenSocket = Callable[[str, int, float], Awaitable[socket.socket]]
"""Makes a connected, non-blocking TCP socket to (address, port) within so many seconds."""

TCP_ATTEMPT = 3.0
"""Seconds for one TCP connection: a booting host is asked again rather than left to the kernel's doubling pauses."""

KEEPALIVE = 2.0
"""Seconds of silence before asking whether the peer is alive; three times without an answer ends the connection."""


class _NotYetError(Exception):
    """The host may answer later; carries the error for when it does not."""

    def __init__(self, error: ConnectError) -> None:
        super().__init__(error.message)
        self.error = error


async def open_socket(address: str, port: int, seconds: float) -> socket.socket:
    """A TCP connection on this machine's own network. OSError or TimeoutError when there is none."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


class _Client(asyncssh.SSHClient):
    """Decides about the host's key: as recorded, or, for a host without record, the one already believed."""

    def __init__(self, trust: Trust, *, believe: asyncssh.SSHKey | None = None, accept_new: bool = False) -> None:
        self.trust = trust
        self.shown: asyncssh.SSHKey | None = None
        self.connected = False
        self._believe = believe
        self._accept_new = accept_new

    @property
    def unknown(self) -> asyncssh.SSHKey | None:
        """The shown key, if nothing on record speaks for or against it."""
        return None if self.trust.keys or self.shown in self.trust.revoked else self.shown

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """From here on asyncssh owns the socket."""
        del conn
        self.connected = True

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        del host, addr, port
        self.shown = key
        if key in self.trust.revoked:
            return False
        if self.trust.keys:
            return key in self.trust.keys
        return self._accept_new or key == self._believe


@dataclass
class Dialer:
    """Connects to the hosts of one cluster, all with the same login."""

    ssh: Ssh
    known_hosts: KnownHosts
    open_socket: OpenSocket = field(default=open_socket)
    keepalive: float = KEEPALIVE
    stated: identity.Stated = identity.TOPOLOGY
    _identity: identity.Identity | None = None

    async def dial(self, node: Node, seconds: float | None = None) -> asyncssh.SSHClientConnection:
        """A connection to `node`, logged in; tries for `seconds` (default: connect_timeout) while it may be booting.

        Raises HostKeyError and AuthError at once, ConnectError at the deadline. A human's thinking time over an
        unknown key doesn't count.
        """
        limit = self.ssh.connect_timeout if seconds is None else seconds
        trust = self.known_hosts.trust(node, self.ssh.port)
        if self._identity is None:
            self._identity = identity.load(self.ssh, node.name, self.stated)
        client = _Client(trust, accept_new=self.known_hosts.accept_new)
        try:
            connection = await self._patiently(node, client, limit)
        except HostKeyError:
            shown = client.shown
            if shown is None or not self.known_hosts.undecided(node, trust, shown):
                raise
            if not await self.known_hosts.allows(node, shown):
                raise
            client = _Client(replace(trust, keys=()), believe=shown)
            connection = await self._patiently(node, client, limit)
        try:
            if client.unknown is not None:
                self.known_hosts.record(node, self.ssh.port, client.unknown)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _patiently(self, node: Node, client: "_Client", limit: float) -> asyncssh.SSHClientConnection:
        deadline = time.monotonic() + limit
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_NotYetError),
            stop=stop_before_delay(limit),
            wait=wait_random_exponential(multiplier=0.2, max=2),
            reraise=True,
        )
        try:
            return await retrying(self._attempt, node, client, deadline)
        except _NotYetError as last:
            error = last.error
            error.args = (f"{error.message}; tried for {limit:g} s",)
            error.message = error.args[0]
            raise error from last.__cause__

    async def _attempt(self, node: Node, client: "_Client", deadline: float) -> asyncssh.SSHClientConnection:
        left = max(0.5, deadline - time.monotonic())
        client.connected = False
        sock = await self._tcp(node, min(left, TCP_ATTEMPT))
        try:
            async with asyncio.timeout(left):
                return await asyncssh.connect(
                    node.management,
                    self.ssh.port,
                    sock=sock,
                    options=self._options(client, left),
                )
        except asyncssh.HostKeyNotVerifiable as error:
            raise self._host_key_error(node, client, error) from error
        except asyncssh.PermissionDenied as error:
            raise self._auth_error(node, error.reason) from error
        except (asyncssh.KeyExchangeFailed, asyncssh.ProtocolNotSupported) as error:
            raise ConnectError(
                node.name,
                f"port {self.ssh.port} of {node.management} speaks no SSH that we can agree on: {error.reason}",
                advice=f"See that {self.stated.port} is sshd's, and its algorithms are not older than OpenSSH 7.4's.",
            ) from error
        except (asyncssh.Error, OSError) as error:  # TimeoutError is one too
            raise self._login_failed(node, error) from error
        finally:
            if not client.connected:
                sock.close()

    def _options(self, client: "_Client", left: float) -> asyncssh.SSHClientConnectionOptions:
        """Everything that asyncssh would otherwise take from ~/.ssh/config or leave open."""
        mine = self._identity
        assert mine is not None  # noqa: S101  (dial loaded it)
        return asyncssh.SSHClientConnectionOptions(
            config=None,
            username=self.ssh.user,
            client_factory=lambda: client,
            known_hosts=([], [], []),
            server_host_key_algs=client.trust.algorithms,
            client_keys=list(mine.keys) or (),  # a tuple would mean (key, certificate); () the ones in ~/.ssh
            agent_path=mine.agent,
            agent_identities=list(mine.agent_keys) if mine.agent_keys else None,
            preferred_auth=["publickey"],
            gss_host=None,
            x509_trusted_certs=None,
            login_timeout=left,
            keepalive_interval=self.keepalive,
            keepalive_count_max=3,
            compression_algs=None,
        )

    async def _tcp(self, node: Node, seconds: float) -> socket.socket:
        where = f"port {self.ssh.port} of {node.management}"
        try:
            # Its own deadline is a second later, so that ours decides and a TimeoutError comes out.
            async with asyncio.timeout(seconds):
                return await self.open_socket(node.management, self.ssh.port, seconds + 1)
        except ConnectionRefusedError as error:
            raise _NotYetError(
                ConnectError(
                    node.name,
                    f"{where} is closed (connection refused)",
                    advice="The host is up, but no sshd listens there: it may still be booting, sshd may have failed "
                    f"(`systemctl status ssh` on its console), or {self.stated.port} in {self.stated.place} is "
                    "another.",
                )
            ) from error
        except TimeoutError as error:
            raise _NotYetError(
                ConnectError(
                    node.name,
                    f"{where} does not answer",
                    advice="The host is off or still booting, its management cable is out, or a firewall drops us: "
                    f"ping {node.management}",
                )
            ) from error
        except OSError as error:
            raise _NotYetError(
                ConnectError(
                    node.name,
                    f"there is no way to {node.management}: {_plain(error)}",
                    advice="No host has that address at the moment, or this machine has no route to it: "
                    f"ip route get {node.management}",
                )
            ) from error

    def _host_key_error(self, node: Node, client: "_Client", error: asyncssh.Error) -> HostKeyError:
        if client.shown is None:
            return HostKeyError(node.name, f"{node.management} shows a host key of an unknown kind: {error.reason}")
        if client.unknown is not None:
            return self.known_hosts.unknown(node, client.unknown)
        return self.known_hosts.changed(node, self.ssh.port, client.shown, client.trust)

    def _auth_error(self, node: Node, said: str) -> AuthError:
        names = self._identity.names if self._identity else "no key"
        return AuthError(
            node.name,
            f"{node.management} does not let {self.ssh.user} in with {names} ({said})",
            advice=f"Put your public key there: ssh-copy-id -p {self.ssh.port} {self.ssh.user}@{node.management}. "
            f"Or name the right key as {self.stated.identity}, or the right user as {self.stated.user}, "
            f"in {self.stated.place}.",
        )

    def _login_failed(self, node: Node, error: Exception) -> Exception:
        """A connection that was taken and then dropped: worth another try, except where more tries make it worse."""
        said = getattr(error, "reason", "") or _plain(error)
        if "Too many authentication failures" in said:
            return self._auth_error(node, f"{said}; the agent may hold too many keys: set {self.stated.identity}")
        return _NotYetError(
            ConnectError(
                node.name,
                f"{node.management} took the connection but did not finish the login ({said})",
                advice="It may be booting or out of memory, or its sshd refuses this machine for a while after failed "
                "logins (PerSourcePenalties) or because of too many at once (MaxStartups): `journalctl -u ssh` there.",
            )
        )


def _plain(error: Exception) -> str:
    """What went wrong, without Python's "[Errno 104]"."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
