"""The links role: files of systemd-networkd, and a look at the kernel afterwards."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from meshctl.cluster import Cluster
from meshctl.errors import ParseError, RefusedError
from meshctl.host.base import File, Files, Host, text
from meshctl.roles.base import Problem, Role
from meshctl.roles.templates import environment
from meshctl.topology import Node, Topology

from . import cables
from .parse import Link, NetworkFile, links, network_files, unread, words

FOLDER = "/etc/systemd/network"
PREFIX = "05-meshctl-"
"""networkd takes the first file that matches a NIC: this one comes before netplan's `10-netplan-…`."""

LOOK = ("ip", "-j", "addr", "show")
# $0 is the folder, $1 the prefix of our files
_TIMES = 'stat -c "%.9Z %n" "$0/$1"*.network /run/systemd/netif/links/* 2>/dev/null; :'
_OURS = 'exec grep -sHE "^(Name|Address)=" "$0/$1"*.network'
_ALL = 'for f in /etc/systemd/network/*.network /run/systemd/network/*.network; do [ -e "$f" ] && echo "$f"; done; :'
_ENABLE = "systemctl enable --now systemd-networkd.service && systemctl disable systemd-networkd-wait-online.service"

_TEMPLATES = environment(__package__)


@dataclass(frozen=True, slots=True)
class Seen:
    """A host before anything is changed."""

    links: dict[str, Link]
    files: tuple[NetworkFile, ...]
    unread: list[str]
    running: bool
    enabled: bool


class Links(Role):
    """Addresses, MTU and loopback; never the management NIC."""

    name = "links"
    summary = "Addresses and MTU of every cable, and the loopbacks, kept by systemd-networkd."
    needs = frozenset({"preflight"})

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
        """Write the files, drop those of former runs, and let networkd act where kernel and files differ."""
        files = self.render(node)
        seen = await self._look(node, host)
        drift = cables.drift(node, seen.links)
        stale = [file for file in seen.files if file.path not in files]
        written = await host.put(files)
        if seen.running and not seen.enabled:
            await host.run(["systemctl", "enable", "systemd-networkd.service"], reason="it would not start at boot")
        if seen.running and not (written or stale or drift or seen.unread):
            return
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

    async def _look(self, node: Node, host: Host) -> Seen:
        state, enabled, kernel, ours, all_files, times = await asyncio.gather(
            host.query(["systemctl", "is-active", "systemd-networkd.service"], ok=None),
            host.query(["systemctl", "is-enabled", "systemd-networkd.service"], ok=None),
            host.query(LOOK),
            host.query(["sh", "-c", _OURS, FOLDER, PREFIX], ok=(0, 1, 2)),
            host.query(["sh", "-c", _ALL]),
            host.query(["sh", "-c", _TIMES, FOLDER, PREFIX]),
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
        indexes = {name: link.index for name, link in now.items()}
        return Seen(
            links=now,
            files=network_files(ours.stdout),
            unread=unread(times.stdout, indexes),
            running=running,
            enabled=enabled.stdout.strip() != "disabled",  # netplan's generator enables it in words of its own
        )

    async def _settle(self, node: Node, host: Host) -> None:
        async def probe() -> str:
            now = _links(host, (await host.query(LOOK)).stdout)
            return "; ".join(cables.drift(node, now).values())

        await host.until("addresses and MTU of the cables", probe, timeout=15, every=0.1)

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


def _path(nic: str) -> str:
    return f"{FOLDER}/{PREFIX}{nic}.network"


def _render(template: str, **values: Any) -> File:
    return text(_TEMPLATES.get_template(template).render(**values))
