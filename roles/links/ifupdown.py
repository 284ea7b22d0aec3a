"""ifupdown and ifupdown2, as on Proxmox VE and on hosts that the Debian installer made: one file of stanzas."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from meshctl.errors import RefusedError
from meshctl.host.base import Files, Host, text
from meshctl.roles.templates import environment
from meshctl.topology import Node

from .iproute import BootOnly
from .parse import Link
from .renderer import Sight
from .wanted import Device, options

PATH = "/etc/network/interfaces.d/meshctl"
"""Read by the line `source /etc/network/interfaces.d/*`, which both have in their own interfaces file."""

_READS = ("grep", "-qE", r"^source(-directory)? +/etc/network/interfaces\.d", "/etc/network/interfaces")

_TEMPLATES = environment(__package__)


class Ifupdown(BootOnly):
    """The classic one; bonds need the package ifenslave, bridges bridge-utils."""

    name: ClassVar[str] = "ifupdown"
    program: ClassVar[str] = "ifupdown"

    async def look(self, node: Node, host: Host, links: Mapping[str, Link]) -> Sight:
        """Raises RefusedError when the next boot would not read our file."""
        del node, links
        if not (await host.query(_READS, ok=None)).ok:
            raise RefusedError(
                host.name,
                f"/etc/network/interfaces does not read {PATH}, so the links would be gone after a reboot",
                advice="Add the line `source /etc/network/interfaces.d/*` to it, or state another `renderer:`.",
            )
        return Sight()

    def files(self, node: Node, devices: Sequence[Device]) -> Files:
        """Stanzas with `auto`: `ifup -a` brings them up at boot."""
        return _interfaces(node, devices, two=False)


class Ifupdown2(Ifupdown):
    """The one of Cumulus Linux and Proxmox VE."""

    name: ClassVar[str] = "ifupdown2"
    program: ClassVar[str] = "ifupdown2"

    def files(self, node: Node, devices: Sequence[Device]) -> Files:
        """The same stanzas, in its own words where they differ."""
        return _interfaces(node, devices, two=True)


def _interfaces(node: Node, devices: Sequence[Device], *, two: bool) -> Files:
    template = _TEMPLATES.get_template("interfaces.j2")
    return {PATH: text(template.render(node=node, devices=devices, two=two, options=options))}
