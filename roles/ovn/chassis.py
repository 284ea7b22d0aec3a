"""The host as a chassis: its id, its tunnel end, and the way to the southbound database."""

from meshctl.errors import CommandError
from meshctl.host.base import Host
from meshctl.roles.parsing import understand
from meshctl.roles.tls import CA, CERTIFICATE, KEY
from meshctl.topology import Node, Topology

from . import parse
from .databases import CONTROLLER, databases

SWITCH = "openvswitch-switch.service"

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


async def converge(
    host: Host, topology: Topology, node: Node, seen: parse.OpenVSwitch | None, *, running: bool
) -> None:
    """Everything in one transaction, so that no chassis ever registers under a wrong name."""
    seen = seen or await _start(host)
    wanted = external_ids(topology, node)
    differing = [key for key, value in wanted.items() if seen.external_ids.get(key) != value]
    if differing or seen.ssl != (KEY, CERTIFICATE, CA):
        values = [f'external_ids:{key}="{value}"' for key, value in wanted.items()]
        reason = f"differs: {', '.join(differing or ['the files for TLS'])}"
        command = ["ovs-vsctl", "--timeout=10", "set-ssl", KEY, CERTIFICATE, CA, "--", "set", "Open_vSwitch", "."]
        await host.run([*command, *values], reason=reason)
    if not running:
        await host.run(["systemctl", "restart", CONTROLLER], reason="ovn-controller is not running")


async def look(host: Host) -> parse.OpenVSwitch | None:
    """What OVS knows; None when it does not run."""
    result = await host.query(SHOW, ok=None)
    if result.ok:
        return understand(host.name, SHOW, parse.open_vswitch, result.stdout)
    if "database connection failed" in result.stderr:
        return None
    raise CommandError(host.name, SHOW, result.status, result.stderr)


async def _start(host: Host) -> parse.OpenVSwitch:
    """Start OVS: it was stopped, or installed without being started."""
    await host.run(["systemctl", "start", SWITCH], reason="Open vSwitch does not run")
    found: list[parse.OpenVSwitch] = []

    async def probe() -> str:
        seen = await look(host)
        found.extend([seen] if seen else [])
        return "" if seen else "its database does not answer"

    await host.until("Open vSwitch", probe, timeout=30)
    return found[-1]
