"""From the output of `ip`, `grep` and `ping` to typed facts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from pathlib import PurePosixPath
from typing import Any

from meshctl.roles.parsing import parser

HAS = "# has: "
"""Begins the comment that says what a file gives to a device; preflight's facts.sh reads it, too."""


@dataclass(frozen=True, slots=True)
class Link:
    """An interface as the kernel has it."""

    name: str
    index: int
    mtu: int
    up: bool
    carrier: bool
    addresses: frozenset[IPv4Interface | IPv6Interface]
    mac: str = ""
    master: str = ""
    """The bond or bridge it is a member of."""


@parser
def links(text: str) -> dict[str, Link]:
    """`ip -j addr show`, by interface."""
    return {entry["ifname"]: _link(entry) for entry in json.loads(text) if entry.keys()}


def _link(entry: Mapping[str, Any]) -> Link:
    addresses = [a for a in entry.get("addr_info", ()) if a.get("family") in {"inet", "inet6"}]
    return Link(
        name=entry["ifname"],
        index=int(entry["ifindex"]),
        mtu=int(entry["mtu"]),
        up="UP" in entry["flags"],
        carrier="LOWER_UP" in entry["flags"],
        addresses=frozenset(ip_interface(f"{a['local']}/{a['prefixlen']}") for a in addresses),
        mac=str(entry.get("address", "")),
        master=str(entry.get("master", "")),
    )


@parser
def unread(text: str, indexes: Mapping[str, int]) -> list[str]:
    """The NICs whose file is newer than networkd's state of the NIC: written, and then the reload never came.

    `text` is `stat -c "%.9Z %n"` (the time of the last change, which nothing can set back) of our files and of
    /run/systemd/netif/links, where networkd writes a NIC's state whenever it has configured it.
    """
    changed = {PurePosixPath(path): float(when) for when, path in (line.split(" ", 1) for line in text.splitlines())}
    states = {path.name: when for path, when in changed.items() if path.suffix != ".network"}
    nics = {path.stem.split("-", 2)[2]: when for path, when in changed.items() if path.suffix == ".network"}
    return sorted(nic for nic, when in nics.items() if when > states.get(str(indexes.get(nic)), when))


@dataclass(frozen=True, slots=True)
class Holding:
    """What a file of ours gives to one device: addresses, and perhaps its existence."""

    path: str
    device: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    made: bool = False
    """The device is there because of this file."""


@parser
def holdings(text: str) -> tuple[Holding, ...]:
    """`grep -H` of what our files say, `PATH:LINE`: Name=, Kind= and Address= of networkd's, `# has: …` of others.

    Other renderers have one file for all devices, in a language of its own; the comment is the same in all of them:
    `# has: DEVICE ADDRESS…`, with the kind of device after its name where the file makes it.
    """
    values: dict[str, dict[str, list[str]]] = {}
    found: list[Holding] = []
    for line in text.splitlines():
        path, said = line.split(":", 1)
        if said.startswith(HAS):
            device, *more = said.removeprefix(HAS).split()
            addresses = tuple(ip_interface(word) for word in more if "/" in word)
            found.append(Holding(path, device, addresses, made=len(addresses) < len(more)))
        else:
            key, value = said.split("=", 1)
            values.setdefault(path, {}).setdefault(key, []).append(value)
    for path, keys in sorted(values.items()):
        addresses = tuple(ip_interface(a) for a in keys.get("Address", ()))
        found.append(Holding(path, keys.get("Name", [""])[0], addresses, made="Kind" in keys))
    return tuple(sorted(found, key=lambda one: (one.path, one.device)))


@parser
def words(text: str) -> Sequence[str]:
    """What a command says in one word per line."""
    return [line.strip() for line in text.splitlines() if line.strip()]


@parser
def older(text: str, indexes: Mapping[str, int], path: str) -> list[str]:
    """The devices that networkd has configured before the file at `path` was written; `text` as for `unread`."""
    changed = {name: float(when) for when, name in (line.split(" ", 1) for line in text.splitlines())}
    states = {PurePosixPath(name).name: when for name, when in changed.items() if name != path}
    written = changed.get(path, 0.0)
    return sorted(device for device, index in indexes.items() if states.get(str(index), 0.0) < written)


Uses = frozenset[str]
"""Names of renderers whose program configures the host's own NICs."""


@parser
def uses(text: str) -> Uses:
    """What the script of `renderers.choose` prints."""
    return frozenset(text.split())
