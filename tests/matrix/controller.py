"""`python -m tests.matrix.controller LAB TOPOLOGY LOG`: a real bootstrap that is disturbed at the first point it meets.

Standard input has the points and their moments, a JSON object. The disturbance comes from inside, out of a reader of
the run's own events: only so it strikes exactly there.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from meshctl.cli.converge import Job, run
from meshctl.cli.failures import report
from meshctl.cli.options import Options
from meshctl.events import Changed, Event, RunStarted, StepFinished
from meshctl.lab import cgroups, running
from meshctl.topology import load
from tests.matrix.points import Point, moment

SOON = 0.05
"""Seconds after a command was sent: it runs on the host by then, unless it takes less."""

STRUCK = "matrix: struck "


class Trap:
    """A reader of events that strikes once, at the first of its points that the run meets."""

    def __init__(self, armed: Mapping[str, list[Point]], strike: Callable[[Point], None]) -> None:
        self._armed = armed
        self._strike = strike
        self._struck = False

    def take(self, event: Event) -> None:
        """See the class."""
        match event:
            case RunStarted():
                self._meet("start ", "start of the run")
            case Changed(change):
                self._meet(moment(asdict(change)), f"{change.kind} {change.target}")
            case StepFinished(result) if result.state.good:
                self._meet(f"end {result.step.id}", result.step.id)

    def _meet(self, now: str, where: str) -> None:
        points = self._armed.get(now)
        if not points or self._struck:
            return
        self._struck = True
        point = points[0]
        print(f"{STRUCK}{point}\t{where[:200]}", file=sys.stderr, flush=True)
        if point.when == "during":
            asyncio.get_running_loop().call_later(SOON, self._strike, point)
        else:
            self._strike(point)


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
    lab, topology, log = sys.argv[1:]
    armed: dict[str, list[Point]] = {}
    for text, now in json.load(sys.stdin).items():
        armed.setdefault(now, []).append(Point.parse(text))

    def strike(point: Point) -> None:
        match point.kind:
            case "kill":
                kill()
            case "power":
                cut_power(lab, point.host)
            case "ssh":
                cut_ssh(lab, point.host)

    trap = Trap(armed, strike)
    try:
        options = Options(lab=lab, output="json", log_file=Path(log))
        return run(Job("bootstrap", load(Path(topology)), options, accept_new=False, watch=(trap.take,)))
    except Exception as error:  # noqa: BLE001  (as the command line does)
        return report(error, sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
