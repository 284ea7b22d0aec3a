"""The kernel by iproute2 alone, for renderers whose program can't be told to change one device and no other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from meshctl.host.base import Host

from .parse import Link
from .renderer import Change, Renderer
from .wanted import Device


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
    """What makes of these links the wanted ones; nothing where they are."""
    for device in devices:
        yield from ((device, ["ip", *arguments]) for arguments in _device(device, links.get(device.name)))


def _device(device: Device, link: Link | None) -> Iterator[list[str]]:
    on = ["dev", device.name]
    if device.mtu and (link is None or link.mtu != device.mtu):
        yield ["link", "set", *on, "mtu", str(device.mtu)]
    if link is None or not link.up:
        yield ["link", "set", *on, "up"]
    missing = [a for a in device.addresses if link is None or a not in link.addresses]
    yield from (["address", "replace", str(address), *on] for address in missing)
