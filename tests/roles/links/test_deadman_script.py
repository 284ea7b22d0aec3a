"""The host's part of the dead-man switch, really run: in a folder instead of a root, with a kernel made of files."""

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshctl.roles import deadman

NETWORK = "/etc/systemd/network"
ETH1, ETH2, LO = (f"{NETWORK}/05-meshctl-{nic}.network" for nic in ("eth1", "eth2", "lo"))
UNIT = "etc/systemd/system/meshctl-rollback.service"
WANTED = "etc/systemd/system/sysinit.target.wants/meshctl-rollback.service"

IP = r"""#!/bin/sh
echo "ip $*" >>"$LOG"
cd "$KERNEL" || exit
case "$*" in
"-o link show") cat links ;;
"-o link show dev "*) cat now 2>/dev/null || grep " $5[:@]" links ;;
"-o addr show") cat addresses ;;
"-o addr show dev "*) awk -v nic="$5" '$2 == nic' addresses ;;
"-4 route show") cat routes ;;
"-6 route show") ;;
"addr save dev "*) grep -q " $4[:@]" links && echo "saved $4" ;;
"addr restore") echo "restored $(cat)" >>"$LOG" ;;
"addr del "*) awk -v nic="$5" -v address="$3" '!($2 == nic && $4 == address)' addresses >new && mv new addresses ;;
"link set "* | "link del "* | "-4 route add "*) ;;
*) exit 1 ;;
esac
"""
SYSTEMCTL = r"""#!/bin/sh
echo "systemctl $*" >>"$LOG"
[ "$1" != show ] || cat "$KERNEL/networkd"
"""
OTHER = r"""#!/bin/sh
echo "${0##*/} $*" >>"$LOG"
"""
LINKS = """\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN
2: eth1@if9: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN
3: eth2@if8: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400 qdisc noqueue state UP
"""
ADDRESSES = """\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
3: eth2    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth2\\       valid_lft forever preferred_lft forever
"""
ROUTES = """\
default via 10.0.0.1 dev eth2 onlink linkdown
10.0.0.0/24 dev eth2 proto kernel scope link src 10.0.0.5
10.50.1.2 via 10.0.0.2 dev eth2 proto ospf metric 20
172.16.0.0/12 via 10.0.0.9 dev eth2 proto static
172.20.0.0/16 via 10.9.0.9 dev eth5 proto static
"""


@dataclass
class Root:
    """A host's file system and what its kernel is asked."""

    path: Path
    kernel: Path
    tools: Path
    log: Path

    def file(self, path: str) -> Path:
        return self.path / path.lstrip("/")

    def write(self, path: str, content: str, mode: int = 0o644) -> None:
        self.file(path).parent.mkdir(parents=True, exist_ok=True)
        self.file(path).write_text(content)
        self.file(path).chmod(mode)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The script with these arguments, as the role has it called."""
        folder = str(self.file(deadman.FOLDER))
        code = deadman._INSTALL if arguments[0] == "arm" else deadman._COMMAND
        environment = {"PATH": f"{self.tools}:{os.environ['PATH']}", "MESHCTL_ROOT": str(self.path)}
        environment |= {"LOG": str(self.log), "KERNEL": str(self.kernel)}
        self.log.write_text("")
        return subprocess.run(
            ["sh", "-c", code, folder, *arguments], input=deadman.SCRIPT.decode(), env=environment,
            capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip

    def ok(self, *arguments: str) -> list[str]:
        """Lines that the script printed."""
        done = self.call(*arguments)
        assert done.returncode == 0, done.stderr
        assert "cannot" not in done.stderr
        return done.stdout.splitlines()

    def arm(self) -> None:
        self.ok("arm", "t1", "15", ETH1, ETH2, LO, "--", "eth1", "eth2", "lo", "eth7")

    def asked(self, program: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith(f"{program} ")]

    def tree(self) -> dict[str, tuple[str, int]]:
        """Every file with content and mode."""
        return {
            str(path.relative_to(self.path)): (path.read_text(), stat.S_IMODE(path.stat().st_mode))
            for path in sorted(self.path.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = Root(tmp_path / "root", tmp_path / "kernel", tmp_path / "tools", tmp_path / "log")
    for folder in (made.path / "etc/systemd/system", made.path / "run", made.kernel, made.tools):
        folder.mkdir(parents=True)
    for name, text in (("links", LINKS), ("addresses", ADDRESSES), ("routes", ROUTES)):
        (made.kernel / name).write_text(text)
    (made.kernel / "networkd").write_text("ActiveState=active\nUnitFileState=enabled\n")
    tools = {"ip": IP, "systemctl": SYSTEMCTL} | dict.fromkeys(("networkctl", "systemd-run", "sleep", "netplan"), OTHER)
    for name, text in tools.items():
        (made.tools / name).write_text(text)
        (made.tools / name).chmod(0o755)
    made.write("/proc/sys/kernel/random/boot_id", "this-boot\n")
    made.write("/proc/sys/net/ipv4/conf/eth1/forwarding", "0\n")
    made.write(ETH2, "old eth2\n", 0o640)
    return made


def change(root: Root) -> None:
    """What links does in between: a new file, another one with other content, an address, forwarding."""
    root.write(ETH1, "[Network]\nAddress=172.31.0.253/30\n")
    root.write(ETH2, "new eth2\n", 0o640)
    root.write("/proc/sys/net/ipv4/conf/eth1/forwarding", "1\n")
    with (root.kernel / "addresses").open("a") as addresses:
        addresses.write("2: eth1    inet 172.31.0.253/30 brd 172.31.0.255 scope global eth1\\ valid_lft forever\n")


def test_armed_before_anything_changes(root: Root) -> None:
    before = root.tree()
    root.arm()
    assert {path: root.tree()[path] for path in before} == before
    [timer] = root.asked("systemd-run")
    assert "--unit=meshctl-rollback-t1 --on-active=15 " in timer
    assert timer.endswith(f"/bin/sh {root.file(deadman.FOLDER)}/deadman rollback t1")
    assert root.file(deadman.PENDING).read_text() == "t1 this-boot\n"
    assert stat.S_IMODE(root.file(deadman.FOLDER).stat().st_mode) == 0o700


def test_unit_for_the_next_boot(root: Root) -> None:
    root.arm()
    assert (root.path / WANTED).resolve() == (root.path / UNIT).resolve()
    assert stat.S_IMODE((root.path / UNIT).stat().st_mode) == 0o644
    golden = Path(__file__).parent / "golden" / "meshctl-rollback.service"
    if os.environ.get("UPDATE_GOLDEN"):
        shutil.copyfile(root.path / UNIT, golden)
    assert (root.path / UNIT).read_text() == golden.read_text()


def test_confirmed_change_stays_and_nothing_else_does(root: Root) -> None:
    change(root)
    changed = root.tree()
    root.arm()
    root.ok("confirm", "t1")
    assert root.tree() == changed
    assert not root.file("/var/lib/meshctl").exists()
    assert not (root.path / WANTED).is_symlink()
    assert root.asked("systemctl") == ["systemctl stop --no-block meshctl-rollback-*.timer"]


@pytest.mark.parametrize("word", ["t1", "now"])
def test_rolled_back_files_are_as_before(root: Root, word: str) -> None:
    before = root.tree()
    root.arm()
    change(root)
    said = root.ok("rollback", word)
    assert said == [
        f"removed {ETH1}, which had 172.31.0.253/30", f"restored {ETH2}", "took 172.31.0.253/30 from eth1",
    ]  # fmt: skip
    after = root.tree()
    assert {path: value for path, value in after.items() if not path.startswith("var/")} == before
    assert sorted(path for path in after if path.startswith("var/")) == [
        "var/lib/meshctl/rollback/deadman", "var/lib/meshctl/rollback/report",
    ]  # fmt: skip


def test_mode_alone_is_put_back(root: Root) -> None:
    root.arm()
    root.file(ETH2).chmod(0o600)
    assert root.ok("rollback", "t1") == [f"restored {ETH2}"]
    assert stat.S_IMODE(root.file(ETH2).stat().st_mode) == 0o640


def test_rolled_back_kernel_is_as_before(root: Root) -> None:
    root.arm()
    change(root)
    root.ok("rollback", "t1")
    assert (root.kernel / "addresses").read_text() == ADDRESSES
    asked = root.asked("ip")
    assert "ip link set dev eth1 down" in asked
    assert "ip link set dev eth2 mtu 1400" in asked
    assert "restored saved eth2" in root.log.read_text()
    assert {line for line in asked if "route add" in line} == {
        "ip -4 route add default via 10.0.0.1 dev eth2 onlink",
        "ip -4 route add 172.16.0.0/12 via 10.0.0.9 dev eth2 proto static",
    }
    assert not [line for line in asked if "eth7" in line]
    reload, *reconfigured = root.asked("networkctl")
    assert reload == "networkctl reload"
    assert "networkctl reconfigure eth1" in reconfigured


def test_devices_that_were_made_are_removed_and_renamed_nics_are_not(root: Root) -> None:
    root.ok("arm", "t1", "15", ETH1, "--", "br-up", "eth9", "eth2")
    root.write("/sys/class/net/br-up/uevent", "DEVTYPE=bridge\nINTERFACE=br-up\n")
    root.write("/sys/class/net/eth9/uevent", "INTERFACE=eth9\n")
    (root.kernel / "now").write_text("3: eth2@if8: <UP> mtu 1400 qdisc noqueue master br-up state UP\n")
    assert root.ok("rollback", "t1") == ["removed the device br-up"]
    asked = root.asked("ip")
    assert "ip link set dev eth2 nomaster" in asked
    assert not [line for line in asked if "eth9" in line]


def test_nic_goes_back_to_the_bond_it_was_in(root: Root) -> None:
    (root.kernel / "links").write_text(LINKS.replace("mtu 1400 qdisc noqueue", "mtu 1400 qdisc noqueue master bond7"))
    root.arm()
    (root.kernel / "now").write_text("3: eth2@if8: <UP> mtu 1400 qdisc noqueue state UP\n")
    root.ok("rollback", "t1")
    asked = root.asked("ip")
    assert asked.index("ip link set dev eth2 down") < asked.index("ip link set dev eth2 master bond7")


@pytest.mark.parametrize("word", ["t1", "boot"])
def test_netplan_makes_networkds_files_anew(root: Root, word: str) -> None:
    path = "/etc/netplan/90-meshctl.yaml"
    root.ok("arm", "t1", "15", path, "--", "eth1")
    root.write(path, "network: {}\n")
    root.write("/proc/sys/kernel/random/boot_id", "next-boot\n")
    root.ok("rollback", word)
    assert root.asked("netplan") == ["netplan generate"]
    assert not root.file(path).exists()


def test_networkd_is_left_alone_where_no_file_changed(root: Root) -> None:
    """It would give a NIC again what its unchanged file says: that was the change."""
    root.arm()
    root.ok("rollback", "t1")
    assert root.asked("networkctl") == []


def test_networkd_that_did_not_run_is_stopped_again(root: Root) -> None:
    (root.kernel / "networkd").write_text("ActiveState=inactive\nUnitFileState=disabled\n")
    root.arm()
    change(root)
    root.ok("rollback", "t1")
    assert root.asked("systemctl")[:2] == [
        "systemctl stop systemd-networkd.socket systemd-networkd.service",
        "systemctl disable systemd-networkd.service",
    ]
    assert root.asked("networkctl") == []


def test_late_timer_does_not_touch_a_confirmed_change(root: Root) -> None:
    root.arm()
    change(root)
    root.ok("confirm", "t1")
    changed = root.tree()
    assert root.call("rollback", "t1").returncode == 3
    assert root.tree() == changed


def test_late_confirmation_does_not_keep_what_was_rolled_back(root: Root) -> None:
    root.arm()
    change(root)
    root.ok("rollback", "t1")
    assert root.call("confirm", "t1").returncode == 3
    assert root.ok("rollback", "t1")[0].startswith(f"removed {ETH1}")  # says it again, does nothing
    assert root.asked("networkctl") == []


def test_timer_of_another_run_does_nothing(root: Root) -> None:
    root.arm()
    change(root)
    changed = root.tree()
    root.call("rollback", "t0")
    assert root.tree() == changed


def test_second_change_is_not_armed_over_the_first(root: Root) -> None:
    root.arm()
    change(root)
    done = root.call("arm", "t2", "15", ETH1, "--", "eth1")
    assert done.returncode == 4
    root.ok("rollback", "t1")
    assert not root.file(ETH1).exists()


def test_boot_after_a_power_loss_takes_back_the_files(root: Root) -> None:
    before = root.tree()
    root.arm()
    change(root)
    shutil.rmtree(root.path / "run")
    (root.path / "run").mkdir()
    root.write("/proc/sys/kernel/random/boot_id", "next-boot\n")
    root.ok("rollback", "boot")
    after = root.tree()
    assert {path: after.get(path) for path in (ETH2[1:], ETH1[1:])} == {ETH2[1:]: before[ETH2[1:]], ETH1[1:]: None}
    assert not root.file(deadman.PENDING).exists()
    assert not (root.path / UNIT).exists()
    assert root.asked("ip") == root.asked("networkctl") == []


def test_unit_started_in_the_same_boot_does_nothing(root: Root) -> None:
    """systemd starts what sysinit.target wants again after a daemon-reload, as packages do all the time."""
    root.arm()
    change(root)
    changed = root.tree()
    root.ok("rollback", "boot")
    assert root.tree() == changed


def test_failed_timer_leaves_nothing_armed(root: Root) -> None:
    (root.tools / "systemd-run").write_text("#!/bin/sh\nexit 1\n")
    assert root.call("arm", "t1", "15", ETH1, "--", "eth1").returncode != 0
    assert not root.file(deadman.PENDING).exists()
    assert not (root.path / WANTED).is_symlink()


def test_symbolic_link_is_put_back_as_one(root: Root) -> None:
    root.file(ETH1).symlink_to("/dev/null")
    root.arm()
    root.file(ETH1).unlink()
    root.write(ETH1, "new\n")
    root.ok("rollback", "t1")
    assert root.file(ETH1).readlink() == Path("/dev/null")


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_is_content() -> None:
    done = subprocess.run(["shellcheck", "-"], input=deadman.SCRIPT, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()
