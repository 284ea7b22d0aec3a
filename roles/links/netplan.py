"""netplan, over its networkd backend: one YAML file beside the operator's."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from meshctl.host.base import Files, Host, Result, text
from meshctl.roles.parsing import understand
from meshctl.roles.templates import environment
from meshctl.topology import Node

from .networkd import START
from .parse import Link, older
from .renderer import Change, Renderer, Sight
from .wanted import Device, devices, options

PATH = "/etc/netplan/90-meshctl.yaml"
"""netplan lets later files override earlier ones: after an installer's 00- and cloud-init's 50-."""

_TIMES = f'stat -c "%.9Z %n" {PATH} /run/systemd/netif/links/* 2>/dev/null; :'

_TEMPLATES = environment(__package__)


class Netplan(Renderer):
    """`netplan generate`, and then what `netplan apply` tells networkd, for our devices only."""

    name: ClassVar[str] = "netplan"
    program: ClassVar[str] = "netplan"

    def files(self, node: Node, devices: Sequence[Device]) -> Files:
        """Mode 0600, or netplan complains with every command."""
        template = _TEMPLATES.get_template("netplan.yaml.j2")
        return {PATH: text(template.render(node=node, devices=devices, bond_words=_bond), mode=0o600)}

    async def look(self, node: Node, host: Host, links: Mapping[str, Link]) -> Sight:
        """Its backend is networkd, which it enables at boot by itself."""
        state, times = await asyncio.gather(
            host.query(["systemctl", "is-active", "systemd-networkd.service"], ok=None),
            host.query(["sh", "-c", _TIMES]),
        )
        running = state.stdout.strip() in {"active", "activating", "reloading"}
        return Sight(ready=running, late=_late(node, host, times, links))

    async def late(self, node: Node, host: Host, links: Mapping[str, Link]) -> Sequence[str]:
        """Devices that networkd has not configured since the file was written."""
        return _late(node, host, await host.query(["sh", "-c", _TIMES]), links)

    async def activate(self, host: Host, change: Change) -> None:
        """`netplan apply` would also stop and start what it finds; `netplan try` needs a terminal."""
        if change.written or change.sight.late:
            await host.run(["netplan", "generate"], reason=f"{PATH} is not in networkd's words yet")
        if not change.sight.ready:
            await host.run(["sh", "-c", START], reason="systemd-networkd does not run yet")
            return
        await host.run(["networkctl", "reload"], reason="systemd-networkd has not read netplan's files yet")
        names = [device.name for device in change.devices if device.name in change.links or device.virtual]
        await host.run(["networkctl", "reconfigure", *names], reason="; ".join(change.drift.values()) or "new settings")


_WORDS = {
    "mode": "mode",
    "miimon": "mii-monitor-interval",
    "xmit_hash_policy": "transmit-hash-policy",
    "lacp_rate": "lacp-rate",
    "min_links": "min-links",
}


def _bond(device: Device) -> list[tuple[str, str]]:
    """A bond's parameters as netplan calls them."""
    primary = [("primary", device.primary)] if device.primary else []
    return [*((_WORDS[key], value) for key, value in options(device)), *primary]


def _late(node: Node, host: Host, times: Result, links: Mapping[str, Link]) -> list[str]:
    indexes = {device.name: links[device.name].index for device in devices(node) if device.name in links}
    return understand(host.name, times.argv, partial(older, indexes=indexes, path=PATH), times.stdout)
