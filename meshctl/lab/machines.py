"""One host: how it is started, found and killed. Each has a supervisor process that boots it again when it reboots."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import meshctl
from meshctl.lab import cgroups
from meshctl.lab.errors import LabError
from meshctl.lab.locks import holder
from meshctl.lab.names import HostPaths, host_namespace, machine_name, paths
from meshctl.lab.plan import HostPlan, LabPlan
from meshctl.lab.proc import wait_until

_START_SECONDS = 20
_STOP_SECONDS = 30

# What Debian's systemd, Incus, Ceph and OVS need from the kernel and nspawn doesn't give by itself.
_SYSCALLS = "@clock @keyring @mount @module bpf perf_event_open"

# Into the host's cgroup, then its root, then nspawn. The mount lives in a mount namespace of its own: the machine
# never sees it, and it goes when the last process of the host goes.
_BOOT = 'echo $$ >"$1/cgroup.procs" && mount -t overlay "mesh" -o "$2" "$3" && shift 3 && exec "$@"'


def boot_argv(lab: LabPlan, host: HostPlan, cgroup: Path, devices: dict[str, str]) -> list[str]:
    """The command that boots the host in the foreground, in its namespace and cgroup."""
    at = paths(lab.name).host(host.name)
    layers = f"lowerdir={lab.image}/rootfs,upperdir={at.upper},workdir={at.work}"
    enter = ["nsenter", f"--net=/run/netns/{host_namespace(lab.name, host.name)}"]
    private = ["unshare", "--mount", "--propagation", "slave"]
    script = ["sh", "-c", _BOOT, "boot", str(cgroup), layers, str(at.root)]
    return [*enter, *private, *script, *_nspawn(lab, host, at, devices)]


def _nspawn(lab: LabPlan, host: HostPlan, at: HostPaths, devices: dict[str, str]) -> list[str]:
    argv = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", f"--directory={at.root}"]
    argv += [f"--machine={machine_name(lab.name, host.name)}", "--hostname=localhost", "--console=read-only"]
    argv += ["--capability=all", "--drop-capability=CAP_SYS_TIME", f"--system-call-filter={_SYSCALLS}"]
    argv += ["--resolv-conf=off", "--timezone=off", "--link-journal=no"]
    binds = ["/dev/net/tun", "/dev/fuse", *devices.values()]
    argv += [f"--bind={device}" for device in binds if Path(device).exists()]
    argv += [f"--property=DeviceAllow={device} rwm" for device in devices.values()]
    repo = Path(lab.image, "repo")
    return [*argv, f"--bind-ro={repo}:/srv/repo"] if repo.is_dir() else argv


def boot_environment() -> dict[str, str]:
    """Settings of nspawn: /proc/sys/net is the host's own and writable, no other sysctl; cgroup2 only."""
    return os.environ | {
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        "SYSTEMD_LOG_LEVEL": "info",
    }


def supervisor(lab: str, node: str) -> int | None:
    """The process id of the host's supervisor, if it lives."""
    return holder(paths(lab).host(node).lock)


def leader(lab: str, node: str) -> int | None:
    """The host's own process 1, by its id on this machine; None while it is off or hardly started."""
    for pid in cgroups.processes(cgroups.host_cgroup(lab, node)):
        if _id_inside(pid) == 1:
            return pid
    return None


def _id_inside(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has just ended
        return None
    ids = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return int(ids[-1]) if len(ids) > 1 else None


async def start(lab: LabPlan, host: HostPlan) -> None:
    """Switch the host on. Returns when its supervisor lives; nothing happens if it does already."""
    if supervisor(lab.name, host.name):
        return
    console = paths(lab.name).host(host.name).console
    await _detach(["-m", "meshctl.lab.supervisor", lab.name, host.name], console)

    async def alive() -> bool:
        return supervisor(lab.name, host.name) is not None

    await wait_until(f"the supervisor of {host.name}", _START_SECONDS, alive, advice=f"See {console}.")


async def _detach(arguments: list[str], console: Path) -> None:
    """Run Python as a process that outlives this one and belongs to nobody; its output goes to the console's log."""
    environment = os.environ | {"PYTHONPATH": str(Path(meshctl.__file__).parents[1])}
    with console.open("ab") as log:
        launcher = await asyncio.create_subprocess_exec(
            *("setsid", "--fork", sys.executable, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
        )
        if await launcher.wait():
            raise LabError("can't start a process of its own for the host", advice=f"See {console}.")


def last_words(console: Path) -> list[str]:
    """The last lines on a host's console, without colours."""
    text = console.read_bytes()[-4000:].decode(errors="replace")
    lines = [re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line).strip() for line in text.splitlines()]
    return [line for line in lines if line][-4:]


async def power_off(lab: LabPlan, host: HostPlan) -> None:
    """Take the power away: every process of the host is killed at once, nothing is written or said goodbye to."""
    await end_supervisor(lab.name, host.name)
    await cgroups.kill(cgroups.host_cgroup(lab.name, host.name))


async def end_supervisor(lab: str, node: str) -> None:
    """End the host's supervisor, which takes the host with it; fine if there is none."""
    pid = supervisor(lab, node)
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)

    async def ended() -> bool:
        return supervisor(lab, node) is None

    await wait_until(f"the supervisor of {node} to end", _STOP_SECONDS, ended)
