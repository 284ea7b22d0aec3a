"""One lab where bootstraps are disturbed: hosts without anything, again and again, and how an undisturbed run ends."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshctl.errors import MeshctlError
from meshctl.lab import running, snapshots
from meshctl.lab.names import paths
from meshctl.topology import load
from tests.matrix.controller import STRUCK
from tests.matrix.endstate import EndState, collect, difference
from tests.matrix.points import Journal, Point

ROOT = Path(__file__).resolve().parents[2]
EMPTY = "matrix-empty"

_RUN_SECONDS = 900
_SAME_SECONDS = 60
_START_SECONDS = 900
_AGAIN_SECONDS = 5
_ATTEMPTS = 3
_SLOW = ("the SSH connection was lost", "did not finish within", "the SSH connection has ended")


@dataclass(frozen=True)
class Ended:
    """A bootstrap that is over, one way or another."""

    code: int
    report: dict[str, Any]
    said: str

    @property
    def struck(self) -> tuple[str, str] | None:
        """Which point was met, and where that was; None if none was."""
        lines = (line[len(STRUCK) :] for line in self.said.splitlines() if line.startswith(STRUCK))
        point, _, where = next(lines, "").partition("\t")
        return (point, where) if point else None

    @property
    def too_slow(self) -> bool:
        """Whether it failed because a host did not answer in time."""
        told = self.said + str(self.report.get("problems"))
        return self.code != 0 and any(words in told for words in _SLOW)


@dataclass
class Arena:
    """The lab `name` with a snapshot of its empty hosts, and what an undisturbed bootstrap of them did and left."""

    name: str
    topology: Path
    folder: Path
    journal: Journal = field(init=False)
    wanted: EndState = field(init=False)
    runs: int = 0
    """Undisturbed bootstraps so far."""

    def open(self) -> None:
        """Boot the lab and record the undisturbed run, unless an earlier call left both."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._patiently(running.up, load(self.topology), name=self.name)
        if EMPTY not in snapshots.names(self.name):
            self._patiently(snapshots.save, self.name, EMPTY)
        log, state = self.folder / "undisturbed.jsonl", self.folder / "undisturbed.json"
        if not state.exists():
            log.unlink(missing_ok=True)
            self.reset()
            done = self.bootstrap(log)
            if done.code:
                raise RuntimeError(f"the undisturbed run failed:\n{done.said}")
            if faults := self.check_again():
                raise RuntimeError("\n".join(faults))
            state.write_text(json.dumps(collect(self.name), indent=0))
        self.journal = Journal.read(log)
        self.wanted = json.loads(state.read_text())

    def close(self) -> None:
        """Take the lab down."""
        asyncio.run(running.down(self.name))

    def reset(self) -> None:
        """Empty hosts, all on."""
        self._patiently(snapshots.load, self.name, EMPTY)
        for log in (paths(self.name).state / "runs").glob("*"):
            log.unlink()

    def power_on(self, node: str) -> None:
        """Switch a host on again."""
        self._patiently(running.power_on, self.name, node)

    def bootstrap(self, log: Path | None = None) -> Ended:
        """The command as an operator gives it."""
        more = [f"--log-file={log}"] if log else []
        words = ["meshctl", "-o", "json", f"--lab={self.name}", *more, "bootstrap", str(self.topology), "--yes"]
        return self._run(words)

    def disturbed(self, points: Sequence[Point]) -> Ended:
        """The same, until it meets one of the points and ends in whatever way; again if hosts were too slow."""
        log = self.folder / "disturbed.jsonl"
        armed = json.dumps({str(point): self.journal.moment(point) for point in points})
        for _attempt in range(_ATTEMPTS):
            log.unlink(missing_ok=True)
            done = self._run(["tests.matrix.controller", self.name, str(self.topology), str(log)], armed)
            if done.struck or not done.too_slow:
                break
        return done

    def check_again(self) -> list[str]:
        """A run on a cluster where all is in place finds nothing to do; or what is wrong."""
        done = self.patient_bootstrap()
        if done.code:
            return [f"a further run ended with {done.code}: {done.said[-2000:]}"]
        return [f"a further run changed something: {step}" for step in done.report["steps"] if step["changed"]]

    def patient_bootstrap(self) -> Ended:
        """Beside a full machine hosts may not answer in time, which is not what is tested here: up to three runs."""
        for _attempt in range(_ATTEMPTS):
            done = self.bootstrap()
            self.runs += 1
            if done.code == 0 or not done.too_slow:
                break
        return done

    def wait_until_same(self) -> list[str]:
        """How the end state differs from the undisturbed run's; daemons have a while to agree."""
        ends = time.monotonic() + _SAME_SECONDS
        while True:
            found = difference(self.wanted, collect(self.name))
            if not found or time.monotonic() > ends:
                return found

    def _run(self, module: list[str], stdin: str = "") -> Ended:
        argv = [sys.executable, "-m", *module]
        done = subprocess.run(
            argv, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=_RUN_SECONDS, check=False
        )
        report = json.loads(done.stdout) if done.stdout.startswith("{") else {}
        return Ended(done.returncode, report, done.stderr)

    def _patiently(self, do: Any, *arguments: Any, **named: Any) -> None:
        """Labs of others may take what all share (`meshctl.lab.limits`): hosts wait for their turn to start."""
        ends = time.monotonic() + _START_SECONDS
        while True:
            try:
                asyncio.run(do(*arguments, **named))
            except MeshctlError as error:
                if "inotify" not in str(error) or time.monotonic() > ends:
                    raise
                time.sleep(_AGAIN_SECONDS)
            else:
                return
