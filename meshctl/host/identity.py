"""The operator's private keys: which ones a login offers, and how to name them in an error."""

import os
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from meshctl.errors import AuthError
from meshctl.topology.document import Ssh


@dataclass(frozen=True, slots=True)
class Stated:
    """Where a login is stated, and what its parts are called there: in the topology, or in an SSH configuration."""

    identity: str = "ssh.identity"
    user: str = "ssh.user"
    port: str = "ssh.port"
    place: str = "the topology"


TOPOLOGY = Stated()


@dataclass(frozen=True, slots=True)
class Identity:
    """What a login offers. `agent` is the path of the SSH agent's socket; `agent_keys` picks some of its keys.

    No `keys` means those in ~/.ssh: asyncssh forgets the agent when it is told to use no key file at all.
    """

    keys: tuple[asyncssh.SSHKeyPair, ...]
    agent: str | None
    agent_keys: tuple[Path, ...] | None
    names: str


def load(ssh: Ssh, host: str, stated: Stated = TOPOLOGY) -> Identity:
    """The keys for a login: the named one alone, else the agent's and those in ~/.ssh.

    Raises AuthError naming `host` when the named file can't be used. An encrypted one is left to the agent.
    """
    agent = os.environ.get("SSH_AUTH_SOCK")
    if ssh.identity is None:
        return Identity((), agent, None, "the SSH agent's keys and those in ~/.ssh" if agent else "the keys in ~/.ssh")
    path = Path(ssh.identity).expanduser()
    advice = f"See {stated.identity} in {stated.place}."
    try:
        keys = asyncssh.load_keypairs(str(path), ignore_encrypted=True)
    except OSError as error:
        raise AuthError(host, f"the private key {path} can't be read: {error.strerror}", advice=advice) from None
    except asyncssh.KeyImportError as error:
        raise AuthError(host, f"{path} is not a private key: {error}", advice=advice) from None
    if keys:
        return Identity(tuple(keys), None, None, str(path))
    public = path.with_name(path.name + ".pub")
    if agent and public.exists():
        return Identity((), agent, (public,), f"{path} through the SSH agent")
    raise AuthError(
        host,
        f"the private key {path} has a passphrase, and there is no SSH agent to ask for it",
        advice=f'eval "$(ssh-agent)"; ssh-add {path}; and keep {public.name} beside it',
    )
