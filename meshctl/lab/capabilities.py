"""What this machine's kernel can't rehearse, found by trying it where it does no harm."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshctl.lab.kernelnet import has_generic_netlink
from meshctl.lab.netns import call_in_new
from meshctl.lab.proc import run

_PROBE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Probe:
    """A question to the kernel, and what a lab must do without if the answer is no."""

    without: str
    module: str
    works: Callable[[], bool]


def _link(how: str) -> Callable[[], bool]:
    lines = f"link add nic type veth peer name far\nlink add {how}\n"
    return lambda: _in_scratch_network(["ip", "-batch", "-"], lines)


def _netem() -> bool:
    argv = ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    return shutil.which("tc") is not None and _in_scratch_network(argv, "")


def _listed(place: str, word: str) -> Callable[[], bool]:
    return lambda: word in Path(place).read_text().split()


PROBES = (
    Probe(
        "no Open vSwitch in the kernel: the hosts' switches run in user space, which is slower",
        "openvswitch",
        lambda: has_generic_netlink("ovs_datapath"),
    ),
    Probe(
        "no device mapper: no LVM and no encrypted disks, OSDs are raw",
        "dm_mod",
        _listed("/proc/misc", "device-mapper"),
    ),
    Probe(
        "no rbd device: instances can't run on Ceph pools (librbd works)",
        "rbd",
        lambda: Path("/sys/bus/rbd").exists(),
    ),
    Probe("no CephFS mounts by the kernel", "ceph", _listed("/proc/filesystems", "ceph")),
    Probe(
        "no virtual machines in Incus",
        "vhost_vsock",
        lambda: Path("/dev/kvm").exists() and Path("/dev/vhost-vsock").exists(),
    ),
    Probe("no bonding of NICs", "bonding", _link("probe type bond")),
    Probe("no VLANs on NICs", "8021q", _link("link nic name probe type vlan id 5")),
    Probe("no VXLAN", "vxlan", _link("probe type vxlan id 5 dstport 4789")),
    Probe("no macvlan, hence no VRRP addresses", "macvlan", _link("link nic name probe type macvlan")),
    Probe("no dummy interfaces", "dummy", _link("probe type dummy")),
    Probe("no delays and random losses on cables (netem)", "sch_netem", _netem),
)

# By design of the lab, on every machine.
ALWAYS = (
    "all hosts share this machine's clock and kernel: no clock skew, no kernel upgrade, no kernel crash",
    "disks are files on loop devices: their speed and SMART data mean nothing",
)


async def missing() -> list[str]:
    """One sentence for everything that a real cluster may have and a lab on this machine can't."""
    sentences = []
    for probe in PROBES:
        await _load(probe.module)
        if not probe.works():
            sentences.append(probe.without)
    return [*sentences, *ALWAYS]


async def kernel_has_ovs() -> bool:
    """Tell whether Open vSwitch's kernel datapath is there; a module is loaded now."""
    for module in ("openvswitch", "vport_geneve"):
        await _load(module)
    return has_generic_netlink("ovs_datapath")


async def _load(module: str) -> None:
    """Ask for a module, as the kernel itself would when a host uses it; hosts can't load any."""
    if shutil.which("modprobe"):
        await run(["modprobe", "--quiet", module], check=False)


def _in_scratch_network(argv: list[str], stdin: str) -> bool:
    """Tell whether the program succeeds in a new network namespace."""

    def attempt() -> bool:
        done = subprocess.run(argv, input=stdin, text=True, capture_output=True, check=False, timeout=_PROBE_SECONDS)
        return done.returncode == 0

    return call_in_new(attempt)
