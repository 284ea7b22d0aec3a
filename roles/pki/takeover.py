"""Another CA takes over from the cluster's, while everything runs: `certs renew --ca`.

First every host trusts both, then every host gets a certificate of the new one, then the old one goes from the state
folder, then from the hosts. What has been done is read from the hosts and from which CAs the folder has, so that a
killed run goes on: before the old one has gone, with the same new one; afterwards, with what is left to clear away.
"""

from datetime import UTC, datetime
from typing import ClassVar

from meshctl.ca import CA_FILE, NEXT_FILE, Authority, authorities, succeed
from meshctl.certs import common_name
from meshctl.cluster import Cluster
from meshctl.errors import SecretsError
from meshctl.host.base import Host
from meshctl.topology import Node, Topology

from .parse import fault, holds
from .renewal import SERVED, install, knocking, lagging, no_key, stale
from .role import Pki, look, trust

# The names of the CAs whose certificates the server asks clients for, with a | behind each.
_ASKED_FOR = knocking("sed -n '/^Acceptable client certificate CA names/,/^Requested/s/.*CN *= *//p' | tr '\\n' '|'")


class Trust(Pki):
    """The role that makes hosts trust both CAs."""

    name: ClassVar[str] = "pki_trust"

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self._clearing = False

    async def prepare(self, cluster: Cluster) -> None:
        """Raise SecretsError when the CA's key isn't here, or is its owner's, who has to make the next one himself."""
        await super().prepare(cluster)
        own = authorities(cluster.state)
        if self._adopted or not own:
            raise no_key(cluster)
        own[-1].unlock()
        known = [one.certificate for one in own]
        strange = any(not holds(known, ca) for carried in self._carried.values() for ca in carried.trusts)
        self._clearing = len(own) == 1 and strange
        if len(own) == 1 and not self._clearing and not own[0].made_here:
            raise SecretsError(
                "this cluster's CA is its owner's own, and meshctl can't make another one in its place",
                advice=f"Make the next root with your own tools, put its certificate and key together into "
                f"{cluster.state.path / NEXT_FILE} (mode 0600), and run this again: it takes over in the same way.",
            )

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Write both, the current one first, and wait until OVN's servers accept certificates of the new one."""
        if self._clearing:
            return
        own = authorities(cluster.state)
        if len(own) == 1:
            own = (own[0], Authority.create(cluster.state, self.topology.cluster, file=NEXT_FILE))
        await super().apply(node, host, cluster)
        name = common_name(own[-1].certificate)

        async def late() -> str:
            return await lagging(node, host, self.topology, _ASKED_FOR, lambda names: name in names.split("|"))

        await host.until("OVN's servers with both CAs", late, timeout=SERVED)


class Cross(Pki):
    """The role that gives hosts certificates of the new CA."""

    name: ClassVar[str] = "pki_cross"

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Issue where there is none yet, write, and wait until OVN's servers use it."""
        own = authorities(cluster.state)
        if len(own) == 1:
            return  # the new one is the only one already: a killed run is being cleared away
        carried, successor = await look(node, host), own[-1].certificate
        unfit = fault(carried, node, [successor], datetime.now(UTC))
        # A killed run, or a busy server, may have left the file in place and the old one in use.
        if unfit or await stale(node, host, self.topology, carried.certificate):
            leaf = own[-1].issue(node.name, [node.loopback])
            cas = trust(leaf.certificate, [one.certificate for one in own])
            await install(node, host, self.topology, leaf, cas)


class Clear(Pki):
    """The role that forgets the old CA, once nobody has a certificate of it."""

    async def prepare(self, cluster: Cluster) -> None:
        """Make the new CA the only one in the state folder. Raises SecretsError while a host has none of its own."""
        own, carried = authorities(cluster.state), await cluster.each(look)
        if unfit := self._unfit(carried, [own[-1].certificate]):
            said = "; ".join(f"{name}: {reason}" for name, reason in unfit.items())
            raise SecretsError(
                f"not every host has a certificate of the new CA ({said}); both stay trusted",
                advice="`meshctl certs renew --ca` goes on where this ended.",
            )
        if (cluster.state.path / NEXT_FILE).exists():
            succeed(cluster.state)
            cluster.note(f"the CA is a new one: copy {cluster.state.path / CA_FILE} to every operator who has one")
