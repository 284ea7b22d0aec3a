"""The parts of the lab that need no root."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meshctl.lab import disks, kernelnet, limits, mirror, ovsdb, snapshots, tools
from meshctl.lab.errors import LabError, LabTimeout, ToolError
from meshctl.lab.locks import held_for_life, holder, locked
from meshctl.lab.names import check_lab_name, machine_name
from meshctl.lab.proc import run, wait_until
from meshctl.lab.recipe import recipe
from meshctl.lab.shim import behind, hidden_mac
from meshctl.lab.wiring import settlement

TARGETS = """\
http://mirror/debian/|bookworm|main
http://mirror/debian/|bookworm|contrib
http://mirror/debian/|bookworm|main
http://mirror/debian/|bookworm-updates|main
http://mirror/debian/|bookworm-backports|main
http://mirror/debian-security/|bookworm-security|main
http://elsewhere/node/|nodistro|main
"""


def test_the_mirror_is_the_machines_own_for_another_release() -> None:
    lines = mirror.translate(TARGETS, "bookworm", "trixie").splitlines()
    assert [line.split("] ")[1] for line in lines] == [
        "http://mirror/debian-security/ trixie-security main",
        "http://mirror/debian/ trixie main",
        "http://mirror/debian/ trixie-updates main",
    ]


@pytest.mark.parametrize("name", ["a", "frrdev", "a-1", "0", "x" * 32])
def test_lab_names(name: str) -> None:
    assert check_lab_name(name) == name
    assert len(machine_name(name, "n" * 63)) <= 64


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a/b", "a b", "x" * 33, "a\n"])
def test_names_that_no_lab_can_have(name: str) -> None:
    with pytest.raises(LabError, match="can't be the name"):
        check_lab_name(name)


def test_recipes_are_told_apart_and_stable() -> None:
    assert recipe("full").hash == recipe("full").hash != recipe("bare").hash
    assert {"frr", "ovn-central", "ceph-mon", "incus"} <= set(recipe("full").packages)
    assert "frr" not in recipe("bare").packages
    assert "frr" in recipe("bare").offered
    with pytest.raises(LabError, match="no lab image called 'fuller'"):
        recipe("fuller")


def test_missing_tools_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LabError, match="mmdebstrap") as e:
        tools.check()
    assert e.value.advice.startswith("apt-get install -y apt-utils")


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LabError, match="needs root"):
        tools.check()


def test_a_full_machine_says_which_limit_to_raise() -> None:
    limits.check(0)
    with pytest.raises(LabError, match="100000 more hosts need 1000000 inotify instances") as e:
        limits.check(100_000)
    assert "sysctl -w fs.inotify.max_user_instances=" in e.value.advice


def test_disks_get_the_topologys_names() -> None:
    lines = disks.tmpfiles({"/dev/sdb": "/dev/loop7", "/dev/loop8": "/dev/loop8"})
    assert lines == "L+ /dev/sdb - - - - /dev/loop7\n"


def test_nics_behind_bridges_keep_within_the_kernels_length() -> None:
    assert behind("eth1") == "p-eth1"
    long = {behind("enp129s0f0np0v1"), behind("enp129s0f0np0v2")}
    assert len(long) == 2
    assert all(len(name) <= 15 for name in long)
    assert hidden_mac("02:00:00:00:00:01").startswith("06:")


UP: dict[str, Any] = {"flags": ["BROADCAST", "UP"]}
DOWN: dict[str, Any] = {"flags": ["BROADCAST"]}


@pytest.mark.parametrize(
    ("present", "commands"),
    [
        ({"cable0": UP, "h0p0": DOWN, "h1p1": DOWN}, ["link set h0p0 up", "link set h1p1 up"]),
        ({"cable0": UP, "h0p0": UP, "h1p1": UP}, []),
        ({"cable0": DOWN, "h0p0": UP, "h1p1": UP}, ["link set h0p0 down", "link set h1p1 down"]),
        ({"cable0": UP, "h0p0": UP}, ["link set h0p0 down"]),  # node2 is off: node1 sees no carrier
        ({"cable0": DOWN, "h0p0": DOWN, "h1p1": DOWN}, []),  # switching on heals nothing
    ],
)
def test_carriers_follow_cables_and_power(present: dict[str, dict[str, Any]], commands: list[str]) -> None:
    assert settlement({"cable0": ("h0p0", "h1p1")}, {"h0p0", "h1p1"}, present) == commands


async def test_a_lock_excludes_and_says_who_waits(tmp_path: Path) -> None:
    async with locked(tmp_path / "lock", "lab x", 1):
        with pytest.raises(LabTimeout, match="another meshctl to finish with lab x"):
            async with locked(tmp_path / "lock", "lab x", 0.1):
                pass


async def test_a_removed_lock_file_excludes_nobody(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    async with locked(lock, "x", 1):
        lock.unlink()
        async with locked(lock, "x", 1):
            assert lock.exists()


def test_the_kernel_names_the_holder_of_a_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert holder(lock) is None
    body = (
        f"from meshctl.lab.locks import *\nwith held_for_life({str(lock)!r}) as mine: print(mine, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", body], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "True\n"
        assert holder(lock) == child.pid
        with held_for_life(lock) as mine:
            assert not mine
        child.kill()
    assert holder(lock) is None


async def test_failing_programs_are_quoted() -> None:
    with pytest.raises(ToolError, match="`sh -c echo oops >&2; exit 3` exited with 3: oops"):
        await run(["sh", "-c", "echo oops >&2; exit 3"])
    with pytest.raises(LabError, match="not installed"):
        await run(["no-such-program"])
    with pytest.raises(LabTimeout, match=r"waited 0.1 s for `sleep 9`"):
        await run(["sleep", "9"], seconds=0.1)


async def test_waits_name_what_they_wait_for() -> None:
    async def never() -> bool:
        return False

    with pytest.raises(LabTimeout, match=r"waited 0.1 s for Godot"):
        await wait_until("Godot", 0.1, never)


def test_generic_netlink_families_are_found() -> None:
    assert kernelnet.has_generic_netlink("nlctrl")
    assert not kernelnet.has_generic_netlink("no-such-family")


async def test_the_bridges_of_open_vswitch_are_watched(tmp_path: Path) -> None:
    """Against a stand-in that sends its messages in odd pieces and asks for an echo, as ovsdb-server does."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.read(4096))
        for piece in (
            b'{"id":"echo","method":"echo","params":[]}{"id":0,"error":null,"result":',
            b'{"Bridge":{"u1":{"new":{"name":"eth1","datapath_type":"netdev"}}}}}',
            b'{"id":null,"method":"update","params":["lab",{"Bridge":{"u2":{"new":{"name":"br-x",',
            b'"datapath_type":""}},"u1":{"old":{"name":"eth1","datapath_type":"netdev"}}}}]}',
        ):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        requests.append(await reader.read(4096))
        writer.close()

    path = tmp_path / "db.sock"
    server = await asyncio.start_unix_server(serve, path)
    async with server, ovsdb.connected(path, lambda: None) as (database, listening):
        assert database.bridges == {"eth1": "netdev"}
        await asyncio.wait_for(listening, 5)
        assert database.bridges == {"br-x": ""}
    assert b'"monitor"' in requests[0]
    assert requests[1] == b'{"result": [], "error": null, "id": "echo"}'


def test_supervisors_start_without_the_topology_models() -> None:
    """Three of them start at once on two cores: pydantic alone would double their CPU time."""
    body = (
        "import sys, meshctl.lab.supervisor; print([m for m in ('pydantic', 'yaml', 'asyncssh') if m in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", body], capture_output=True, text=True, check=True, env=os.environ, timeout=60
    )
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["", "..", "+made", "a/b", "A", "a-", "x" * 65])
def test_names_that_no_snapshot_can_have(name: str) -> None:
    with pytest.raises(LabError, match="there is no lab not-there"):
        asyncio.run(snapshots.save("not-there", "made"))
    with pytest.raises(LabError, match="can't be the name of a snapshot"):
        snapshots.place_of("not-there", name)
