"""The lock's scripts in the shells that /bin/sh may be; what needs a connection is in tests/ssh/test_lock.py."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from meshctl.host import lockscripts
from meshctl.host.holder import Holder
from meshctl.host.quoting import ENVIRONMENT, SUDO, join, one_line

ANNA = Holder("anna", "laptop7", "2026-11-20 11:40:51 UTC", "20261120T114051Z-bootstrap", "4711")
SHELLS = [
    pytest.param(words, marks=pytest.mark.skipif(not shutil.which(words[0]), reason="not installed"), id=words[-1])
    for words in (["dash"], ["bash", "--posix"], ["busybox", "sh"])
]


def through(shell: list[str], argv: list[str] | tuple[str, ...]) -> list[str]:
    """The command with another shell in the place of `sh`."""
    assert argv[0] == "sh"
    return [*shell, *argv[1:]]


@contextmanager
def holding(shell: list[str], folder: str, epoch: str) -> Iterator[subprocess.Popen[str]]:
    argv = through(shell, lockscripts.hold(folder, epoch, 30, ANNA))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == "meshctl-lock held\n"
        yield process
        process.stdin.close()
        assert process.wait(10) == 0


def call(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_locks_refuses_shows_and_breaks(shell: list[str], tmp_path: Path) -> None:
    folder = str(tmp_path / "a lock")
    guarded = [*through(shell, lockscripts.guard(folder, "e1")), "printf", "<%s>", "a b", "c\n"]
    with holding(shell, folder, "e1") as holder:
        assert holder.stdin
        assert holder.stdout
        holder.stdin.write("1 2 ")
        holder.stdin.flush()
        assert holder.stdout.readline() in {"meshctl-lock beat 1 2 \n", "meshctl-lock beat 1 2\n"}
        busy = call(through(shell, lockscripts.hold(folder, "e2", 30, ANNA)))
        assert busy.stdout == f"meshctl-lock busy {ANNA.encode()}\n"
        assert call(guarded).stdout == "<a b><c\n>"
        assert call(through(shell, lockscripts.show(folder))).stdout == f"e1\n{ANNA.encode()}\n"
        assert call(through(shell, lockscripts.break_off(folder, "e0"))).returncode == lockscripts.CHANGED
    assert call(through(shell, lockscripts.show(folder))).stdout == ""
    refused = call(guarded)
    assert (refused.returncode, refused.stdout) == (lockscripts.LOST, "")
    assert lockscripts.lost(refused.returncode, refused.stderr.encode()) == ""
    with holding(shell, folder, "e3"):
        refused = call(guarded)
        assert lockscripts.lost(refused.returncode, refused.stderr.encode()) == ANNA


@pytest.mark.parametrize("shell", SHELLS)
def test_a_killed_holder_is_recognised(shell: list[str], tmp_path: Path) -> None:
    """Its file stays, and its number may belong to another process one day: that one began at another time."""
    folder = str(tmp_path / "lock")
    argv = through(shell, lockscripts.hold(folder, "e1", 30, ANNA))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()
        process.wait(10)
        with holding(shell, folder, "e2"):  # although the reader of its heartbeat still waits
            pass
    argv[argv.index("e1")] = "e3"
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()
    assert Path(folder, "holder").exists()
    assert call(through(shell, lockscripts.show(folder))).stdout == ""
    Path(folder, "holder").write_text(f"e1 1 99999\n{ANNA.encode()}\n")  # number 1 lives, but began earlier or later
    assert call(through(shell, lockscripts.show(folder))).stdout == ""
    assert call([*through(shell, lockscripts.guard(folder, "e1")), "true"]).returncode == lockscripts.LOST
    with holding(shell, folder, "e2"):
        pass


def test_a_folder_without_a_lock_lets_nothing_through(tmp_path: Path) -> None:
    done = call([*lockscripts.guard(str(tmp_path / "none"), "e1"), "touch", str(tmp_path / "mark")])
    assert lockscripts.lost(done.returncode, done.stderr.encode()) == ""
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("status", "stderr"), [(0, b""), (75, b"mktemp failed\n"), (1, b"meshctl-lock lost \n"), (75, b"")]
)
def test_a_commands_own_failure_is_no_lost_lock(status: int, stderr: bytes) -> None:
    assert lockscripts.lost(status, stderr) is None


def test_the_guard_stands_behind_sudo_and_before_the_deadline() -> None:
    line = one_line(["true"], 5, sudo=True, before=lockscripts.guard("/run/meshctl", "e1")).decode()
    assert f"exec {join((*SUDO, 'env', *ENVIRONMENT, *lockscripts.guard('/run/meshctl', 'e1')))} timeout -k 5" in line


def test_a_change_is_told_apart_from_one_that_has_ended(tmp_path: Path) -> None:
    """It is in the folder under its own number and start, without a process beside it, and named by its words."""
    folder = tmp_path / "lock"
    with holding(["sh"], str(folder), "e1"):
        argv = [*lockscripts.guard(str(folder), "e1"), "timeout", "-k", "5", "60.000", "cat", "-"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as change:
            assert change.stdin
            assert change.stdout
            change.stdin.write("it runs\n")
            change.stdout.readline()
            assert [file.name.split(".")[0] for file in (folder / "changes").iterdir()] == [str(change.pid)]
            script = f"d={folder}\n{lockscripts._ALIVE}{lockscripts._CHANGING}changing && words"
            assert call(["sh", "-c", script]).stdout == "cat - \n"
            change.stdin.close()
        assert call(["sh", "-c", script]).returncode == 1
        assert list((folder / "changes").iterdir()) == []


def test_holders_survive_the_way_and_reach_no_terminal_raw() -> None:
    assert Holder.decode(ANNA.encode()) == ANNA
    odd = Holder('a"\\\n\x1b[31m\u202e', "ü", "", "r", "1")
    assert "\n" not in odd.encode()
    assert odd.encode().isascii()
    assert Holder.decode(odd.encode()) == Holder('a"\\??[31m?', "ü", "unknown", "r", "1")
    for garbled in ("", "[]", "{", '{"who": 7}', "null"):
        assert str(Holder.decode(garbled)).startswith("unknown on unknown since unknown")
    assert Holder.here("r").process.isdigit()
