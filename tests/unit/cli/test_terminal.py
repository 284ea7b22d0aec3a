"""What happens on a terminal: a pseudo-terminal stands in for the operator's."""

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.unit.cli.recorded import UNREACHABLE

ROOT = Path(__file__).parents[3]


PROGRAM = ("-m", "meshctl", "--state-dir", "state")


def on_terminal(words: list[str], answer: str, cwd: Path, program: tuple[str, ...] = PROGRAM) -> tuple[int, str]:
    """Exit code and everything shown, when the operator types `answer`."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, *program, *words]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment) as process:
        os.close(theirs)
        os.write(ours, answer.encode())
        guard = threading.Timer(120, process.kill)
        guard.start()
        shown = b"".join(iter(lambda: _read(ours), b""))
        guard.cancel()
        code = process.wait(timeout=60)
    os.close(ours)
    return code, shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # EIO: the other end is closed
        return b""


@pytest.fixture
def topology(tmp_path: Path) -> str:
    (tmp_path / "t.yaml").write_text(UNREACHABLE)
    return "t.yaml"


ASKING = """
import asyncio, sys
from pathlib import Path
from meshctl.cli import failures
from meshctl.cli.consent import agree
from meshctl.cli.options import Options
from meshctl.topology import load
from tests.unit.cli.test_plan import PREVIEW

try:
    asyncio.run(agree(Options(), load(Path("t.yaml")), PREVIEW, "meshctl plan t.yaml"))
except BaseException as error:
    sys.exit(failures.report(error, sys.stderr))
print("agreed")
"""


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        ("n\n", 1, "nothing was changed: you did not agree"),
        ("\n", 1, "nothing was changed: you did not agree"),
        ("y\n", 0, "agreed"),
        ("\x04", 130, "interrupted"),
    ],
)
def test_bootstrap_shows_what_would_change_and_asks(
    tmp_path: Path, topology: str, typed: str, code: int, says: str
) -> None:
    assert topology
    ended, shown = on_terminal(["-c", ASKING], typed, tmp_path, program=())
    assert "What would change:" in shown
    assert "Bootstrap cluster unreachable on real hosts node1 (127.0.0.11)? [y/N]" in shown
    assert says in shown
    assert "Traceback" not in shown
    assert ended == code


def test_before_there_is_a_plan_to_show_it_connects(tmp_path: Path, topology: str) -> None:
    code, shown = on_terminal(["bootstrap", topology], "y\n", tmp_path)
    assert "connecting to 1 host\r\n" in shown
    assert "node1: port 1 of 127.0.0.11 is closed" in shown
    assert "[y/N]" not in shown
    assert code == 1


def test_colours_only_where_they_are_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[31m" in on_terminal(["nonsense"], "", tmp_path)[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in on_terminal(["nonsense"], "", tmp_path)[1]
