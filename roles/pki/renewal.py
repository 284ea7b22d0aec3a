"""New certificates before the old ones end: one host after the other, while everything runs."""

import asyncio
from typing import ClassVar

from meshctl.certs import Authority, serial
from meshctl.cluster import Cluster
from meshctl.errors import SecretsError
from meshctl.host.base import Host, text
from meshctl.roles.base import Rollout
from meshctl.topology import Node

from .role import CA, CERTIFICATE, KEY, Pki

SERVED = 30.0
"""Seconds in which a server must serve the new certificate. ovsdb-server looks at its files whenever it wakes up."""

# One line per port: the serial number of the certificate that is served there; empty when nothing answers.
_SERIALS = (
    'address=$1 ca=$2 certificate=$3 key=$4; shift 4; for port; do echo "$port $(timeout 3 openssl s_client -connect '
    '"$address:$port" -CAfile "$ca" -cert "$certificate" -key "$key" </dev/null 2>/dev/null | '
    'openssl x509 -noout -serial 2>/dev/null)"; done'
)


class Renewal(Pki):
    """The role of `certs renew`: every host it is applied to gets a new certificate and key."""

    rollout: ClassVar[Rollout] = Rollout.ONE_BY_ONE

    async def prepare(self, cluster: Cluster) -> None:
        """Raise SecretsError when the key of the CA that the hosts trust isn't here."""
        await super().prepare(cluster)
        if self._adopted or Authority.load(cluster.state) is None:
            raise SecretsError(
                "the key of the CA is not here, and nobody else can issue certificates",
                advice=f"Copy ca.pem from the state folder of the operator who bootstrapped to {cluster.state.path}.",
            )

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Issue, write, and wait until OVN's servers use it; nothing is restarted.

        OVN's daemons read both files again once both have changed (stream-ssl.c), and keep their connections.
        """
        authority = Authority.load(cluster.state)
        if authority is None:
            raise SecretsError("the CA's key has gone from the state folder while certificates were renewed")
        leaf = authority.issue(node.name, [node.loopback])
        files = {CA: text(authority.certificate), CERTIFICATE: text(leaf.certificate)}
        await host.put({**files, KEY: text(leaf.key, mode=0o600, secret=True)})
        wanted = serial(leaf.certificate)
        await host.until(
            "OVN's servers with the new certificate", lambda: self._late(node, host, wanted), timeout=SERVED
        )

    async def _late(self, node: Node, host: Host, wanted: str) -> str:
        ovn = self.topology.ovn
        ports = (ovn.northbound_port, ovn.southbound_port, ovn.northbound_raft_port, ovn.southbound_raft_port)
        argv = ["sh", "-c", _SERIALS, "sh", str(node.loopback), CA, CERTIFICATE, KEY, *map(str, ports)]
        rows = (line.split() for line in (await host.query(argv)).stdout.splitlines())
        late = [row[0] for row in rows if row and row[1:] != [f"serial={wanted}"]]
        return f"another one on port {', '.join(late)}" if late else ""


async def certificates(host: Host) -> dict[str, str]:
    """Every certificate that lies on a host, by path. `incus config …` stands for one in Incus' own database."""
    incus = ("/var/lib/incus/cluster.crt", "/var/lib/incus/server.crt")
    paths = (CA, CERTIFICATE, *incus)
    setting = ["incus", "config", "get", "network.ovn.client_cert"]
    found, client = await asyncio.gather(
        asyncio.gather(*(host.read(path) for path in paths)), host.query(setting, ok=None)
    )
    named = {**dict(zip(paths, found, strict=True)), " ".join(setting): client.stdout if client.ok else None}
    return {path: content for path, content in named.items() if content and content.strip()}
