"""Topology, SSH host keys and encrypted CA in Ceph's config-key store, for whoever has to go on from elsewhere."""

import asyncio
import errno
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.host.base import Host
from meshctl.roles.base import Problem, Role, Scope
from meshctl.roles.ceph import HANDOVER, HANDOVER_KEY, survey
from meshctl.roles.tls import CA
from meshctl.topology import Node

from .bundle import Bundle, bundle, merged, own, signed

SET = ("ceph", "--connect-timeout", "10", "config-key", "set", HANDOVER_KEY, "-i", "-")


class HandoverRole(Role):
    """Keeps what the operator's machine has, and nobody else."""

    name: ClassVar[str] = "handover"
    summary: ClassVar[str] = "topology and encrypted CA in the cluster's own store, for another operator"
    needs: ClassVar[frozenset[str]] = frozenset({"ceph_mon", "pki"})
    scope: ClassVar[Scope] = Scope.CLUSTER

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Keep what differs from what is kept; everything at once, or nothing."""
        kept, trusted = await asyncio.gather(look(host), host.read(CA))
        mine = own(self.topology, cluster.state)
        wanted = merged(kept, mine, trusted or "")
        if kept and wanted.content == kept.content:
            return
        if kept and kept.topology != wanted.topology:
            cluster.note(f"the cluster kept another topology, by {kept.by}, {kept.at}; this one takes its place")
        if not wanted.authorities:
            cluster.note(
                f"the CA's key is not encrypted, so it is in {cluster.state.path} alone, not in the cluster's store: "
                "back that folder up, or name age recipients in the topology's secrets section"
            )
        reason = "another operator could not go on with it" if kept else "nothing is kept for another operator"
        await host.run(SET, stdin=signed(wanted).encode(), reason=reason)

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """A topology is kept, and can be read."""
        kept = await look(cluster.leader)
        if kept and kept.topology:
            return []
        what, command = "the cluster keeps no topology for another operator", f"ceph config-key get {HANDOVER_KEY}"
        advice = "Run bootstrap: it keeps what the operator's machine has."
        return [Problem(cluster.leader.name, what, "a topology", "nothing", command, advice)]


async def look(host: Host) -> Bundle | None:
    """What is kept; None when nothing is. Raises ParseError when it is something else."""
    (answer,) = await survey(host, HANDOVER, ok=(0, -errno.ENOENT))
    return answer.read(bundle) if answer.status == 0 else None
