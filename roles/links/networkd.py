"""systemd-networkd: a .network file per device, a reload, and a reconfigure where only the kernel differs."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from meshctl.errors import RefusedError
from meshctl.host.base import File, Files, Host, Result, text
from meshctl.roles.parsing import understand
from meshctl.roles.templates import environment
from meshctl.topology import Node

from .parse import Link, unread, words
from .renderer import Change, Renderer, Sight
from .wanted import Device, options

FOLDER = "/etc/systemd/network"
PREFIX = "05-meshctl-"
"""networkd takes the first file that matches a NIC: this one comes before netplan's `10-netplan-…`."""
PATTERNS = (f"{FOLDER}/{PREFIX}*.network", f"{FOLDER}/{PREFIX}*.netdev")

# $0 is the folder, $1 the prefix of our files
_TIMES = 'stat -c "%.9Z %n" "$0/$1"*.network /run/systemd/netif/links/* 2>/dev/null; :'
_ALL = 'for f in /etc/systemd/network/*.network /run/systemd/network/*.network; do [ -e "$f" ] && echo "$f"; done; :'
START = "systemctl enable --now systemd-networkd.service && systemctl disable systemd-networkd-wait-online.service"

_TEMPLATES = environment(__package__)


class Networkd(Renderer):
    """The default: no other program reloads without touching what has not changed."""

    name: ClassVar[str] = "networkd"
    program: ClassVar[str] = "systemd-networkd"

    def files(self, node: Node, devices: Sequence[Device]) -> Files:
        """A .network file per device, and a .netdev file for each that does not exist by itself."""
        primaries = {device.primary for device in devices}
        kinds = {device.name: device.kind for device in devices}
        files: dict[str, File] = {}
        for device in devices:
            master = f"{kinds[device.master].capitalize()}={device.master}" if device.master else ""
            primary = device.name in primaries
            files[path(device.name)] = _render("device.network.j2", device=device, master=master, primary=primary)
            if device.virtual:
                netdev = path(device.name).replace(".network", ".netdev")
                files[netdev] = _render("device.netdev.j2", device=device, options=dict(options(device)))
        return files

    async def look(self, node: Node, host: Host, links: Mapping[str, Link]) -> Sight:
        """Raises RefusedError when it doesn't run and there are files that would take effect with ours."""
        state, enabled, all_files, times = await asyncio.gather(
            host.query(["systemctl", "is-active", "systemd-networkd.service"], ok=None),
            host.query(["systemctl", "is-enabled", "systemd-networkd.service"], ok=None),
            host.query(["sh", "-c", _ALL]),
            host.query(["sh", "-c", _TIMES, FOLDER, PREFIX]),
        )
        running = state.stdout.strip() in {"active", "activating", "reloading"}
        foreign = [file for file in words(all_files.stdout) if not file.startswith(f"{FOLDER}/{PREFIX}")]
        if foreign and not running:
            raise RefusedError(
                host.name,
                f"systemd-networkd does not run, and starting it would put {', '.join(foreign)} into effect",
                advice=f"Start it yourself, or remove these files; {node.management_nic} must stay reachable.",
            )
        # netplan's generator enables it in words of its own
        return Sight(running, enabled.stdout.strip() != "disabled", _unread(host, times, links))

    async def late(self, node: Node, host: Host, links: Mapping[str, Link]) -> Sequence[str]:
        """By the times of our files and of networkd's own state of each device."""
        del node
        return _unread(host, await host.query(["sh", "-c", _TIMES, FOLDER, PREFIX]), links)

    async def enable(self, host: Host) -> None:
        """It runs already."""
        await host.run(["systemctl", "enable", "systemd-networkd.service"], reason="it would not start at boot")

    async def activate(self, host: Host, change: Change) -> None:
        """A reload configures the devices whose files changed; where only the kernel differs, it has to be told."""
        if not change.sight.ready:
            await host.run(["sh", "-c", START], reason="systemd-networkd does not run yet")
            return
        if change.written or change.stale or change.sight.late:
            await host.run(["networkctl", "reload"], reason="systemd-networkd has not read its files yet")
        only_kernel = [d for d in change.drift if path(d) not in change.written and d not in change.sight.late]
        if only_kernel:
            reason = "; ".join(change.drift[device] for device in only_kernel)
            await host.run(["networkctl", "reconfigure", *only_kernel], reason=reason)


def path(device: str) -> str:
    """The file of a device."""
    return f"{FOLDER}/{PREFIX}{device}.network"


def _unread(host: Host, times: Result, links: Mapping[str, Link]) -> list[str]:
    indexes = {name: link.index for name, link in links.items()}
    return understand(host.name, times.argv, partial(unread, indexes=indexes), times.stdout)


def _render(template: str, **values: Any) -> File:
    return text(_TEMPLATES.get_template(template).render(**values))
