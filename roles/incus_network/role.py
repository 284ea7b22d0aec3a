"""Incus on OVN: the connection over TLS, the uplink, one OVN network, and the default profile's NIC on it."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, HostError, RefusedError
from meshctl.host.base import Host, Result
from meshctl.roles import incusapi
from meshctl.roles.base import Problem, Role, Scope
from meshctl.roles.incusapi import Thing, Wanted
from meshctl.roles.tls import CA, CERTIFICATE, KEY
from meshctl.topology import Node

from . import judge, nb, wanted

NIC = "eth0"

ATTEMPTS = 5
"""For a network that comes out Errored. Each gets another number, and an earlier Incus may have left some of them."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """The server's configuration (with the client's key in it), networks, and the default profile's devices."""

    config: Mapping[str, str]
    networks: dict[str, Thing]
    devices: dict[str, dict[str, str]]

    def __repr__(self) -> str:
        return f"_Seen({', '.join(self.networks)})"


class IncusNetworkRole(Role):
    """The networks."""

    name: ClassVar[str] = "incus_network"
    summary: ClassVar[str] = "Incus' networks on OVN: uplink and overlay, with every host as gateway chassis"
    needs: ClassVar[frozenset[str]] = frozenset({"incus", "ovn"})
    scope: ClassVar[Scope] = Scope.CLUSTER
    poll: ClassVar[float] = 0.5

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Tell Incus where OVN is, then make or mend the uplink, the overlay and the default profile's NIC.

        RefusedError when a network of that name is of another kind, or is broken but in use.
        """
        del node
        ca, certificate, key, seen = await asyncio.gather(
            _pem(host, CA), _pem(host, CERTIFICATE), _pem(host, KEY), _look(host)
        )
        await self._connect(host, seen, wanted.settings(self.topology, ca, certificate, key))
        if uplink := wanted.uplink(self.topology):
            await _converge(host, uplink, seen.networks.get(uplink.name))
        overlay = wanted.overlay(self.topology)
        await _converge(host, overlay, seen.networks.get(overlay.name))
        await self._nic(host, cluster, seen.devices)
        await self._gateways(host, cluster)

    async def _gateways(self, host: Host, cluster: Cluster) -> None:
        """Restart Incus where an online host is no gateway chassis; seen after a join and, once, after a restore.

        Instances go on running meanwhile. Evacuated hosts are meant to be missing.
        """
        if self.topology.uplink is None:
            return
        missing = judge.missing_gateways(self.topology, await host.query(nb.command(self.topology), ok=None))
        if not missing:
            return
        members = await incusapi.read(host, incusapi.MEMBERS, incusapi.members)
        online = [name for name in sorted(missing) if name in members and members[name].status == "Online"]
        for name in online:
            reason = f"{name} is no gateway of {self.topology.incus.network}, although it is online"
            await cluster.hosts[name].run(["systemctl", "restart", "incus.service"], reason=reason)

    async def _connect(self, host: Host, seen: _Seen, settings: Mapping[str, str]) -> None:
        """Through stdin, because of the key. All at once: Incus connects after each change, and half of it fails."""
        if any(seen.config.get(name, "").strip() != value.strip() for name, value in settings.items()):
            argv = ["incus", "admin", "init", "--preseed"]
            preseed = json.dumps({"config": dict(settings)}).encode()
            await host.run(argv, stdin=preseed, reason="Incus' way to OVN's northbound database differs")

    async def _nic(self, host: Host, cluster: Cluster, devices: dict[str, dict[str, str]]) -> None:
        device = {"type": "nic", "name": NIC, "network": self.topology.incus.network}
        if devices.get(NIC) == device:
            return
        if differs := await incusapi.ensure_device(host, NIC, device):
            cluster.note(f"the default profile of Incus keeps its own {NIC} ({differs})")

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Networks Created on all members; the router in OVN, all hosts as its gateways; the uplink answers."""
        host = cluster.leader
        seen, listing, answers = await asyncio.gather(
            _look(host), host.query(nb.command(self.topology), ok=None), cluster.each(self._arp)
        )
        return [
            *judge.connection(self.topology, host.name, seen.config),
            *judge.networks(self.topology, host.name, seen.networks),
            *judge.nic(self.topology, host.name, seen.devices, NIC),
            *judge.router(self.topology, host.name, listing),
            *judge.uplink(self.topology, answers),
        ]

    async def _arp(self, node: Node, host: Host) -> Result | None:
        """Ask for the gateway's MAC through this host's uplink; None without one."""
        argv = judge.arp(self.topology, node)
        return await host.query(argv, ok=None) if argv else None


async def _look(host: Host) -> _Seen:
    config, networks, devices = await asyncio.gather(
        incusapi.read(host, "/1.0", _config),
        incusapi.read(host, incusapi.NETWORKS, incusapi.networks),
        incusapi.read(host, incusapi.DEFAULT_PROFILE, incusapi.devices),
    )
    return _Seen(config, networks, devices)


def _config(data: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in data["config"].items()}


async def _pem(host: Host, path: str) -> str:
    content = await host.read(path)
    if content is None:
        raise HostError(host.name, f"there is no {path}", advice="Role pki writes it.")
    return content


async def _converge(host: Host, network: Wanted, seen: Thing | None) -> None:
    incusapi.refuse_other(host, network, seen)
    if seen is None or not seen.created_on(network.per_member):
        await _make(host, network, seen)
        return
    differing = {key: value for key, value in network.config.items() if seen.config.get(key, "") != value}
    if differing:
        path, reason = f"/1.0/networks/{network.name}", f"{', '.join(differing)} of network {network.name} differ"
        await incusapi.change(host, "PATCH", path, {"config": differing}, reason=reason)


async def _make(host: Host, network: Wanted, seen: Thing | None) -> None:
    """Make it; again while it comes out Errored, as when OVN still has objects under the number that it gets."""
    for attempts_left in reversed(range(ATTEMPTS)):
        if seen and seen.status == "Errored":
            await _remove(host, seen)
            seen = None
        try:
            await incusapi.make(host, network, seen)
        except CommandError:
            seen = await incusapi.look(host, network)
            if seen is None or seen.status != "Errored" or not attempts_left:
                raise
        else:
            return


async def _remove(host: Host, broken: Thing) -> None:
    """An ERRORED network can't be mended, only made again."""
    users = [path for path in broken.used_by if not path.startswith(incusapi.DEFAULT_PROFILE)]
    if users:
        raise RefusedError(
            host.name,
            f"Incus' network {broken.name} is Errored and in use by {', '.join(users[:5])}",
            advice=f"Detach them, then run this again: meshctl deletes and makes {broken.name} anew.",
        )
    reason = f"the network {broken.name} is Errored, which Incus never mends"
    await incusapi.change(host, "DELETE", f"/1.0/networks/{broken.name}", None, reason=reason)
