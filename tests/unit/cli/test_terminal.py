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


def on_terminal(words: list[str], answer: str, cwd: Path) -> tuple[int, str]:
    """Exit code and everything shown, when the operator types `answer`."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "meshctl", "--state-dir", str(cwd / "state"), *words]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment) as process:
        os.close(theirs)
        os.write(ours, answer.encode())
        guard = threading.Timer(30, process.kill)
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


def test_bootstrap_asks_naming_cluster_and_hosts(tmp_path: Path, topology: str) -> None:
    code, shown = on_terminal(["bootstrap", topology], "n\n", tmp_path)
    assert "Bootstrap cluster unreachable on real hosts node1 (127.0.0.11)? [y/N]" in shown
    assert "nothing was changed" in shown
    assert "connecting" not in shown
    assert code == 1


def test_after_yes_it_connects(tmp_path: Path, topology: str) -> None:
    code, shown = on_terminal(["bootstrap", topology], "y\n", tmp_path)
    assert "connecting to 1 host\r\n" in shown
    assert "node1: port 1 of 127.0.0.11 is closed" in shown
    assert code == 1


def test_giving_up_at_the_question_is_an_interruption(tmp_path: Path, topology: str) -> None:
    code, shown = on_terminal(["bootstrap", topology], "\x04", tmp_path)
    assert "interrupted" in shown
    assert "Traceback" not in shown
    assert code == 130


def test_colours_only_where_they_are_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[31m" in on_terminal(["nonsense"], "", tmp_path)[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in on_terminal(["nonsense"], "", tmp_path)[1]
