"""`python -m tests.vagrant`: the cluster in virtual machines (docs/vagrant.md). May be interrupted and goes on."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.vagrant.machines import ROOT, VAGRANT, Machines, StageError
from tests.vagrant.results import Results
from tests.vagrant.stages import STAGES

SLOW = """
# Plain emulation is some ten times slower than a CPU.
ssh: {connect_timeout: 120}
timeouts: {command: 600, gate: 1200}
"""


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.vagrant", description=__doc__)
    parser.add_argument("--minutes", type=float, default=80, help="the run's own deadline (default %(default)s)")
    parser.add_argument("--from", dest="start", choices=list(STAGES), help="this stage and all behind it once more")
    parser.add_argument("--only", nargs="+", choices=list(STAGES), help="these stages alone")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/vagrant", help="results (default %(default)s)")
    parser.add_argument("--list", action="store_true", help="print stages and results; run none")
    parser.add_argument("--destroy", action="store_true", help="remove the machines, and the results with them")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """0 when every stage that was asked for has passed."""
    given = arguments(words)
    given.folder.mkdir(parents=True, exist_ok=True)
    results = Results(given.folder / "results.jsonl")
    if given.list:
        print(results.table(list(STAGES)))
        return 0
    machines = _machines(given)
    if given.destroy:
        machines.vagrant("destroy", "--force")
        shutil.rmtree(given.folder / "state", ignore_errors=True)
        (given.folder / "results.jsonl").unlink(missing_ok=True)
        return 0
    passed = all(_run(machines, results, name) for name in _wanted(given, results))
    print(results.table(list(STAGES)))
    return 0 if passed else 1


def _wanted(given: argparse.Namespace, results: Results) -> list[str]:
    """Those asked for; else the first that has not passed, and all behind it. Machines that are off are started."""
    names = list(STAGES)
    if given.only:
        return [name for name in names if name in given.only]
    first = given.start or next((name for name in names if not results.done(name)), None)
    if first is None:
        return []
    return list(dict.fromkeys(["up", *names[names.index(first) :]]))


def _run(machines: Machines, results: Results, name: str) -> bool:
    """One stage; False when it failed. What it found is printed and kept."""
    print(f"{time.strftime('%H:%M:%S')} {name}: {STAGES[name].__doc__}", flush=True)
    begun = time.monotonic()
    try:
        found, passed = STAGES[name](machines), True
    except StageError as error:
        found, passed = str(error), False
    seconds = time.monotonic() - begun
    results.add(name, ok=passed, seconds=seconds, found=found)
    print(f"  {'passed' if passed else 'FAILED'} after {seconds:.0f} s: {found}", flush=True)
    return passed


def _machines(given: argparse.Namespace) -> Machines:
    """The machines that the Vagrantfile makes; their names come from it."""
    made = subprocess.run(["ruby", str(VAGRANT / "machines.rb")], capture_output=True, text=True, check=False)
    if made.returncode:
        raise SystemExit(f"vagrant/machines.rb: {made.stderr.strip()}")
    names = tuple(machine["name"] for machine in json.loads(made.stdout))
    return Machines(names, _topology(given.folder), given.folder, time.monotonic() + 60 * given.minutes)


def _topology(folder: Path) -> Path:
    """The triangle, unchanged where the machines have a real CPU; with longer deadlines where they are emulated."""
    triangle = ROOT / "topologies/triangle.yaml"
    flags = Path("/proc/cpuinfo").read_text()
    emulated = not (os.access("/dev/kvm", os.W_OK) and (" vmx" in flags or " svm" in flags))
    path = folder / "triangle.yaml"
    path.write_text(triangle.read_text() + (SLOW if emulated else ""))
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
