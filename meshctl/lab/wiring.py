"""The lab's own network namespace: management and uplink bridges, and a patch panel where cables are plugged.

Every NIC of a host is one end of a veth pair whose other end, the panel end, is here. A cable is a bridge with two
panel ends as its only ports. What is plugged, cut or muted is written nowhere else: the kernel's state is the truth.

* The host is off: its panel ends don't exist.
* The cable is cut: its bridge is down.
* A panel end is up, so that the host behind it sees a carrier, if the cable is whole and the far host is on.
"""

import json
from pathlib import Path
from typing import Any

from meshctl.lab.kernelnet import stop_tx_offload
from meshctl.lab.locks import locked
from meshctl.lab.names import NETNS, host_namespace, lab_namespace, paths
from meshctl.lab.netns import acall_in
from meshctl.lab.plan import CABLE_MTU, CablePlan, HostPlan, LabPlan
from meshctl.lab.proc import ip_batch, run

# A cable passes everything, LLDP and LACP too; the kernel keeps only STP, pause frames and the like (bits 0 to 2).
_CABLE = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0 ageing_time 0 group_fwd_mask 0xfff8"
_SWITCH = "address {} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
"""With a MAC address of its own: without, a bridge takes one of its ports', and the gateway's changed when a host was
switched on again. OVN goes on with the MAC it has learned (MAC_Binding), and the uplink was dead for minutes."""
_PANEL_SECONDS = 10


async def build(lab: LabPlan) -> None:
    """The lab's namespace with all its bridges. What is there stays as it is, cut cables too."""
    namespace = lab_namespace(lab.name)
    if not (NETNS / namespace).exists():
        await run(["ip", "netns", "add", namespace])
        await acall_in(namespace, _isolate)
    present = await links(lab.name)
    switches = {"management": "02:6d:65:73:68:01", "uplink": "02:6d:65:73:68:02"}
    bridges = {name: _SWITCH.format(address) for name, address in switches.items()} | {
        cable.bridge: _CABLE for cable in lab.cables
    }
    new = [name for name in bridges if name not in present]
    await ip_batch(namespace, ["link set lo up", *(f"link add {name} up {bridges[name]}" for name in new)])
    if ":" in lab.controller:
        await acall_in(namespace, lambda: _allow_ipv6("management"))
    lines = [f"address replace {lab.controller} dev management"]
    lines += [f"address replace {lab.gateway} dev uplink"] if lab.gateway else []
    await ip_batch(namespace, lines)


def _isolate() -> None:
    """No address on bridges but the stated ones, no way through from one to another, no firewall of the machine's."""
    settings = {"ipv6/conf/default/disable_ipv6": "1", "ipv4/ip_forward": "0"}
    settings |= {f"bridge/bridge-nf-call-{table}": "0" for table in ("iptables", "ip6tables", "arptables")}
    for name, value in settings.items():
        path = Path("/proc/sys/net", name)
        if path.exists():
            path.write_text(value)


def _allow_ipv6(bridge: str) -> None:
    Path(f"/proc/sys/net/ipv6/conf/{bridge}/accept_dad").write_text("0")
    Path(f"/proc/sys/net/ipv6/conf/{bridge}/disable_ipv6").write_text("0")


async def plug_in(lab: LabPlan, host: HostPlan) -> None:
    """Give the host a fresh network namespace with all its NICs."""
    await unplug(lab, host)
    inside = host_namespace(lab.name, host.name)
    await run(["ip", "netns", "add", inside])
    await acall_in(inside, _reset_inherited)
    lines = ["link set lo up"]
    for nic in host.nics:
        near = f"link add {nic.panel} mtu {CABLE_MTU} type veth"
        lines.append(f"{near} peer name {nic.name} address {nic.mac} netns {inside}")
        lines.append(f"link set {nic.panel} alias {host.name}:{nic.name} master {nic.bridge}")
        if nic.name not in host.mesh:
            lines.append(f"link set {nic.panel} up")
    await ip_batch(lab_namespace(lab.name), lines)
    if lab.userspace_ovs:
        await _stop_offloads(lab, host)
    await settle(lab)


async def _stop_offloads(lab: LabPlan, host: HostPlan) -> None:
    """On both ends of every pair that userspace OVS may read from."""
    pairs = [nic for nic in host.nics if nic.bridge != "management"]

    def stop(nics: list[str]) -> None:
        for nic in nics:
            stop_tx_offload(nic)

    await acall_in(lab_namespace(lab.name), lambda: stop([nic.panel for nic in pairs]))
    await acall_in(host_namespace(lab.name, host.name), lambda: stop([nic.name for nic in pairs]))


def _reset_inherited() -> None:
    """A new namespace copies the machine's forwarding; a host that has just been installed doesn't forward."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")


async def unplug(lab: LabPlan, host: HostPlan) -> None:
    """Take the host's NICs away, and with its namespace all it had configured, as when the power goes."""
    present = await links(lab.name)
    await ip_batch(lab_namespace(lab.name), [f"link delete {nic.panel}" for nic in host.nics if nic.panel in present])
    inside = host_namespace(lab.name, host.name)
    if (NETNS / inside).exists():
        await run(["ip", "netns", "delete", inside])
    await settle(lab)


async def links(lab: str) -> dict[str, dict[str, Any]]:
    """Every link in the lab's namespace by name, as `ip -j link` tells it."""
    told = await run(["ip", "-n", lab_namespace(lab), "-j", "link", "show"])
    return {link["ifname"]: link for link in json.loads(told or "[]")}


def is_up(link: dict[str, Any]) -> bool:
    """Set up by somebody; carrier is another matter."""
    return "UP" in link["flags"]


async def settle(lab: LabPlan) -> None:
    """Set every panel end to what its cable and the far host's power say. Anyone may call this at any time."""
    async with locked(paths(lab.name).panel_lock, "the patch panel", _PANEL_SECONDS):
        present = await links(lab.name)
        lines = [line for cable in lab.cables for line in settlement(cable, present)]
        await ip_batch(lab_namespace(lab.name), lines)


def settlement(cable: CablePlan, present: dict[str, dict[str, Any]]) -> list[str]:
    """The `ip` commands that bring a cable's panel ends to where they belong."""
    whole = is_up(present[cable.bridge])
    ends = [end[2] for end in (cable.a, cable.b)]
    lines = []
    for end, far in zip(ends, reversed(ends), strict=True):
        wanted = whole and far in present
        if end in present and is_up(present[end]) != wanted:
            lines.append(f"link set {end} {'up' if wanted else 'down'}")
    return lines
