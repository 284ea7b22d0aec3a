"""Every name a lab uses on the machine: folders, namespaces, cgroups. All of them follow from the lab's name."""

import re
from dataclasses import dataclass
from pathlib import Path

from meshctl.lab.errors import LabError

LABS = Path("/var/lib/meshctl/labs")
NETNS = Path("/run/netns")

# No dots: a namespace is called mesh.LAB.NODE and must be readable backwards. Short: nspawn's names end at 64.
_LAB_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


def check_lab_name(name: str) -> str:
    """The name itself, if it can be a lab's."""
    if not _LAB_NAME.fullmatch(name):
        raise LabError(
            f"{name!r} can't be the name of a lab",
            advice="Use 1 to 32 lower-case letters, digits and dashes, for example --lab=rehearsal.",
        )
    return name


def lab_namespace(lab: str) -> str:
    """The network namespace with the lab's bridges and the near ends of its cables."""
    return f"mesh.{lab}"


def host_namespace(lab: str, node: str) -> str:
    """The network namespace of one host."""
    return f"mesh.{lab}.{node}"


def machine_name(lab: str, node: str) -> str:
    """What nspawn calls the host; never the hostname inside, which is meshctl's to set."""
    return f"mesh-{lab}-{node}"[:64].rstrip("-.")


def namespaces_of(lab: str) -> list[str]:
    """The lab's namespaces that exist, its own first. Two labs are never confused: names have no dots."""
    if not NETNS.is_dir():
        return []
    own = lab_namespace(lab)
    return sorted(p.name for p in NETNS.iterdir() if p.name == own or p.name.startswith(f"{own}."))


@dataclass(frozen=True, slots=True)
class HostPaths:
    """The files of one host."""

    base: Path

    @property
    def upper(self) -> Path:
        """What the host has written: the upper layer over the image."""
        return self.base / "upper"

    @property
    def work(self) -> Path:
        """Scratch folder of overlayfs."""
        return self.base / "work"

    @property
    def root(self) -> Path:
        """Where the host sees its root mounted; empty for everybody else."""
        return self.base / "root"

    @property
    def disks(self) -> Path:
        """The sparse files behind the host's disks."""
        return self.base / "disks"

    @property
    def console(self) -> Path:
        """What the host printed on its console, all boots."""
        return self.base / "console.log"

    @property
    def lock(self) -> Path:
        """Held by the host's supervisor for as long as it lives."""
        return self.base / "supervisor.lock"


@dataclass(frozen=True, slots=True)
class LabPaths:
    """The files of one lab, all below `base`, which only root may enter."""

    base: Path

    @property
    def plan(self) -> Path:
        """The lab as it was asked for (`meshctl.lab.plan`)."""
        return self.base / "lab.json"

    @property
    def ssh_key(self) -> Path:
        """The private key that opens every host of this lab."""
        return self.base / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The hosts' real SSH keys."""
        return self.base / "known_hosts"

    @property
    def state(self) -> Path:
        """For meshctl's own secrets of the cluster in this lab; 0700."""
        return self.base / "state"

    @property
    def nodes(self) -> Path:
        """One folder per host."""
        return self.base / "nodes"

    @property
    def snapshots(self) -> Path:
        """What `meshctl.lab.snapshots` keeps, one folder each."""
        return self.base / "snapshots"

    @property
    def panel_lock(self) -> Path:
        """Taken while the carriers of the cables are set."""
        return self.base / "panel.lock"

    def host(self, node: str) -> HostPaths:
        """The files of one host."""
        return HostPaths(self.nodes / node)


def paths(lab: str) -> LabPaths:
    """Where the lab of that name keeps its files, whether it exists or not."""
    return LabPaths(LABS / check_lab_name(lab))


def lab_lock(lab: str) -> Path:
    """Taken by whoever changes the lab as a whole; outside its folder, because `down` removes that."""
    return LABS / f".{check_lab_name(lab)}.lock"
