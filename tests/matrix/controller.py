"""`python -m tests.matrix.controller LAB TOPOLOGY LOG POINT`: a real bootstrap that is disturbed at one point.

The disturbance comes from inside, out of a reader of the run's own events: only so it strikes exactly there.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from meshctl.cli.converge import Job, run
from meshctl.cli.failures import report
from meshctl.cli.options import Options
from meshctl.events import Changed, Event, RunStarted, StepFinished
from meshctl.lab import cgroups, running
from meshctl.topology import load
from tests.matrix.points import Point

SOON = 0.05
"""Seconds after a command was sent: it runs on the host by then, unless it takes less."""

STRUCK = "matrix: struck "


class Trap:
    """A reader of events that strikes once: at its point, and at the end of the step if that came without it."""

    def __init__(self, point: Point, strike: Callable[[], None]) -> None:
        self._point = point
        self._strike = strike
        self._seen = 0
        self._struck = False

    def take(self, event: Event) -> None:
        """See the class."""
        match event:
            case RunStarted() if self._point.when == "start":
                self._spring("at the start of the run")
            case Changed(change) if self._point.step in {"*", change.step} and self._point.host in {"", change.host}:
                self._seen += 1
                if self._seen == self._point.number:
                    self._at(f"{change.kind} {change.target}")
            case StepFinished(result) if result.step.id == self._point.step:
                self._spring(f"at the end of {result.step.id}, {result.state}")

    def _at(self, change: str) -> None:
        if self._point.when == "before":
            self._spring(f"before {change}")
        else:
            asyncio.get_running_loop().call_later(SOON, self._spring, f"during {change}")

    def _spring(self, where: str) -> None:
        if not self._struck:
            self._struck = True
            print(f"{STRUCK}{where[:200]}", file=sys.stderr, flush=True)
            self._strike()


def kill() -> None:
    """End this process without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def cut_power(lab: str, node: str) -> None:
    """Switch the host off, in a thread: the run goes on meanwhile, as it would."""
    threading.Thread(target=lambda: asyncio.run(running.power_off(lab, node))).start()


def cut_ssh(lab: str, node: str) -> None:
    """End the server's side of every SSH connection to the host; what runs in them goes on without."""
    for pid in cgroups.processes(cgroups.host_cgroup(lab, node)):
        if _name(pid) == "sshd-session":
            os.kill(pid, signal.SIGKILL)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # it has just ended
        return ""


def main() -> int:
    """The exit code of the bootstrap, if it gets that far."""
    lab, topology, log, text = sys.argv[1:]
    point = Point.parse(text)
    strikes = {"kill": kill, "power": lambda: cut_power(lab, point.host), "ssh": lambda: cut_ssh(lab, point.host)}
    trap = Trap(point, strikes[point.kind])
    try:
        options = Options(lab=lab, output="json", log_file=Path(log))
        return run(Job("bootstrap", load(Path(topology)), options, accept_new=False, watch=(trap.take,)))
    except Exception as error:  # noqa: BLE001  (as the command line does)
        return report(error, sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
