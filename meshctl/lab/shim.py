# ruff: noqa: ASYNC240  (looking at a few local paths takes microseconds; a thread for each would cost more)
"""Open vSwitch where the kernel has none: what the userspace datapath needs so that the roles see no difference.

It runs in the host's supervisor, outside the host, and reaches in through the host's namespaces. So nothing of it is
installed in the host, and it starts working the moment the host installs Open vSwitch.

1. Each mesh NIC is moved behind an OVS bridge of its name (`eth1` becomes `p-eth1`, port of bridge `eth1`), because
   userspace tunnels only leave through OVS' own ports. MAC and carrier of the NIC are shown by the bridge.
2. Every bridge gets the userspace datapath the moment it appears; Incus creates its own with the kernel's.
3. OVS looks for a tunnel's local address on its own ports only: the loopback is mirrored from `lo` onto the NICs,
   after the fact, so that a missing loopback fails as it should.
"""

import asyncio
import contextlib
import hashlib
import json
import socket
from pathlib import Path
from typing import Any

from meshctl.lab import ovsdb
from meshctl.lab.kernelnet import change_socket, stop_tx_offload
from meshctl.lab.machines import leader
from meshctl.lab.names import host_namespace
from meshctl.lab.netns import acall_in
from meshctl.lab.plan import CABLE_MTU, HostPlan, LabPlan
from meshctl.lab.proc import ip_batch, run

_LOOK_AGAIN = 0.1
_SETTLE = 0.01
_LONGEST_NIC = 15
_FIRST_MTU = 1500


def behind(nic: str) -> str:
    """What a mesh NIC is called once it is a port of the bridge with its name."""
    name = f"p-{nic}"
    return name if len(name) <= _LONGEST_NIC else f"p-{hashlib.sha256(nic.encode()).hexdigest()[:12]}"


def hidden_mac(mac: str) -> str:
    """A MAC for the NIC behind the bridge; the bridge shows the real one.

    With the real one the host's own IP stack would take every packet as well, and answer each ping twice.
    """
    digest = hashlib.sha256(mac.encode()).hexdigest()
    return ":".join(["06", *(digest[i : i + 2] for i in range(0, 10, 2))])


def silence(port: str) -> None:
    """Keep the host's IP stack off a port in the calling thread's namespace: no ARP answers, no IPv6."""
    settings = {"ipv4/conf/{}/arp_ignore": "8", "ipv6/conf/{}/disable_ipv6": "1"}
    for name, value in settings.items():
        path = Path("/proc/sys/net", name.format(port))
        if path.exists():
            path.write_text(value)
    stop_tx_offload(port)


async def hide(namespace: str, host: HostPlan, nic: str) -> None:
    """Turn a mesh NIC into the port of its bridge to come, whatever the host has configured on it."""
    port = behind(nic)
    lines = [f"link set {nic} down", f"address flush dev {nic}", f"link set {nic} name {port}"]
    lines.append(f"link set {port} address {hidden_mac(host.nic(nic).mac)} mtu {CABLE_MTU}")
    await ip_batch(namespace, lines)
    await acall_in(namespace, lambda: silence(port))
    await ip_batch(namespace, [f"link set {port} up"])


class Shim:
    """Keeps one host's bridges as described above, for one boot."""

    def __init__(self, lab: LabPlan, host: HostPlan) -> None:
        self._lab = lab
        self._host = host
        self._namespace = host_namespace(lab.name, host.name)
        self._event = asyncio.Event()
        self._seen: dict[int, bool] = {}

    async def run(self) -> None:
        """Until cancelled: wait for the host's Open vSwitch, keep house as long as it lives, wait for the next."""
        changes = await acall_in(self._namespace, change_socket)
        loop = asyncio.get_running_loop()
        loop.add_reader(changes, self._drain, changes)
        try:
            while True:
                database = await self._socket()
                with contextlib.suppress(OSError):  # not listening yet, or gone between two steps: look again
                    async with ovsdb.connected(database, self._event.set) as (ovs, listening):
                        await self._keep(ovs, listening)
                await asyncio.sleep(_LOOK_AGAIN)
        finally:
            loop.remove_reader(changes)
            changes.close()

    async def _socket(self) -> Path:
        """The database's socket, seen through the host's first process; the host may be far from having one."""
        while True:
            if pid := leader(self._lab.name, self._host.name):
                path = Path(f"/proc/{pid}/root/run/openvswitch/db.sock")
                while path.parents[3].exists():
                    if path.exists():
                        return path
                    await asyncio.sleep(_LOOK_AGAIN)
            await asyncio.sleep(_LOOK_AGAIN)

    def _drain(self, changes: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    changes.recv(65536)
                except OSError as e:
                    if isinstance(e, BlockingIOError):
                        raise
                    break  # the kernel had more to say than the socket holds; everything is looked at anyway
        self._event.set()

    async def _keep(self, ovs: ovsdb.Database, listening: asyncio.Task[None]) -> None:
        await ovs.transact(ovsdb.set_external_id("ovn-bridge-datapath-type", "netdev"))
        self._event.set()
        while not listening.done():
            waiting = asyncio.create_task(self._event.wait())
            await asyncio.wait({waiting, listening}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            self._event.clear()
            if not listening.done():
                await self._converge(ovs)
                await asyncio.sleep(_SETTLE)  # changes come in bursts

    async def _converge(self, ovs: ovsdb.Database) -> None:
        wrong = [name for name, kind in ovs.bridges.items() if kind != "netdev"]
        if wrong:
            await ovs.transact(*(ovsdb.set_netdev(name) for name in wrong))
        links = await self._links()
        for nic in self._host.mesh:
            await self._bridge(ovs, nic, links)
        await self._follow(await self._links())

    async def _links(self) -> dict[str, dict[str, Any]]:
        told = await run(["ip", "-n", self._namespace, "-d", "-j", "address", "show"])
        return {link["ifname"]: link for link in json.loads(told or "[]") if link}

    async def _bridge(self, ovs: ovsdb.Database, nic: str, links: dict[str, dict[str, Any]]) -> None:
        """Move the NIC behind its bridge, if it isn't there."""
        if behind(nic) not in links and _kind(links.get(nic)) == "veth":
            await hide(self._namespace, self._host, nic)
        if nic not in ovs.bridges:
            await ovs.transact(*ovsdb.add_bridge(nic, self._host.nic(nic).mac, behind(nic)))

    async def _follow(self, links: dict[str, dict[str, Any]]) -> None:
        """What a bridge must copy: its NIC's carrier and the loopback's address; and the MTU a NIC has at first."""
        lines: list[str] = []
        # /0, because OVS takes a route with a source address only if a NIC's address and prefix cover its destination
        # (verify_prefsrc in lib/ovs-router.c), and OSPF's routes have the loopback as source.
        loopback = f"{self._host.loopback}/0"
        wanted = _has(links.get("lo"), self._host.loopback)
        for name, link in links.items():
            if _kind(link) != "tun":
                continue
            if link["ifindex"] not in self._seen:
                await acall_in(self._namespace, lambda nic=name: stop_tx_offload(nic))  # type: ignore[misc]
            if name in self._host.mesh:
                lines += self._carrier(name, link, links) + _mtu(name, link)
                if wanted != _has(link, self._host.loopback):
                    action = "add" if wanted else "delete"
                    lines.append(f"address {action} {loopback} dev {name}" + (" noprefixroute" if wanted else ""))
            self._seen.setdefault(link["ifindex"], True)
        await ip_batch(self._namespace, lines)

    def _carrier(self, nic: str, link: dict[str, Any], links: dict[str, dict[str, Any]]) -> list[str]:
        """A new bridge has carrier; the kernel's own flag tells nothing while it is down, so remember."""
        lines = []
        plugged = "LOWER_UP" in links.get(behind(nic), {"flags": []})["flags"]
        if plugged != self._seen.get(link["ifindex"], True):
            lines.append(f"link set {nic} carrier {'on' if plugged else 'off'}")
        self._seen[link["ifindex"]] = plugged
        return lines


def _mtu(nic: str, link: dict[str, Any]) -> list[str]:
    """Let a bridge start with the MTU that a NIC starts with.

    OVS raises a bridge to the least MTU of its ports as long as nobody has chosen another one, at every boot and after
    networkd may have found its 1500 in place already. Nobody chooses the cable's.
    """
    return [f"link set {nic} mtu {_FIRST_MTU}"] if link["mtu"] == CABLE_MTU else []


def _kind(link: dict[str, Any] | None) -> str:
    return str((link or {}).get("linkinfo", {}).get("info_kind", ""))


def _has(link: dict[str, Any] | None, address: str) -> bool:
    return any(a.get("local") == address for a in (link or {}).get("addr_info", []))
