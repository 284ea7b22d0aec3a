"""The host as a chassis: its id, its tunnel end, and the way to the southbound database."""

from meshctl.host.base import Host
from meshctl.roles.parsing import understand
from meshctl.topology import Node, Topology

from . import parse
from .databases import CA, CERTIFICATE, CONTROLLER, KEY, databases

SHOW = (
    *("ovs-vsctl", "--timeout=5", "--format=json"),
    *("--columns=external_ids", "list", "Open_vSwitch", "."),
    *("--", "--columns=private_key,certificate,ca_cert", "list", "SSL"),
)


def external_ids(topology: Topology, node: Node) -> dict[str, str]:
    """What OVS must know for ovn-controller."""
    southbound = databases(topology)[1]
    return {
        "system-id": node.name,
        "hostname": node.name,
        "ovn-remote": southbound.clients(topology),
        "ovn-encap-type": topology.ovn.encapsulation,
        "ovn-encap-ip": str(node.loopback),
    }


async def converge(host: Host, topology: Topology, node: Node, seen: parse.OpenVSwitch, *, running: bool) -> None:
    """Everything in one transaction, so that no chassis ever registers under a wrong name."""
    wanted = external_ids(topology, node)
    differing = [key for key, value in wanted.items() if seen.external_ids.get(key) != value]
    if differing or seen.ssl != (KEY, CERTIFICATE, CA):
        values = [f'external_ids:{key}="{value}"' for key, value in wanted.items()]
        reason = f"differs: {', '.join(differing or ['the files for TLS'])}"
        command = ["ovs-vsctl", "--timeout=10", "set-ssl", KEY, CERTIFICATE, CA, "--", "set", "Open_vSwitch", "."]
        await host.run([*command, *values], reason=reason)
    if not running:
        await host.run(["systemctl", "restart", CONTROLLER], reason="ovn-controller is not running")


async def look(host: Host) -> parse.OpenVSwitch:
    """What OVS knows."""
    return understand(host.name, SHOW, parse.open_vswitch, (await host.query(SHOW)).stdout)
