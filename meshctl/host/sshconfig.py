"""An OpenSSH client configuration as the way to the hosts: what `vagrant ssh-config` prints, or one's own.

Of the many options those count that say where a host is, who logs in, and how patiently: HostName, Port, User,
IdentityFile, ConnectTimeout, ServerAliveInterval, UserKnownHostsFile and StrictHostKeyChecking. Patterns, Match and
Include work as in ssh_config(5).
"""

import getpass
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from asyncssh.config import SSHClientConfig, SSHConfig
from pydantic import ValidationError

from meshctl.errors import UsageError
from meshctl.host.dial import KEEPALIVE
from meshctl.host.identity import Stated
from meshctl.host.known_hosts import KnownHosts
from meshctl.topology.document import Ssh
from meshctl.topology.model import Node

_ADDRESS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:%-]{0,252}[A-Za-z0-9])?")
_OURS = {"port": "Port", "user": "User", "identity": "IdentityFile", "connect_timeout": "ConnectTimeout"}
_SAYS_SOMETHING = ("Hostname", "Port", "User", "IdentityFile")
_NOT_DONE = ("ProxyJump", "ProxyCommand")
_BELIEVE = {"no", "off", "false", "accept-new"}
_MADE = "With Vagrant: `vagrant up`, then `vagrant ssh-config > {path}` beside the Vagrantfile."


class _Config(SSHClientConfig):
    """asyncssh's reader, and the one option that it leaves out."""

    _handlers = {  # noqa: RUF012  (as in the class that it extends)
        **SSHClientConfig._handlers,  # noqa: SLF001  (same)
        "stricthostkeychecking": ("StrictHostKeyChecking", SSHClientConfig._set_string),  # noqa: SLF001  (same)
    }


@dataclass(frozen=True, slots=True)
class Login:
    """How one host is reached. `known_hosts` are files that are only read; `accept_new`: unknown keys are recorded."""

    address: str
    ssh: Ssh
    stated: Stated
    known_hosts: tuple[Path, ...] = ()
    accept_new: bool = False
    keepalive: float = KEEPALIVE
    """Seconds of silence before asking whether the peer is alive."""

    def trusting(self, known_hosts: KnownHosts) -> KnownHosts:
        """The cluster's records, and what the configuration says about host keys. Changed keys are refused as ever."""
        return replace(known_hosts, also=self.known_hosts, accept_new=known_hosts.accept_new or self.accept_new)


def logins(path: Path, nodes: Iterable[Node], ssh: Ssh) -> dict[str, Login]:
    """Every node's login by name; what the file leaves open is as in `ssh` (the topology's).

    A node is looked up by its name, and when the file says nothing of that, by its address.
    Raises UsageError when the file can't be read, leaves a node out, or wants what meshctl doesn't do.
    """
    found = {node.name: _look_up(path, node) for node in nodes}
    silent = [name for name, config in found.items() if config is None]
    if silent:
        raise UsageError(
            f"--ssh-config {path} says nothing about {', '.join(silent)}",
            advice=f"Every host of the topology needs a `Host` entry of its name there. {_MADE.format(path=path)}",
        )
    return {node.name: _login(path, node, ssh, config) for node in nodes if (config := found[node.name])}


def _look_up(path: Path, node: Node) -> SSHConfig | None:
    """What the file says of a node; None when it is nothing that matters here."""
    try:
        for name in (node.name, node.management):
            config = _Config.load(None, path, False, False, False, getpass.getuser(), (), name, ())
            if any(config.get(option) for option in _SAYS_SOMETHING):
                return config
    except OSError as error:
        advice = _MADE.format(path=path)
        raise UsageError(f"--ssh-config {path} can't be read: {error.strerror}", advice=advice) from None
    except ValueError as error:  # asyncssh's ConfigParseError names file and line
        advice = "See ssh_config(5); `ssh -G -F FILE HOST` shows what OpenSSH makes of it."
        raise UsageError(f"--ssh-config {path} is no SSH configuration: {error}", advice=advice) from None
    return None


def _login(path: Path, node: Node, ssh: Ssh, config: SSHConfig) -> Login:
    if unable := [option for option in _NOT_DONE if config.get(option)]:
        raise UsageError(
            f"--ssh-config {path}: {node.name} is reached through {unable[0]}, which meshctl doesn't do",
            advice="Run meshctl on a machine that reaches the hosts directly (the jump host, for one).",
        )
    address = str(config.get("Hostname") or node.management)
    if not _ADDRESS.fullmatch(address):
        raise UsageError(f"--ssh-config {path}: HostName of {node.name} is no address: {address!r}")
    return Login(
        address,
        _ssh(path, node, ssh, config),
        Stated("IdentityFile", "User", "Port", str(path)),
        tuple(Path(name).expanduser() for name in _strings(config.get("UserKnownHostsFile")) if name != "/dev/null"),
        str(config.get("StrictHostKeyChecking", "ask")).lower() in _BELIEVE,
        _seconds(config.get("ServerAliveInterval")) or KEEPALIVE,
    )


def _ssh(path: Path, node: Node, ssh: Ssh, config: SSHConfig) -> Ssh:
    """The topology's login with what the file says instead. Of several keys it takes the first that is there."""
    keys = [str(Path(name).expanduser()) for name in _strings(config.get("IdentityFile"))]
    said: Mapping[str, object] = {
        "port": config.get("Port"),
        "user": config.get("User"),
        "identity": next((key for key in keys if Path(key).exists()), next(iter(keys), None)),
        "connect_timeout": config.get("ConnectTimeout"),
    }
    try:
        return Ssh.model_validate(ssh.model_dump() | {key: value for key, value in said.items() if value is not None})
    except ValidationError as error:
        fault = error.errors()[0]
        option = _OURS[str(fault["loc"][0])]
        raise UsageError(f"--ssh-config {path}: {option} of {node.name}: {fault['msg']}") from None


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int) and value > 0 else 0.0


def _strings(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
