"""Starting and stopping whole labs and single hosts."""

import asyncio
import shutil
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from meshctl.lab import cgroups, disks, image, limits, machines, plan, seed, sockets, tools, wiring
from meshctl.lab.capabilities import kernel_has_ovs, missing
from meshctl.lab.errors import LabError
from meshctl.lab.locks import locked
from meshctl.lab.names import NETNS, LabPaths, check_lab_name, host_namespace, lab_lock, namespaces_of, paths
from meshctl.lab.netns import acall_in
from meshctl.lab.plan import HostPlan, LabPlan
from meshctl.lab.proc import run, wait_until

if TYPE_CHECKING:
    from meshctl.topology import Topology

BOOT_SECONDS = 90
BUSY_SECONDS = 120

Progress = Callable[[str], None]


def _silent(_: str) -> None:
    """Progress for callers who want none."""


async def up(
    topology: "Topology",
    *,
    name: str | None = None,
    image_name: str = "full",
    disk_size: int = plan.DISK_SIZE,
    plain: bool = False,
    progress: Progress = _silent,
) -> LabPlan:
    """Boot the topology as a lab; returns when every host's sshd answers.

    `plain`: leave the cables to the kernel even where it has no Open vSwitch; for measuring routing without OVN.

    On a lab that is up already only the hosts that are off are started. The lab's name is the cluster's unless
    given. LabError if a lab of that name runs another topology or another image.
    """
    tools.check()
    lab_name = check_lab_name(name or topology.cluster)
    folder = await image.ensure(image_name, progress)
    shim = not plain and not await kernel_has_ovs()
    wanted = plan.from_topology(topology, lab_name, (image_name, folder), userspace_ovs=shim, disk_size=disk_size)
    async with locked(lab_lock(lab_name), f"lab {lab_name}", BUSY_SECONDS):
        lab = await _prepare(wanted)
        await wiring.build(lab)
        progress(f"booting {len(lab.hosts)} hosts")
        await start(lab, lab.hosts)
    progress(f"not rehearsed on this machine: {'; '.join(await missing())}")
    return lab


async def _prepare(lab: LabPlan) -> LabPlan:
    """The lab's folder with its plan, keys and seeded hosts. One that is there already must be the same lab."""
    there = plan.load(paths(lab.name).plan)
    if there is None:
        await _clear(lab.name)
        await _lay_out(lab)
        return lab
    # What isn't asked for by anybody may have changed meanwhile: the image's recipe, a module of the kernel.
    if there != replace(lab, image=there.image, userspace_ovs=there.userspace_ovs):
        raise LabError(
            f"lab {lab.name} exists with another topology or image",
            advice=f"Take it down first (`meshctl lab down`, its name is {lab.name}), or give this one another name.",
        )
    return there


async def _lay_out(lab: LabPlan) -> None:
    at = paths(lab.name)
    at.base.mkdir(parents=True)
    at.base.chmod(0o700)
    at.state.mkdir(mode=0o700)
    await seed.keygen(at.ssh_key, f"lab {lab.name}")
    public = at.ssh_key.with_suffix(".pub").read_text()
    lines = await asyncio.gather(*(_prepare_host(lab, host, at, public) for host in lab.hosts))
    at.known_hosts.write_text("".join(lines))
    at.plan.write_text(lab.to_json())  # last: a folder without it is half a lab, and is cleared


async def _prepare_host(lab: LabPlan, host: HostPlan, at: LabPaths, public: str) -> str:
    here = at.host(host.name)
    for folder in (here.upper, here.work, here.root, here.disks):
        folder.mkdir(parents=True, exist_ok=True)
    return await seed.seed(lab, host, here.upper, public)


async def start(lab: LabPlan, hosts: Iterable[HostPlan]) -> None:
    """Switch hosts on that are off, and wait until sshd of each answers. For who holds the lab's lock."""
    hosts = list(hosts)
    off = [host for host in hosts if machines.supervisor(lab.name, host.name) is None]
    await asyncio.to_thread(limits.check, len(off))
    try:
        async with asyncio.TaskGroup() as group:
            for host in hosts:
                group.create_task(_start_one(lab, host))
    except* LabError as group_of_errors:
        errors = group_of_errors.exceptions
    else:
        return
    raise errors[0]  # the others have the same reason, or none


async def _start_one(lab: LabPlan, host: HostPlan) -> None:
    await machines.start(lab, host)
    console = paths(lab.name).host(host.name).console

    async def answers() -> bool:
        if machines.supervisor(lab.name, host.name) is None:
            last = " / ".join(machines.last_words(console))
            raise LabError(
                f"host {host.name} of lab {lab.name} went off while booting: {last}", advice=f"See {console}."
            )
        try:
            (await sockets.connect(lab.name, host.management.split("/")[0], lab.ssh_port, 1)).close()
        except (OSError, LabError):  # not up yet; the deadline is ours
            return False
        return True

    async def has_nics() -> bool:
        seen = await acall_in(host_namespace(lab.name, host.name), socket.if_nameindex)
        return {nic.name for nic in host.nics} <= {name for _, name in seen}

    # In this order: whoever knocks at sshd without logging in, again and again, is shut out by it for a while.
    await wait_until(f"sshd on {host.name}", BOOT_SECONDS, answers, advice=f"See {console}.")
    await wait_until(f"the NICs of {host.name}", BOOT_SECONDS, has_nics, advice=f"See {console}.")


def existing(name: str) -> LabPlan:
    """The plan of a lab that exists; LabError if there is none."""
    found = plan.load(paths(name).plan)
    if found is None:
        raise LabError(f"there is no lab {name}", advice="`meshctl lab up TOPOLOGY` boots one.")
    return found


async def power_on(name: str, node: str) -> None:
    """Switch one host on, and wait for its sshd. Cables that were cut stay cut."""
    lab = existing(name)
    async with locked(lab_lock(name), f"lab {name}", BUSY_SECONDS):
        await start(lab, [lab.host(node)])


async def power_off(name: str, node: str) -> None:
    """Take the power away from one host, as if its cord were pulled."""
    lab = existing(name)
    async with locked(lab_lock(name), f"lab {name}", BUSY_SECONDS):
        await machines.power_off(lab, lab.host(node))
        await wiring.unplug(lab, lab.host(node))


async def renew(name: str, node: str) -> None:
    """Put another machine into a host's place, as an installer leaves it: empty disks, its own identity and SSH key.

    It has the same NICs, MAC addresses included, and is plugged in and switched on. Snapshots stay as they are.
    """
    lab = existing(name)
    at, host = paths(name), lab.host(node)
    async with locked(lab_lock(name), f"lab {name}", BUSY_SECONDS):
        await machines.power_off(lab, host)
        await wiring.unplug(lab, host)
        here = at.host(node)
        await disks.detach_all(here.base)
        for folder in (here.upper, here.work, here.disks):
            await asyncio.to_thread(shutil.rmtree, folder)
        await _prepare_host(lab, host, at, at.ssh_key.with_suffix(".pub").read_text())
        at.known_hosts.write_text("".join(seed.known_host(lab, one, at.host(one.name).upper) for one in lab.hosts))
        await start(lab, [host])


async def down(name: str) -> bool:
    """Remove the lab and all its traces, also those of one that crashed; False if there was nothing to remove."""
    check_lab_name(name)
    async with locked(lab_lock(name), f"lab {name}", BUSY_SECONDS):
        found = paths(name).base.exists() or bool(namespaces_of(name)) or cgroups.lab_cgroup(name).exists()
        await _clear(name)
        lab_lock(name).unlink(missing_ok=True)
    return found


async def _clear(name: str) -> None:
    """By what is found, not by what a plan says: there may be none, or only half of the lab."""
    at = paths(name)
    nodes = [p.name for p in at.nodes.iterdir()] if at.nodes.is_dir() else []
    await asyncio.gather(*(machines.end_supervisor(name, node) for node in nodes))
    await cgroups.kill(cgroups.supervisors_cgroup(name))  # those whose lock file is gone
    if cgroups.lab_cgroup(name).exists():
        await cgroups.remove(cgroups.lab_cgroup(name))
    await _clear_namespaces(name)
    await disks.detach_all(at.base)
    if at.base.exists():
        await asyncio.to_thread(shutil.rmtree, at.base)


async def _clear_namespaces(name: str) -> None:
    """The lab's own first: deleting its ends of the veths is what unplugs every host at once."""
    for namespace in namespaces_of(name):
        await run(["ip", "netns", "delete", namespace])

    async def gone() -> bool:
        return not namespaces_of(name)

    await wait_until(f"the namespaces of lab {name} in {NETNS} to be gone", 10, gone)
