"""Which SSH host key belongs to which host: pinned in the topology, or recorded in the cluster's state folder."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from meshctl.errors import HostKeyError
from meshctl.state import StateFolder
from meshctl.topology.model import Node

Confirm = Callable[[Node, str], Awaitable[bool]]
"""Shows a human an unknown host's fingerprint and asks whether it is the right one."""

PREFERRED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")
"""Kinds of host keys we ask for, best first; asyncssh by itself takes RSA first."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys that a host may show; none when it was never seen."""

    keys: tuple[asyncssh.SSHKey, ...] = ()
    revoked: tuple[asyncssh.SSHKey, ...] = ()
    pinned: bool = False

    @property
    def algorithms(self) -> list[str]:
        """What to ask the host for: the kinds on record first, so that a second key of it is no false alarm."""
        known = [name.decode("ascii") for key in self.keys for name in key.sig_algorithms]
        return list(dict.fromkeys([*(name for name in known if name in PREFERRED), *PREFERRED]))


@dataclass(slots=True)
class KnownHosts:
    """The host keys of one cluster, in `known_hosts` of its state folder (OpenSSH's format, mode 0600).

    An unknown host is refused, unless `accept_new` is set or `confirm` says yes; then its key is recorded once the
    login has worked. A changed key is refused, but for nodes that are `renewed`.
    """

    state: StateFolder
    accept_new: bool = False
    confirm: Confirm | None = None
    also: tuple[Path, ...] = ()
    """More files of that format, which count like the folder's own and are only read."""
    renewed: frozenset[str] = frozenset()
    """Nodes whose machine was replaced: another key than the one on record is a new machine's, which `confirm` decides
    about, and takes its place."""
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    def trust(self, node: Node, port: int) -> Trust:
        """What is on record for a node. Raises HostKeyError when the record can't be read."""
        if node.host_key is not None:
            try:
                return Trust((asyncssh.import_public_key(node.host_key),), pinned=True)
            except asyncssh.KeyImportError:
                raise HostKeyError(
                    node.name,
                    f"host_key in the topology is not an SSH public key: {node.host_key[:80]!r}",
                    advice="Copy the line of /etc/ssh/ssh_host_ed25519_key.pub on that host.",
                ) from None
        # Asked with the port as part of the name: given a port, asyncssh falls back to entries without one, and
        # forgets a @revoked line on the way.
        pattern = _pattern(node, port)
        recorded = [known.match(pattern, "", None) for known in self._load(node)]
        return Trust(tuple(k for found in recorded for k in found[0]), tuple(k for found in recorded for k in found[2]))

    async def allows(self, node: Node, key: asyncssh.SSHKey) -> bool:
        """Whether an unknown host's key shall be believed; asks one question at a time."""
        if self.accept_new:
            return True
        if self.confirm is None:
            return False
        async with self._asking:
            return await self.confirm(node, key.get_fingerprint())

    def undecided(self, node: Node, trust: Trust, shown: asyncssh.SSHKey | None) -> bool:
        """Whether the key that a host shows is for the operator to decide about."""
        if shown is None or shown in trust.revoked or shown in trust.keys:
            return False
        return not trust.keys or (node.name in self.renewed and not trust.pinned)

    def record(self, node: Node, port: int, key: asyncssh.SSHKey) -> None:
        """Add a host's key, a renewed one's in place of its old. The file is replaced atomically; others' stay."""
        old = self.state.read_secret(self.state.known_hosts.name) or b""
        if node.name in self.renewed:
            mine = _pattern(node, port).encode("ascii")
            old = b"".join(line for line in old.splitlines(keepends=True) if line.split()[:1] != [mine])
        if old and not old.endswith(b"\n"):
            old += b"\n"
        public = key.export_public_key("openssh").split()[:2]
        line = b" ".join([_pattern(node, port).encode("ascii"), *public, node.name.encode()]) + b"\n"
        self.state.write_secret(self.state.known_hosts.name, old + line)

    def unknown(self, node: Node, key: asyncssh.SSHKey) -> HostKeyError:
        """The error for a host that nobody has vouched for."""
        if node.name in self.renewed:
            return self._undecided(node, key, f"nothing is on record in {self.state.known_hosts}")
        return HostKeyError(
            node.name,
            f"the SSH host key of {node.management} is unknown: {_show(key)}; nothing is on record in "
            f"{self.state.known_hosts}",
            advice="Compare the fingerprint with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on "
            "the host's console. If it is the same, accept new host keys explicitly, or pin it in the topology: "
            f"host_key: {_public(key)}",
        )

    def changed(self, node: Node, port: int, key: asyncssh.SSHKey, trust: Trust) -> HostKeyError:
        """The error for a host that shows another key than the one on record."""
        expected = ", ".join(_show(known) for known in trust.keys) or "none that is valid"
        where = "pinned in the topology" if trust.pinned else f"on record in {self.state.known_hosts}"
        if node.name in self.renewed and not trust.pinned and key not in trust.revoked:
            return self._undecided(node, key, f"{expected} is {where}")
        removal = (
            f"replace its host_key in the topology by: {_public(key)}"
            if trust.pinned
            else f"remove the old key: ssh-keygen -f {self.state.known_hosts} -R '{_pattern(node, port)}'"
        )
        seen = f"{_show(key)}, which is marked as revoked" if key in trust.revoked else _show(key)
        return HostKeyError(
            node.name,
            f"{node.management} shows the SSH host key {seen}, but {expected} is {where}",
            advice="Either the host was reinstalled or replaced, or somebody else answers at its address (a wrong "
            "cable, a duplicate address, or an attacker). Compare with `ssh-keygen -lf "
            f"/etc/ssh/ssh_host_ed25519_key.pub` on the host's console. Only if it is the same: {removal}",
        )

    def _undecided(self, node: Node, key: asyncssh.SSHKey, record: str) -> HostKeyError:
        return HostKeyError(
            node.name,
            f"{node.management} shows the SSH host key {_show(key)}, and nobody has said that it is the new machine's; "
            f"{record}",
            advice="Compare the fingerprint with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on the "
            f"new machine's console. If it is the same: --host-key {key.get_fingerprint()}",
        )

    def _load(self, node: Node) -> Iterator[asyncssh.SSHKnownHosts]:
        """The folder's own records first. Files that aren't there are no error, as in OpenSSH."""
        yield _parse(node, self.state.known_hosts, self.state.read_secret(self.state.known_hosts.name) or b"")
        for path in self.also:
            try:
                yield _parse(node, path, path.read_bytes())
            except FileNotFoundError:
                continue
            except OSError as error:
                raise HostKeyError(node.name, f"{path} can't be read: {error.strerror}") from None


def _parse(node: Node, path: Path, content: bytes) -> asyncssh.SSHKnownHosts:
    try:
        return asyncssh.import_known_hosts(content.decode())
    except ValueError as error:
        raise HostKeyError(
            node.name,
            f"{path} can't be read: {error}",
            advice="Correct or remove the line; `man sshd` describes the format.",
        ) from None


def _pattern(node: Node, port: int) -> str:
    return node.management if port == asyncssh.DEFAULT_PORT else f"[{node.management}]:{port}"


def _show(key: asyncssh.SSHKey) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


def _public(key: asyncssh.SSHKey) -> str:
    return b" ".join(key.export_public_key("openssh").split()[:2]).decode("ascii")
