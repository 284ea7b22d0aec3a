"""From the output of `ip`, `ping` and `iperf3` to typed facts. Pure; ValueError means "not what I know"."""

import json

from meshctl.roles.parsing import parser

from .facts import Nic, Throughput

_MEGA = 1e6


@parser
def ospf_nics(text: str) -> list[str]:
    """`ip -j -4 route show`: the NIC of every next hop of every route that OSPF or OpenFabric has installed.

    Without names in /etc/iproute2 the protocol is its number, 188 or 197.
    """
    routes = json.loads(text)
    if not isinstance(routes, list):
        raise ValueError("a JSON list expected")  # noqa: TRY004  (callers know one error)
    entries = [route for route in routes if route.get("protocol") in {"ospf", "188", "openfabric", "197"}]
    hops = [hop for route in entries for hop in (route.get("nexthops") or [route])]
    return [str(hop["dev"]) for hop in hops]


@parser
def nic(text: str) -> Nic:
    """`ip -s -j link show dev NIC`, then speed, duplex and carrier_changes from /sys, one per line, "" for unknown."""
    link, speed, duplex, changes = text.rsplit("\n", 3)
    entry = json.loads(link)[0]
    received, sent = entry["stats64"]["rx"], entry["stats64"]["tx"]
    return Nic(
        mtu=int(entry["mtu"]),
        up="UP" in entry["flags"],
        carrier="LOWER_UP" in entry["flags"],
        speed=int(speed) if speed.isdecimal() else None,  # -1 where the driver doesn't know
        duplex=duplex if duplex in {"full", "half"} else None,
        carrier_changes=int(changes),
        sent=int(sent["packets"]),
        received=int(received["packets"]),
        errors=int(received["errors"]) + int(sent["errors"]),
        drops=int(received["dropped"]) + int(sent["dropped"]),
    )


@parser
def throughput(text: str) -> Throughput:
    """`iperf3 -J` of the sender: what the other end received."""
    report = json.loads(text)
    if error := report.get("error"):
        return Throughput(None, missing=str(error))
    end = report["end"]
    return Throughput(float(end["sum_received"]["bits_per_second"]) / _MEGA, int(end["sum_sent"].get("retransmits", 0)))


@parser
def next_hop(text: str) -> tuple[str, str]:
    """`ip -j route get ADDRESS`: the NIC, and the next host's address ("" where the target is on the link itself)."""
    route = json.loads(text)[0]
    return str(route["dev"]), str(route.get("gateway", ""))
