"""The nics role: link files of systemd for pinned NICs, and the right names at once."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from meshctl.cluster import Cluster
from meshctl.errors import RefusedError
from meshctl.host.base import Files, Host, text
from meshctl.roles import deadman
from meshctl.roles.base import Problem, Role
from meshctl.roles.parsing import understand
from meshctl.roles.templates import environment
from meshctl.topology import Node

from .parse import by_mac, paths

LINKS = ("ip", "-j", "addr", "show")
FOLDER = "/etc/systemd/network"
PREFIX = "05-meshctl-"
"""udev takes the first .link file that matches: before systemd's 73-usb-net-by-mac.link and 99-default.link."""

LIST = ("sh", "-c", f"ls {FOLDER}/{PREFIX}*.link 2>/dev/null; :")

# Pairs of names. All leave their old names before any gets its new one, because names may have been exchanged; a NIC
# that is up can't be renamed before Linux 6.2.
_RENAME = """\
set -e
i=0 up=
for name; do
    i=$((i + 1))
    [ $((i % 2)) = 1 ] || continue
    case $(cat "/sys/class/net/$name/flags") in *[13579bdf]) up="$up $i" ;; esac
    ip link set dev "$name" down
    ip link set dev "$name" name "meshctl$i"
done
i=0
for name; do
    i=$((i + 1))
    [ $((i % 2)) = 0 ] || continue
    old=$((i - 1))
    ip link set dev "meshctl$old" name "$name"
    case "$up " in *" $old "*) ip link set dev "$name" up ;; esac
done
"""

_TEMPLATES = environment(__package__)


@dataclass(frozen=True, slots=True)
class Seen:
    """A host before anything is changed: NICs by MAC address, and our link files that are of no use any more."""

    nics: Mapping[str, str]
    stale: tuple[str, ...]


class Nics(Role):
    """Does nothing for NICs that the topology names only."""

    name = "nics"
    summary = "NICs that are pinned by MAC address have the names of the topology, now and after a reboot."
    needs = frozenset({"preflight"})

    def render(self, node: Node) -> Files:
        """A .link file for each pinned NIC."""
        template = _TEMPLATES.get_template("nic.link.j2")
        return {
            f"{FOLDER}/{PREFIX}{plug.nic}.link": text(template.render(node=node, port=plug))
            for plug in node.plugs
            if plug.mac
        }

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        """Write the files, and rename what the kernel calls otherwise. Raises RefusedError when a name is taken."""
        files = self.render(node)
        seen, differing = await asyncio.gather(self._look(host, files), host.differing(files))
        renames = wrong_names(node, seen.nics)
        _refuse_taken(node, host, seen.nics, renames)
        if seen.stale:
            await host.run(["rm", "-f", "--", *seen.stale], reason="these NICs are not pinned any more")
        if not (differing or renames):
            return
        deadline = deadman.deadline(self.topology)
        async with deadman.guarded(host, files, [*renames, *renames.values()], deadline=deadline):
            await host.put(files)
            if renames:
                reason = ", ".join(f"{old} is the topology's {new}" for old, new in renames.items())
                pairs = [name for pair in renames.items() for name in pair]
                await host.run(["sh", "-c", _RENAME, "rename", *pairs], reason=reason)

    async def _look(self, host: Host, files: Files) -> Seen:
        links, ours = await asyncio.gather(host.query(LINKS), host.query(LIST))
        stale = (path for path in understand(host.name, LIST, paths, ours.stdout) if path not in files)
        return Seen(understand(host.name, LINKS, by_mac, links.stdout), tuple(stale))

    async def verify(self, cluster: Cluster) -> list[Problem]:
        """Every pinned NIC is there, by its name."""
        pinned = [node for node in self.topology.nodes if any(plug.mac for plug in node.plugs)]
        looks = await asyncio.gather(*(cluster.host(node).query(LINKS) for node in pinned))
        return [
            problem
            for node, look in zip(pinned, looks, strict=True)
            for problem in _problems(node, understand(node.name, LINKS, by_mac, look.stdout))
        ]


def wrong_names(node: Node, nics: Mapping[str, str]) -> dict[str, str]:
    """Pinned NICs that are called otherwise: name -> the topology's."""
    pins = {plug.mac: plug.nic for plug in node.plugs if plug.mac}
    return {nics[mac]: name for mac, name in pins.items() if nics.get(mac, name) != name}


def _refuse_taken(node: Node, host: Host, nics: Mapping[str, str], renames: Mapping[str, str]) -> None:
    """Another NIC has the name, and nothing says what else to call that one."""
    macs = {name: mac for mac, name in nics.items()}
    for old, new in renames.items():
        if new in macs and new not in renames:
            whose = "the management NIC" if new == node.management_nic else f"another NIC, {macs[new]}"
            raise RefusedError(
                host.name,
                f"the NIC that the topology pins as {new} is called {old}, and {new} is {whose}",
                advice=f"Pin that one as well (`macs` of {node.name}), or give the pinned one a name that is free.",
            )


def _problems(node: Node, nics: Mapping[str, str]) -> list[Problem]:
    return [
        Problem(
            node.name, f"{plug.nic} is not the NIC that the topology pins", f"{plug.mac} as {plug.nic}",
            f"{plug.mac} as {nics[plug.mac]}" if plug.mac in nics else f"no NIC with {plug.mac}", "ip -br link",
            "Run bootstrap again.",
        )
        for plug in node.plugs
        if plug.mac and nics.get(plug.mac) != plug.nic
    ]  # fmt: skip
