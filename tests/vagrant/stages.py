"""What only a real kernel shows, in stages. Each looks at what is there first, so that it can be repeated."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.vagrant.machines import ROOT, Machines, StageError

INSTANCE = "mesh-evacuee"
IMAGE = "mesh-busybox"
NETWORK = "overlay"
POOL = "remote"
_IMAGE_SCRIPT = (ROOT / "roles/smoke/image.sh").read_text()
_RETURN_SECONDS = 1800

PATIENCE = "\nHost *\n  ServerAliveInterval 30\n  ConnectTimeout 120\n"


def up(machines: Machines) -> str:
    """All machines run, and their SSH configuration is written down."""
    machines.vagrant("up", "--provider=libvirt")
    _write_down(machines)
    kernels = {machines.on(name, "uname", "-r").strip() for name in machines.names}
    return f"{len(machines.names)} machines, Linux {', '.join(sorted(kernels))}"


def bootstrap(machines: Machines) -> str:
    """The topology as it stands; every OSD is a logical volume."""
    report = machines.meshctl("bootstrap", str(machines.topology), "--yes", "--accept-new-host-keys")
    volumes = _volumes(machines)
    _want(all(volumes.values()), "an OSD in a logical volume on every host", volumes)
    return f"{report['changed']} changes in {report['wall_s']:.0f} s; {sum(map(len, volumes.values()))} OSDs in LVM"


def classes(machines: Machines) -> str:
    """Two disks per host: Ceph gives each OSD the class that the guest sees. A cluster that runs gets more OSDs.

    From here on the disks are named by their serial numbers, which a reboot doesn't change.
    """
    document = yaml.safe_load(machines.topology.read_text())
    for name, node in document["nodes"].items():
        node["disks"] = [
            f"/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{disk}" for disk in (f"hdd-{name}-0", f"ssd-{name}-1")
        ]
    machines.topology.with_name("two-disks.yaml").write_text(yaml.safe_dump(document))
    report = machines.meshctl("bootstrap", str(_two_disks(machines)), "--yes")
    tree = json.loads(machines.on(machines.names[0], "ceph", "--connect-timeout=30", "osd", "tree", "--format=json"))
    found = sorted(node["device_class"] for node in tree["nodes"] if node["type"] == "osd")
    half = len(machines.names)
    _want(found == ["hdd"] * half + ["ssd"] * half, f"{half} hdd and {half} ssd", found)
    for name in machines.names:
        seen = machines.on(name, "lsblk", "-dno", "NAME,ROTA", "/dev/sdb", "/dev/sdc").split()
        _want(seen == ["sdb", "1", "sdc", "0"], f"sdb of {name} rotational, sdc not", seen)
    return f"{report['changed']} changes; classes {found}"


def datapath(machines: Machines) -> str:
    """Open vSwitch forwards in the kernel, through Geneve."""
    for name in machines.names:
        shown = machines.on(name, "ovs-appctl", "dpif/show")
        _want("system@ovs-system" in shown, f"the kernel's datapath on {name}", shown)
        _want("genev_sys_6081" in machines.on(name, "ip", "-br", "link"), f"a Geneve device on {name}", "none")
    return "system@ovs-system and genev_sys_6081 on all hosts"


def evacuate(machines: Machines) -> str:
    """An instance with its root disk on Ceph goes on elsewhere; its disk is the same image with the same data."""
    first, second = machines.names[:2]
    topology = str(_two_disks(machines))
    machines.meshctl("restore", topology, second, "--yes")  # what an interrupted attempt may have left
    _launch(machines, second)
    before = _image(machines, first)
    machines.on(first, "incus", "exec", "-T", INSTANCE, "--", "sh", "-c", "echo kept > /var/kept && sync")
    _want(before["name"] in machines.on(second, "rbd", "showmapped"), f"a mapped image on {second}", "none")
    machines.meshctl("evacuate", topology, second, "--yes")
    where, state = _located(machines, first)
    _want(where != second and state == "Running", f"{INSTANCE} running elsewhere", (where, state))
    after = _image(machines, first)
    _want(after["id"] == before["id"], f"the image {before['id']}", after["id"])
    kept = machines.on(first, "incus", "exec", "-T", INSTANCE, "--", "cat", "/var/kept").strip()
    _want(kept == "kept", "what was written before", kept)
    machines.meshctl("restore", topology, second, "--yes")
    return f"from {second} to {where} and back; image {before['id']} stayed"


def again(machines: Machines) -> str:
    """A second run finds nothing to do."""
    report = machines.meshctl("bootstrap", str(_two_disks(machines)), "--yes")
    _want(report["changed"] == 0, "0 changes", report["changed"])
    return f"0 changes in {report['wall_s']:.0f} s"


def reboot(machines: Machines) -> str:
    """One rolling reboot; every machine has another boot afterwards."""
    before = {name: _boot(machines, name) for name in machines.names}
    machines.meshctl("reboot", str(_two_disks(machines)), "--rolling", "--yes")
    same = [name for name in machines.names if _boot(machines, name) == before[name]]
    _want(not same, "another boot on every machine", f"the same on {', '.join(same)}")
    return f"{len(before)} machines, one after the other"


def power(machines: Machines) -> str:
    """All machines lose their power at once; switched on again, every gate passes and the instance runs."""
    for name in machines.names:
        machines.vagrant("halt", "--force", name, seconds=300)
    machines.vagrant("up", "--provider=libvirt", "--no-provision")
    _write_down(machines)
    topology = str(_two_disks(machines))

    def unhealthy() -> str:
        report = machines.meshctl("verify", topology, "--wait=120", codes=(0, 1, 4))
        return "; ".join(f"{p['host']}: {p['what']}" for p in report["problems"]) or ("" if report["ok"] else "not ok")

    machines.until("every gate after the power loss", unhealthy, seconds=_RETURN_SECONDS)
    where, state = _located(machines, machines.names[0])
    _want(state == "Running", f"{INSTANCE} running", state)
    return f"every gate passes; {INSTANCE} runs on {where}"


STAGES: dict[str, Callable[[Machines], str]] = {
    stage.__name__: stage for stage in (up, bootstrap, classes, datapath, evacuate, again, reboot, power)
}


def _write_down(machines: Machines) -> None:
    """Where the machines are, and that an emulated one may be silent for a while."""
    machines.ssh_config.write_text(machines.vagrant("ssh-config", seconds=300) + PATIENCE)


def _two_disks(machines: Machines) -> Path:
    return machines.topology.with_name("two-disks.yaml")


def _volumes(machines: Machines) -> dict[str, list[str]]:
    """Host → the logical volumes that its OSDs are."""
    listed = {name: machines.on(name, "ceph-volume", "lvm", "list", "--format", "json") for name in machines.names}
    return {name: [one["lv_path"] for osd in json.loads(text).values() for one in osd] for name, text in listed.items()}


def _launch(machines: Machines, node: str) -> None:
    first = machines.names[0]
    images = json.loads(machines.on(first, "incus", "image", "list", "--format=json"))
    if not any(alias["name"] == IMAGE for image in images for alias in image["aliases"]):
        machines.on(first, "sh", "-c", _IMAGE_SCRIPT, "sh", "default", IMAGE, IMAGE, seconds=600)
    if not any(one["name"] == INSTANCE for one in _instances(machines)):
        where = ["--target", node, "-s", POOL, "-n", NETWORK]
        machines.on(first, "incus", "launch", "-q", IMAGE, INSTANCE, *where, seconds=600)


def _instances(machines: Machines) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(machines.on(machines.names[0], "incus", "list", "--format=json"))
    return found


def _located(machines: Machines, node: str) -> tuple[str, str]:
    """Where the instance is, and how."""
    del node
    for one in _instances(machines):
        if one["name"] == INSTANCE:
            return str(one["location"]), str(one["status"])
    raise StageError(f"there is no instance {INSTANCE}")


def _image(machines: Machines, node: str) -> dict[str, Any]:
    """The RBD image that is the instance's root disk."""
    listed = machines.on(node, "rbd", "ls", "incus")
    (name,) = re.findall(rf"^container_\S*{INSTANCE}$", listed, re.MULTILINE) or [""]
    _want(bool(name), f"an image of {INSTANCE}", listed)
    found: dict[str, Any] = json.loads(machines.on(node, "rbd", "info", "--format=json", f"incus/{name}"))
    return found


def _boot(machines: Machines, name: str) -> str:
    return machines.on(name, "cat", "/proc/sys/kernel/random/boot_id").strip()


def _want(true: bool, expected: str, seen: object) -> None:  # noqa: FBT001  (an assertion with words)
    if not true:
        raise StageError(f"expected {expected}, seen {seen}")
