"""New certificates before the old ones end: one host after the other, while everything runs."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from meshctl.ca import CA_FILE, Authority, authorities
from meshctl.certs import bundle, serial
from meshctl.cluster import Cluster
from meshctl.errors import SecretsError
from meshctl.host.base import Host, text
from meshctl.issuing import Leaf
from meshctl.roles.base import Rollout
from meshctl.roles.tls import CA, CERTIFICATE, KEY
from meshctl.topology import Node, Topology

from .role import Pki

SERVED = 30.0
"""Seconds in which a server must serve the new certificate. ovsdb-server looks at its files whenever it wakes up."""

INCUS = ("/var/lib/incus/cluster.crt", "/var/lib/incus/server.crt")
"""What Incus itself has made, for ten years."""


def knocking(sieve: str) -> str:
    """The script for `lagging`: a line per port with what `sieve` leaves of the TLS handshake there."""
    return (
        'address=$1 ca=$2 certificate=$3 key=$4; shift 4; for port; do echo "$port $(timeout 3 openssl s_client '
        '-connect "$address:$port" -CAfile "$ca" -cert "$certificate" -key "$key" </dev/null 2>/dev/null | '
        f'{sieve})"; done'
    )


# The serial number of the certificate that is served; nothing when nobody answers.
_SERIALS = knocking("openssl x509 -noout -serial 2>/dev/null")


class Renewal(Pki):
    """The role of `certs renew`: every host it is applied to gets a new certificate and key."""

    rollout: ClassVar[Rollout] = Rollout.ONE_BY_ONE

    async def prepare(self, cluster: Cluster) -> None:
        """Raise SecretsError when the key of the CA that the hosts trust isn't here, or another CA is taking over."""
        await super().prepare(cluster)
        own = authorities(cluster.state)
        if self._adopted or not own:
            raise no_key(cluster)
        if len(own) > 1:
            raise SecretsError(
                "a renewal of the CA has not ended, and hosts have certificates of both",
                advice="`meshctl certs renew --ca` goes on with it, and gives every host a new certificate anyway.",
            )
        own[0].unlock()

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Issue, write, and wait until OVN's servers use it; nothing is restarted."""
        authority = Authority.load(cluster.state)
        if authority is None:
            raise SecretsError(
                "the CA's key has gone from the state folder while certificates were renewed",
                advice="Put the state folder back from its backup and run the same command again: it goes on there.",
            )
        await install(node, host, self.topology, authority.issue(node.name, [node.loopback]), authority.certificate)


def no_key(cluster: Cluster) -> SecretsError:
    """Nothing can be renewed here."""
    return SecretsError(
        "the key of the CA is not here, and nobody else can issue certificates",
        advice=f"Copy {CA_FILE} from the state folder of the operator who bootstrapped to {cluster.state.path}.",
    )


async def install(node: Node, host: Host, topology: Topology, leaf: Leaf, cas: str) -> None:
    """Write a certificate with its key and the CAs to trust, and wait until OVN's servers serve it.

    OVN's daemons read both files again once both have changed (stream-ssl.c), and keep their connections. Raises
    WaitError when they don't.
    """
    files = {CA: text(cas), CERTIFICATE: text(leaf.certificate)}
    await host.put({**files, KEY: text(leaf.key, mode=0o600, secret=True)})

    async def late() -> str:
        return await stale(node, host, topology, leaf.certificate)

    await host.until("OVN's servers with the new certificate", late, timeout=SERVED)


async def stale(node: Node, host: Host, topology: Topology, certificate: str) -> str:
    """Which of a host's OVN ports serve another certificate than this one; "" when none does."""
    return await lagging(node, host, topology, _SERIALS, f"serial={serial(certificate)}".__eq__)


async def lagging(node: Node, host: Host, topology: Topology, script: str, done: Callable[[str], bool]) -> str:
    """Which of a host's four OVN ports don't answer as they should yet; "" when all do. Knocking wakes the servers."""
    ovn = topology.ovn
    ports = (ovn.northbound_port, ovn.southbound_port, ovn.northbound_raft_port, ovn.southbound_raft_port)
    argv = ["sh", "-c", script, "sh", str(node.loopback), CA, CERTIFICATE, KEY, *map(str, ports)]
    answers = (line.partition(" ") for line in (await host.query(argv)).stdout.splitlines())
    late = [port for port, _, answer in answers if not done(answer.strip())]
    return f"not yet on port {', '.join(late)}" if late else ""


async def certificates(host: Host) -> dict[str, str]:
    """Every certificate that lies on a host, by path. `incus config …` stands for one in Incus' own database."""
    paths = (CA, CERTIFICATE, *INCUS)
    setting = ["incus", "config", "get", "network.ovn.client_cert"]
    found, client = await asyncio.gather(
        asyncio.gather(*(host.read(path) for path in paths)), host.query(setting, ok=None)
    )
    named = {**dict(zip(paths, found, strict=True)), " ".join(setting): client.stdout if client.ok else None}
    return {label: pem for path, content in named.items() for label, pem in _each(path, content or "")}


def _each(path: str, content: str) -> list[tuple[str, str]]:
    """A file's certificates; while a CA takes over from another, there are two of them in one file."""
    found = bundle(content)
    return [(path if len(found) == 1 else f"{path} ({i})", pem) for i, pem in enumerate(found, 1)]
