"""The links role: files of systemd-networkd, and a look at the kernel afterwards."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from meshctl.cluster import Cluster
from meshctl.errors import ParseError, RefusedError
from meshctl.host.base import File, Files, Host, Result, text
from meshctl.roles import deadman
from meshctl.roles.base import Problem, Role
from meshctl.roles.parsing import understand
from meshctl.roles.templates import environment
from meshctl.topology import Node, Topology

from . import cables
from .parse import Link, NetworkFile, links, network_files, unread, words

FOLDER = "/etc/systemd/network"
PREFIX = "05-meshctl-"
"""networkd takes the first file that matches a NIC: this one comes before netplan's `10-netplan-…`."""

SETTLING = 10.0
"""Seconds that networkd may take; less than the dead-man switch waits, so that the confirmation still has its turn."""

LOOK = ("ip", "-j", "addr", "show")
# $0 is the folder, $1 the prefix of our files
_TIMES = 'stat -c "%.9Z %n" "$0/$1"*.network /run/systemd/netif/links/* 2>/dev/null; :'
OURS = 'exec grep -sHE "^(Name|Address)=" "$0/$1"*.network'
_ALL = 'for f in /etc/systemd/network/*.network /run/systemd/network/*.network; do [ -e "$f" ] && echo "$f"; done; :'
_ENABLE = "systemctl enable --now systemd-networkd.service && systemctl disable systemd-networkd-wait-online.service"

_TEMPLATES = environment(__package__)


@dataclass(frozen=True, slots=True)
class Seen:
    """A host before anything is changed."""

    links: dict[str, Link]
    files: tuple[NetworkFile, ...]
    unread: list[str]
    differing: frozenset[str]
    """The paths of our files that are not as they should be."""
    running: bool
    enabled: bool
    unconfirmed: bool
    """A killed run's change awaits its rollback."""


class Links(Role):
    """Addresses, MTU and loopback; never the management NIC."""

    name = "links"
    summary = "Addresses and MTU of every cable, and the loopbacks, kept by systemd-networkd."
    needs = frozenset({"wiring"})

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self._without_ping: frozenset[str] = frozenset()

    def render(self, node: Node) -> Files:
        """A .network file per cable, one for the loopback, one for the uplink."""
        files = {_path(port.nic): _render("port.network.j2", node=node, port=port) for port in node.ports}
        files[_path("lo")] = _render("lo.network.j2", node=node)
        if node.uplink_nic:
            files[_path(node.uplink_nic)] = _render("uplink.network.j2", node=node)
        return files

    async def prepare(self, cluster: Cluster) -> None:
        """Find the hosts that still lack `ping`: there the gate has to wait for the packages."""
        found = await cluster.each(lambda _, host: host.query(["sh", "-c", "command -v ping"], ok=None))
        self._without_ping = frozenset(name for name, result in found.items() if not result.ok)

    def gate_timeout(self) -> float:
        """Longer while `ping` is still on its way."""
        timeouts = self.topology.timeouts
        return timeouts.gate + (timeouts.packages if self._without_ping else 0)

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Write the files, drop those of former runs, and let networkd act where kernel and files differ.

        Whatever touches links or addresses is taken back by the host unless a new connection confirms it.
        """
        files = self.render(node)
        seen = await self._look(node, host, files)
        if seen.unconfirmed:
            await deadman.take_back(host)
            cluster.note(f"{node.name}: took back a change of the network that a killed run left unconfirmed")
            seen = await self._look(node, host, files)
        drift = cables.drift(node, seen.links)
        stale = [file for file in seen.files if file.path not in files]
        if seen.running and not seen.enabled:
            await host.run(["systemctl", "enable", "systemd-networkd.service"], reason="it would not start at boot")
        if seen.running and not (seen.differing or stale or drift or seen.unread):
            return
        paths = {*files, *(file.path for file in stale)}
        async with deadman.guarded(host, paths, {*map(_nic, files), *(file.nic for file in stale)}):
            await self._converge(node, host, seen, stale, drift)

    async def _converge(
        self, node: Node, host: Host, seen: Seen, stale: Sequence[NetworkFile], drift: dict[str, str]
    ) -> None:
        written = await host.put(self.render(node))
        await self._forget(host, seen, stale)
        if not seen.running:
            await host.run(["sh", "-c", _ENABLE], reason="systemd-networkd does not run yet")
        else:
            await self._act(host, seen, drift, reload=bool(written or stale or seen.unread), fresh=written)
        await self._settle(node, host)

    async def _act(
        self, host: Host, seen: Seen, drift: dict[str, str], *, reload: bool, fresh: Collection[str]
    ) -> None:
        """A reload configures the NICs whose files changed; where only the kernel differs, networkd has to be told."""
        if reload:
            await host.run(["networkctl", "reload"], reason="systemd-networkd has not read its files yet")
        only_kernel = [nic for nic in drift if _path(nic) not in fresh and nic not in seen.unread]
        if only_kernel:
            reason = "; ".join(drift[nic] for nic in only_kernel)
            await host.run(["networkctl", "reconfigure", *only_kernel], reason=reason)

    async def _look(self, node: Node, host: Host, files: Files) -> Seen:
        (differing, unconfirmed), (state, enabled, kernel, ours, all_files, times) = await asyncio.gather(
            asyncio.gather(host.differing(files), deadman.unconfirmed(host)),
            asyncio.gather(
                host.query(["systemctl", "is-active", "systemd-networkd.service"], ok=None),
                host.query(["systemctl", "is-enabled", "systemd-networkd.service"], ok=None),
                host.query(LOOK),
                host.query(["sh", "-c", OURS, FOLDER, PREFIX], ok=(0, 1, 2)),
                host.query(["sh", "-c", _ALL]),
                host.query(["sh", "-c", _TIMES, FOLDER, PREFIX]),
            ),
        )
        running = state.stdout.strip() in {"active", "activating", "reloading"}
        foreign = [path for path in words(all_files.stdout) if not path.startswith(f"{FOLDER}/{PREFIX}")]
        if foreign and not running:
            raise RefusedError(
                host.name,
                f"systemd-networkd does not run, and starting it would put {', '.join(foreign)} into effect",
                advice=f"Start it yourself, or remove these files; {node.management_nic} must stay reachable.",
            )
        now = _links(host, kernel.stdout)
        return Seen(
            links=now,
            files=understand(host.name, ours.argv, network_files, ours.stdout),
            unread=_unread(host, times, now),
            differing=differing,
            running=running,
            enabled=enabled.stdout.strip() != "disabled",  # netplan's generator enables it in words of its own
            unconfirmed=unconfirmed,
        )

    async def _settle(self, node: Node, host: Host) -> None:
        """Wait until the change is in effect: networkd has read every file, and the kernel is as it should be."""

        async def probe() -> str:
            kernel, times = await asyncio.gather(host.query(LOOK), host.query(["sh", "-c", _TIMES, FOLDER, PREFIX]))
            now = _links(host, kernel.stdout)
            late = [f"systemd-networkd has not read the file of {nic} yet" for nic in _unread(host, times, now)]
            return "; ".join([*late, *cables.drift(node, now).values()])

        await host.until("addresses and MTU of the cables", probe, timeout=SETTLING, every=0.1)

    async def _forget(self, host: Host, seen: Seen, stale: Sequence[NetworkFile]) -> None:
        """Take back what a former run gave to NICs that are no part of the mesh any more.

        The address first: once the file is gone, nothing says whose address it was.
        """
        for file in stale:
            reason = f"{file.nic} is not part of the mesh any more"
            for address in file.addresses:
                if file.nic in seen.links and address in seen.links[file.nic].addresses:
                    await host.run(["ip", "addr", "del", str(address), "dev", file.nic], reason=reason)
            await host.run(["rm", "-f", "--", file.path], reason=reason)

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Both ends of each cable answer at full MTU; every loopback is there."""
        looks = await cluster.each(lambda _, host: host.query(LOOK))
        now = {name: _links(cluster.hosts[name], look.stdout) for name, look in looks.items()}
        problems = [problem for node in self.topology.nodes for problem in cables.check(node, now[node.name])]
        return problems or await cables.ping_all(cluster)


def _links(host: Host, output: str) -> dict[str, Link]:
    try:
        return links(output)
    except ValueError as error:
        raise ParseError(host.name, LOOK, "a list of interfaces", output) from error


def _unread(host: Host, times: Result, now: dict[str, Link]) -> list[str]:
    indexes = {name: link.index for name, link in now.items()}
    return understand(host.name, times.argv, partial(unread, indexes=indexes), times.stdout)


def _nic(path: str) -> str:
    return path.removeprefix(f"{FOLDER}/{PREFIX}").removesuffix(".network")


def _path(nic: str) -> str:
    return f"{FOLDER}/{PREFIX}{nic}.network"


def _render(template: str, **values: Any) -> File:
    return text(_TEMPLATES.get_template(template).render(**values))
