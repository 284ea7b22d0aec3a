"""`python -m meshctl.lab.supervisor LAB NODE`: the power supply and the BIOS of one host.

Plugs the NICs in, boots the host, boots it again when it reboots, and cleans up when it switches itself off.
SIGTERM to this process is a power loss. Imports little: three of these start at once.
"""

import asyncio
import signal
import sys
import traceback
from pathlib import Path

from meshctl.lab import cgroups, disks, plan, wiring
from meshctl.lab.errors import LabError
from meshctl.lab.locks import held_for_life
from meshctl.lab.machines import boot_argv, boot_environment
from meshctl.lab.names import host_namespace, paths
from meshctl.lab.plan import HostPlan, LabPlan
from meshctl.lab.rootfiles import RootFiles
from meshctl.lab.shim import Shim, hide

# What nspawn exits with when the host asked for a reboot and nobody is registered to do it.
_REBOOT = 133
_SHIM_AGAIN = 1.0


async def supervise(lab: LabPlan, host: HostPlan, power: asyncio.Event) -> int:
    """Run the host until it switches itself off or `power` is set; the exit code for this process."""
    while True:
        try:
            status = await _boot(lab, host, power)
        finally:
            await cgroups.kill(cgroups.host_cgroup(lab.name, host.name))
            await wiring.unplug(lab, host)
        if power.is_set() or status != _REBOOT:
            return 0 if power.is_set() else status


async def _boot(lab: LabPlan, host: HostPlan, power: asyncio.Event) -> int:
    """One boot, from plugging in to the end of nspawn; its exit code."""
    at = paths(lab.name).host(host.name)
    cgroup = await cgroups.make(lab.name, host.name)
    devices = await disks.attach(at.disks, host)
    RootFiles(at.upper).write("etc/tmpfiles.d/50-lab-disks.conf", disks.tmpfiles(devices))
    await wiring.plug_in(lab, host)
    if lab.userspace_ovs and _has_ovs(lab, at.upper):
        for nic in host.mesh:
            await hide(host_namespace(lab.name, host.name), host, nic)
    process = await asyncio.create_subprocess_exec(
        *boot_argv(lab, host, cgroup, devices), stdin=asyncio.subprocess.DEVNULL, env=boot_environment()
    )
    shim = asyncio.create_task(_emulate(lab, host)) if lab.userspace_ovs else None
    status = await _until_off(process, power, cgroup)
    if shim:
        shim.cancel()
        await asyncio.wait({shim})
    print(f"--- nspawn of {host.name} exited with {status}", flush=True)  # noqa: T201  (the console log)
    return status


async def _until_off(process: asyncio.subprocess.Process, power: asyncio.Event, cgroup: Path) -> int:
    off = asyncio.create_task(power.wait())
    exited = asyncio.create_task(process.wait())
    await asyncio.wait({off, exited}, return_when=asyncio.FIRST_COMPLETED)
    off.cancel()
    if not exited.done():
        await cgroups.kill(cgroup)
    return await exited


async def _emulate(lab: LabPlan, host: HostPlan) -> None:
    """The shim, started anew when it fails: a host can be in any state, and its console log tells what happened."""
    while True:
        try:
            await Shim(lab, host).run()
        except Exception:  # noqa: BLE001
            traceback.print_exc()
            await asyncio.sleep(_SHIM_AGAIN)


def _has_ovs(lab: LabPlan, upper: Path) -> bool:
    """Will Open vSwitch start with this boot? Then its NICs have to be behind its bridges before it looks."""
    switch = "usr/sbin/ovs-vswitchd"  # a link of update-alternatives, pointing nowhere from outside
    places = (upper / switch, Path(lab.image, "rootfs", switch))
    return any(place.is_symlink() or place.is_file() for place in places)


async def _main(lab_name: str, node: str) -> int:
    lab = plan.load(paths(lab_name).plan)
    if lab is None:
        raise LabError(f"there is no lab {lab_name}")
    cgroups.enter(cgroups.supervisors_cgroup(lab_name))
    power = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, power.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    return await supervise(lab, lab.host(node), power)


def main() -> int:
    """Hold the host's lock for as long as it is supervised; only one process can."""
    lab_name, node = sys.argv[1:]
    with held_for_life(paths(lab_name).host(node).lock) as mine:
        return asyncio.run(_main(lab_name, node)) if mine else 0


if __name__ == "__main__":
    sys.exit(main())
