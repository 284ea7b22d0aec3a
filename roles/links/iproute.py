"""The kernel by iproute2 alone, for renderers whose program can't be told to change one device and no other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from meshctl.host.base import Host

from .parse import Link
from .renderer import Change, Renderer
from .wanted import Device, options


class BootOnly(Renderer):
    """The files are for the next boot.

    `ifdown`, `ifreload` and `rc.inet1 restart` would take devices down, ours or others.
    """

    forgets: ClassVar[bool] = False

    async def activate(self, host: Host, change: Change) -> None:
        """Whatever the kernel lacks, one command each."""
        for device, argv in commands(change.devices, change.links):
            await host.run(argv, reason=change.drift.get(device.name, f"{device.name} is not as {self.program} has it"))


def commands(devices: Sequence[Device], links: Mapping[str, Link]) -> Iterator[tuple[Device, list[str]]]:
    """What makes of these links the wanted ones; nothing where they are. A bond exists before it gets its members."""
    for stage in (_made, _joined, _configured):
        for device in devices:
            yield from ((device, ["ip", *arguments]) for arguments in stage(device, links.get(device.name)))


def _made(device: Device, link: Link | None) -> Iterator[list[str]]:
    if link is None and device.virtual:
        settings = [word for pair in options(device) for word in pair]
        on = ["link", device.vlan.under] if device.vlan else []
        yield ["link", "add", *on, "name", device.name, "type", device.kind, *settings]


def _joined(device: Device, link: Link | None) -> Iterator[list[str]]:
    if device.master and (link is None or link.master != device.master):
        if link and link.up and not device.virtual:
            yield ["link", "set", "dev", device.name, "down"]  # the bonding driver takes nothing that is up
        yield ["link", "set", "dev", device.name, "master", device.master]


def _configured(device: Device, link: Link | None) -> Iterator[list[str]]:
    on = ["dev", device.name]
    if device.primary and link is None:
        yield ["link", "set", *on, "type", device.kind, "primary", device.primary]
    if device.mtu and (link is None or link.mtu != device.mtu):
        yield ["link", "set", *on, "mtu", str(device.mtu)]
    if link is None or not link.up or (device.master and link.master != device.master):
        yield ["link", "set", *on, "up"]
    missing = [a for a in device.addresses if link is None or a not in link.addresses]
    yield from (["address", "replace", str(address), *on] for address in missing)
