"""The lab's own network namespace: management and uplink bridges, and a patch panel where cables are plugged.

Every NIC of a host is one end of a veth pair whose other end, the panel end, is here. A cable is a bridge with two
panel ends as its only ports. What is plugged, cut or muted is written nowhere else: the kernel's state is the truth.

* The host is off: its panel ends don't exist. What is plugged where is therefore said by the bridges' aliases
  (`meshctl.lab.plugs`).
* The cable is cut: its bridge is down.
* A panel end is up, so that the host behind it sees a carrier, if the cable is whole and the far host is on, or if it
  is plugged into a switch.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from meshctl.lab.kernelnet import stop_tx_offload
from meshctl.lab.locks import locked
from meshctl.lab.names import NETNS, host_namespace, lab_namespace, paths
from meshctl.lab.netns import acall_in
from meshctl.lab.plan import CABLE_MTU, HostPlan, LabPlan
from meshctl.lab.plugs import Plugs, as_planned, bridge_of, is_switch, plugged, said
from meshctl.lab.proc import ip_batch, run

# A cable passes everything, LLDP and LACP too; the kernel keeps only STP, pause frames and the like (bits 0 to 2).
_CABLE = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0 ageing_time 0 group_fwd_mask 0xfff8"
SWITCH = "address {} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
"""With a MAC address of its own: without, a bridge takes one of its ports', and the gateway's changed when a host was
switched on again. OVN goes on with the MAC it has learned (MAC_Binding), and the uplink was dead for minutes."""
PANEL_SECONDS = 10


async def build(lab: LabPlan) -> None:
    """The lab's namespace with all its bridges. What is there stays as it is, cut cables too."""
    namespace = lab_namespace(lab.name)
    if not (NETNS / namespace).exists():
        await run(["ip", "netns", "add", namespace])
        await acall_in(namespace, _isolate)
    present = await links(lab.name)
    switches = {"management": "02:6d:65:73:68:01", "uplink": "02:6d:65:73:68:02"}
    bridges = {name: SWITCH.format(address) for name, address in switches.items()} | {
        cable.bridge: _CABLE for cable in lab.cables
    }
    bridges |= {one.bridge: SWITCH.format(f"02:6d:65:73:68:{n:02x}") for n, one in enumerate(lab.switches, 0x80)}
    new = [name for name in bridges if name not in present]
    await ip_batch(namespace, ["link set lo up", *(f"link add {name} up {bridges[name]}" for name in new)])
    await ip_batch(namespace, said({bridge: ends for bridge, ends in as_planned(lab).items() if bridge in new}))
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
    bridges = bridge_of(plugged(lab, await links(lab.name)))
    lines = ["link set lo up"]
    for nic in host.nics:
        near = f"link add {nic.panel} mtu {CABLE_MTU} type veth"
        lines.append(f"{near} peer name {nic.name} address {nic.mac} netns {inside}")
        lines.append(f"link set {nic.panel} alias {host.name}:{nic.name}")
        bridge = bridges.get(nic.panel, None if nic.name in host.mesh else nic.bridge)
        lines += [f"link set {nic.panel} master {bridge}"] if bridge else []
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
    async with locked(paths(lab.name).panel_lock, "the patch panel", PANEL_SECONDS):
        await settle_now(lab)


async def settle_now(lab: LabPlan) -> None:
    """`settle`, for who holds the lock of the patch panel."""
    present = await links(lab.name)
    mesh = {host.nic(nic).panel for host in lab.hosts for nic in host.mesh}
    await ip_batch(lab_namespace(lab.name), settlement(plugged(lab, present), mesh, present))


def settlement(plugs: Plugs, mesh: Collection[str], present: Mapping[str, dict[str, Any]]) -> list[str]:
    """The `ip` commands that bring the panel ends of the mesh, and all that are plugged, to where they belong."""
    wanted = dict.fromkeys(sorted(mesh), False)
    for bridge, ends in plugs.items():
        whole = bridge in present and is_up(present[bridge])
        wanted |= {end: whole and (is_switch(bridge) or _far_end(end, ends, present)) for end in ends}
    return [
        f"link set {end} {'up' if up else 'down'}"
        for end, up in wanted.items()
        if end in present and is_up(present[end]) != up
    ]


def _far_end(end: str, ends: Collection[str], present: Mapping[str, dict[str, Any]]) -> bool:
    return any(far in present for far in ends if far != end)
