"""`vagrant/build-box`: a Vagrant box for libvirt from Debian packages alone; no box is downloaded. Root.

The same packages as the lab's image, a kernel, and what Vagrant expects of a box. There is no boot loader: libvirt
starts the kernel, which lies in a folder that qemu can enter; the box's own Vagrantfile says where.
"""

import argparse
import asyncio
import hashlib
import json
import shutil
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from meshctl.errors import MeshctlError
from meshctl.lab import mirror
from meshctl.lab.errors import LabError
from meshctl.lab.proc import run
from meshctl.lab.recipe import RELEASE, recipe
from meshctl.lab.rootfiles import RootFiles

ROOT = Path(__file__).resolve().parents[2]
NAME = "meshctl/trixie"
BOOT = Path("/var/lib/libvirt/boot")
LABEL = "mesh-root"
GIB = 10
"""Size of the system's disk. Ceph's health is a warning where less than 30 % of it are free; the packages take 1.5."""

# Without AppArmor's programs: under plain emulation they take two minutes of every boot.
KERNEL = ("initramfs-tools", "linux-image-amd64")

# net.ifnames=0: eth0, eth1, … in the order of the PCI bus.
COMMAND_LINE = f"root=LABEL={LABEL} rw console=ttyS0 net.ifnames=0"

_KEYS = ("/usr/share/rubygems-integration/all/gems/vagrant-*/keys/vagrant.pub", "/opt/vagrant/**/keys/vagrant.pub")
_SECONDS = 3600

_HOST_KEYS = """[Unit]
Description=Make this machine's SSH host keys, once
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service ssh.socket

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
"""

FILES = {
    "etc/fstab": f"LABEL={LABEL} / ext4 errors=remount-ro 0 1\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/machine-id": "",  # systemd makes one at the first boot
    "etc/sudoers.d/vagrant": "vagrant ALL=(ALL:ALL) NOPASSWD: ALL\n",
    # Only the first NIC: the others are for cables, and nobody but meshctl configures them.
    "etc/systemd/network/80-box.network": "[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\n",
    "etc/systemd/system/box-host-keys.service": _HOST_KEYS,
    # A login must not wait for a DNS server that isn't there; and the connection comes through no firewall.
    "etc/ssh/sshd_config.d/box.conf": "UseDNS no\nPasswordAuthentication no\n",
}

ENABLED = ("systemd-networkd.service", "ssh.service", "box-host-keys.service")
# What waits for a network that nobody configures before meshctl, or keeps an emulated machine busy.
MASKED = (
    *("systemd-networkd-wait-online.service", "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer"),
    *("man-db.timer", "dpkg-db-backup.timer"),
)


@dataclass(frozen=True, slots=True)
class Box:
    """All that makes the box; its hash names kernel and initrd on the machine that starts them."""

    packages: tuple[str, ...] = tuple(sorted({*recipe("full").packages, *KERNEL}))
    files: tuple[tuple[str, str], ...] = tuple(sorted(FILES.items()))
    enabled: tuple[str, ...] = ENABLED
    masked: tuple[str, ...] = MASKED
    release: str = RELEASE
    command_line: str = COMMAND_LINE
    gib: int = GIB

    @property
    def hash(self) -> str:
        """Changes with every part of the recipe."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def boot(self) -> Path:
        """Kernel and initrd."""
        return BOOT / f"meshctl-{self.hash}"

    def metadata(self) -> dict[str, object]:
        """What vagrant-libvirt reads (its box format, version 1)."""
        return {"provider": "libvirt", "format": "qcow2", "virtual_size": self.gib}

    def vagrantfile(self) -> str:
        """The box's own settings, under those of whoever uses it."""
        return (
            'Vagrant.configure("2") do |config|\n'
            "  config.vm.provider :libvirt do |libvirt|\n"
            f'    libvirt.kernel = "{self.boot}/vmlinuz"\n'
            f'    libvirt.initrd = "{self.boot}/initrd.img"\n'
            f'    libvirt.cmd_line = "{self.command_line}"\n'
            "  end\nend\n"
        )


def public_key() -> str:
    """The key that every new box believes; Vagrant replaces it by one of the machine's own at the first `up`."""
    for pattern in _KEYS:
        for path in sorted(Path("/").glob(pattern.lstrip("/"))):
            return path.read_text().strip()
    raise LabError(
        "Vagrant's public key is not on this machine", advice="apt-get install vagrant (make vagrant-packages)"
    )


async def build(box: Box, out: Path) -> Path:
    """The box file, made in `out`. Raises LabError and its kin; leaves nothing half done under the final name."""
    final = out / f"trixie-{box.hash}.box"
    work = out / "building"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    _say(f"installing {len(box.packages)} packages and what they need")
    await _install(box, work)
    _finish(box, work / "rootfs")
    _say("making the disk")
    await _disk(box, work)
    (work / "metadata.json").write_text(json.dumps(box.metadata()))
    (work / "Vagrantfile").write_text(box.vagrantfile())
    with tarfile.open(work / "whole", "w") as tar:
        for name in ("metadata.json", "Vagrantfile", "box.img", "vmlinuz", "initrd.img"):
            tar.add(work / name, name)
    (work / "whole").rename(final)
    shutil.rmtree(work)
    return final


async def _install(box: Box, work: Path) -> None:
    listed, options = work / "sources.list", work / "apt.conf"
    sources = await mirror.sources(box.release)
    listed.write_text(sources)
    options.write_text(await mirror.proxy_options())
    argv = ["mmdebstrap", "--mode=root", "--variant=apt", f"--include={','.join(box.packages)}"]
    argv += [f"--aptopt={options}"] if options.stat().st_size else []
    argv += ['--customize-hook=chroot "$1" useradd --create-home --shell /bin/bash vagrant']
    await run([*argv, box.release, str(work / "rootfs"), *([str(listed)] if sources else [])], seconds=_SECONDS)


def _finish(box: Box, root: Path) -> None:
    """Take out what must differ between machines, put in what Vagrant expects."""
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in (
        "etc/hostname",
        "etc/resolv.conf",
        "etc/apt/apt.conf.d/99mmdebstrap",
        "etc/openvswitch/system-id.conf",
    ):
        (root / name).unlink(missing_ok=True)
    files = RootFiles(root)
    for name, text in box.files:
        files.write(name, text, 0o440 if name.startswith("etc/sudoers.d/") else 0o644)
    owner = (root / "home/vagrant").stat().st_uid
    files.folder("home/vagrant/.ssh", 0o700, owner)
    files.write("home/vagrant/.ssh/authorized_keys", f"{public_key()}\n", 0o600)
    shutil.chown(root / "home/vagrant/.ssh/authorized_keys", owner, owner)
    units = root / "etc/systemd/system"
    for unit in box.masked:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")


async def _disk(box: Box, work: Path) -> None:
    """One file system without partitions; the zeros of the raw file take no space, the qcow2 is compressed."""
    root, raw = work / "rootfs", work / "raw"
    await run(["systemctl", f"--root={root}", "enable", *box.enabled])
    for source, target in (("vmlinuz", "vmlinuz"), ("initrd.img", "initrd.img")):
        (kernel,) = sorted((root / "boot").glob(f"{source}-*"))
        shutil.copyfile(kernel, work / target)
    await run(["truncate", "-s", f"{box.gib}G", str(raw)])
    await run(["mkfs.ext4", "-q", "-F", "-L", LABEL, "-d", str(root), str(raw)], seconds=_SECONDS)
    shutil.rmtree(root)
    convert = ["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", "compression_type=zstd"]
    await run([*convert, str(raw), str(work / "box.img")], seconds=_SECONDS)
    raw.unlink()


async def add(box: Box, file: Path) -> None:
    """Give the box to Vagrant, and kernel and initrd a place where qemu can read them."""
    box.boot.mkdir(parents=True, exist_ok=True)
    box.boot.chmod(0o755)
    with tarfile.open(file) as tar:
        for name in ("vmlinuz", "initrd.img"):
            tar.extract(name, box.boot, filter="data")
            (box.boot / name).chmod(0o644)
    await run(["vagrant", "box", "add", "--force", "--name", NAME, str(file)], seconds=600)


async def added(box: Box) -> bool:
    """Whether Vagrant has this very box, as far as its kernel tells."""
    listed = await run(["vagrant", "box", "list"], seconds=120)
    return (box.boot / "initrd.img").exists() and any(line.split()[:1] == [NAME] for line in listed.splitlines())


async def _make(box: Box, file: Path, given: argparse.Namespace, *, there: bool) -> None:
    """Only what is missing: the box is no longer needed as a file once Vagrant has it."""
    if not given.again and not given.no_add and await added(box):
        _say(f"Vagrant has {NAME} of this recipe already")
        return
    if given.again or not there:
        await build(box, file.parent)
    if not given.no_add:
        await add(box, file)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(words: Sequence[str]) -> int:
    """0 when the box is there."""
    parser = argparse.ArgumentParser(prog="vagrant/build-box", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build/vagrant", help="folder of the box (default %(default)s)"
    )
    parser.add_argument("--again", action="store_true", help="build it although it is there")
    parser.add_argument("--no-add", action="store_true", help="don't give it to Vagrant")
    parser.add_argument("--recipe", action="store_true", help="print what it is made of, and build nothing")
    given = parser.parse_args(words)
    box = Box()
    if given.recipe:
        print(json.dumps({"name": NAME, "hash": box.hash, **asdict(box), "metadata": box.metadata()}, indent=1))
        return 0
    file = given.out / f"trixie-{box.hash}.box"
    try:
        asyncio.run(_make(box, file, given, there=file.exists()))
    except MeshctlError as error:
        _say(f"error: {error.message}\n{error.advice}")
        return 1
    print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
