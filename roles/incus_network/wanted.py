"""Incus' settings and networks as the topology wants them. Pure."""

from meshctl.roles.incusapi import Wanted
from meshctl.roles.overlay import mtu
from meshctl.topology import Topology

from .nb import connection

PREFIX = "network.ovn."


def settings(topology: Topology, ca: str, certificate: str, key: str) -> dict[str, str]:
    """The server's configuration; `client_key` is a secret."""
    values = {
        "northbound_connection": connection(topology),
        "ca_cert": ca,
        "client_cert": certificate,
        "client_key": key,
    }
    return {PREFIX + name: value for name, value in values.items()}


def uplink(topology: Topology) -> Wanted | None:
    """The physical network, with each host's own NIC; None without an uplink."""
    if topology.uplink is None:
        return None
    config = {
        "ipv4.gateway": str(topology.uplink.gateway),
        "ipv4.ovn.ranges": f"{topology.uplink.first}-{topology.uplink.last}",
    }
    if topology.uplink.dns:
        config["dns.nameservers"] = ",".join(map(str, topology.uplink.dns))
    parents = {node.name: {"parent": node.uplink_nic or ""} for node in topology.nodes}
    return Wanted("networks", topology.incus.uplink, "physical", config, parents)


def overlay(topology: Topology) -> Wanted:
    """The network of the default profile. Without an uplink it has no router to the outside (`network=none`)."""
    config = {
        "network": topology.incus.uplink if topology.uplink else "none",
        "ipv4.address": str(topology.incus.network_address),
        "ipv4.nat": "true" if topology.uplink else "false",
        "ipv6.address": "none",
        "bridge.mtu": str(mtu(topology)),
    }
    return Wanted("networks", topology.incus.network, "ovn", config, {node.name: {} for node in topology.nodes})
