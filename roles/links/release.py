"""What former runs gave to devices, taken back from the kernel."""

from collections.abc import Mapping, Sequence

from meshctl.host.base import Host

from .parse import Holding, Link
from .wanted import Device


async def release(
    host: Host, past: Sequence[Holding], links: Mapping[str, Link], wanted: Sequence[Device], *, reason: str
) -> None:
    """Remove devices that a file made, and addresses that it gave, unless they are wanted.

    Before the files: once they are gone, nothing says whose address it was.
    """
    unmade = {one.device for one in past if one.made} - {device.name for device in wanted}
    for device in sorted(unmade & links.keys()):
        await host.run(["ip", "link", "del", "dev", device], reason=reason)
    kept = {(device.name, address) for device in wanted for address in device.addresses}
    for holding in past:
        present = links[holding.device].addresses if holding.device in links.keys() - unmade else frozenset()
        for address in holding.addresses:
            if address in present and (holding.device, address) not in kept:
                await host.run(["ip", "addr", "del", str(address), "dev", holding.device], reason=reason)
