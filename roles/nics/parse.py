"""From the output of `ip` to the NICs of a host."""

import json
from typing import Any

from meshctl.roles.parsing import parser


@parser
def by_mac(text: str) -> dict[str, str]:
    """`ip -j addr show`: MAC address -> NIC. Of several with one address, the one that others are built on."""
    links = [link for link in json.loads(text) if link.get("link_type") == "ether"]
    return {mac: link["ifname"] for link in sorted(links, key=_order, reverse=True) for mac in _macs(link)}


def _order(link: dict[str, Any]) -> int:
    """A VLAN, a bridge or a bond comes after its NICs, and has their address."""
    return int(link["ifindex"])


def _macs(link: dict[str, Any]) -> set[str]:
    """Its address, and the one it was made with where that is another; in a bond only this: all have the bond's."""
    keys = ("permaddr",) if "master" in link and "permaddr" in link else ("address", "permaddr")
    return {str(link[key]).lower() for key in keys if key in link}


@parser
def paths(text: str) -> list[str]:
    """One path per line."""
    return text.split()
