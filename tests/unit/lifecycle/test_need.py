"""Which hosts need a reboot."""

import subprocess
from pathlib import Path

from meshctl.host.fake import FakeHost
from meshctl.lifecycle.need import _LOOK, needy
from tests.roles import golden
from tests.roles.absencehost import cluster_of


async def test_only_hosts_with_a_reason(tmp_path: Path) -> None:
    topology = golden.topology("triangle")
    hosts = [FakeHost(node.name).on("sh -c *") for node in topology.nodes]
    hosts[1].on("sh -c *", "kernel 6.12.9-amd64 is installed, 6.12.6-amd64 runs\n")
    found = await needy(cluster_of(topology, hosts, tmp_path))
    assert found == {"node2": ("kernel 6.12.9-amd64 is installed, 6.12.6-amd64 runs",)}


def look(root: Path) -> str:
    """The script on a root folder of the test's own, where 6.12.6-amd64 runs."""
    script = (
        _LOOK.replace("/run/", f"{root}/run/").replace("/boot/", f"{root}/boot/").replace("/proc/", f"{root}/proc/")
    )
    return subprocess.run(
        ["sh", "-c", script.replace("$(uname -r)", "6.12.6-amd64")], capture_output=True, text=True, check=True
    ).stdout.replace(str(root), "")


def test_a_host_without_reason(tmp_path: Path) -> None:
    for folder in ("run", "boot", "proc/1"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "boot/vmlinuz-6.12.6-amd64").touch()
    (tmp_path / "proc/1/maps").write_text("7f00-7f01 r-xp 0 08:01 1  /usr/lib/x86_64-linux-gnu/libc.so.6\n")
    assert look(tmp_path) == ""


def test_every_reason(tmp_path: Path) -> None:
    for folder in ("run", "boot", "proc/1", "proc/7"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "run/reboot-required").touch()
    (tmp_path / "run/reboot-required.pkgs").write_text("linux-image-amd64\ndbus\ndbus\n")
    for kernel in ("6.12.6-amd64", "6.12.10-amd64"):
        (tmp_path / f"boot/vmlinuz-{kernel}").touch()
    (tmp_path / "proc/1/maps").write_text("7f00 r-xp 0 08:01 1  /usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)\n")
    (tmp_path / "proc/7/maps").write_text("7f00 rw-p 0 00:01 2  /memfd:x (deleted)\n7f01 r 0 0 3 /tmp/a.so (deleted)\n")
    assert look(tmp_path).splitlines() == [
        "the system asks for it (/run/reboot-required: dbus linux-image-amd64 )",
        "kernel 6.12.10-amd64 is installed, 6.12.6-amd64 runs",
        "processes that use replaced libraries: 1",
    ]
