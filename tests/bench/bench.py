"""Prints the figures of docs/benchmarks.md as a Markdown table: `make bench`, as root.

Uses a lab of its own, from booted, empty hosts to power loss, through the command line alone.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TOPOLOGY = "topologies/triangle.yaml"
LAB = "bench"
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
DEADLINE = 600.0


def meshctl(*arguments: str, check: bool = True) -> dict[str, Any]:
    """One call of the command line in the bench's lab, its JSON report with the whole process's wall seconds."""
    command = [sys.executable, "-m", "meshctl", f"--lab={LAB}", "--output", "json", *arguments]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False)
    if check and done.returncode:
        sys.exit(f"{' '.join(command)} exited with {done.returncode}:\n{done.stderr}\n{done.stdout}")
    report: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
    return report | {"process_s": time.monotonic() - began, "exit": done.returncode}


@contextlib.contextmanager
def lab() -> Iterator[float]:
    """A fresh lab; yields the seconds it took to boot."""
    meshctl("lab", "down", TOPOLOGY)
    began = time.monotonic()
    meshctl("lab", "up", TOPOLOGY)
    try:
        yield time.monotonic() - began
    finally:
        meshctl("lab", "down", TOPOLOGY)


def help_cpu_ms() -> float:
    """User and system time of `meshctl --help`, median of nine runs, milliseconds."""
    samples = []
    for _ in range(9):
        before = os.times()
        subprocess.run([sys.executable, "-m", "meshctl", "--help"], cwd=ROOT, capture_output=True, check=True)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        samples.append(1000 * spent)
    return statistics.median(samples)


def power_loss() -> float:
    """Cut the power of all hosts at once, switch it on again: seconds until every gate passes."""
    nodes = ("node1", "node2", "node3")
    for node in nodes:
        meshctl("lab", "power-off", TOPOLOGY, node)
    began = time.monotonic()
    for node in nodes:
        meshctl("lab", "power-on", TOPOLOGY, node)
    while time.monotonic() - began < DEADLINE:
        if meshctl("verify", TOPOLOGY, check=False)["exit"] == 0:
            return time.monotonic() - began
    sys.exit("not healthy again after a power loss")


def once() -> dict[str, float]:
    """All figures of one lab, and the critical path on standard error."""
    with lab() as boot:
        first = meshctl("bootstrap", TOPOLOGY, "--yes")
        print(" → ".join(first["critical_path"]), file=sys.stderr)
        second = meshctl("bootstrap", TOPOLOGY, "--yes")
        recovery = power_loss()
    return {
        "lab up, three hosts with sshd (s)": boot,
        "bootstrap, empty hosts to smoke test (s)": first["process_s"],
        "bootstrap, controller CPU (s)": first["controller"]["cpu_s"],
        "bootstrap, controller memory (MB)": first["controller"]["max_rss_mb"],
        "second bootstrap (s)": second["process_s"],
        "second bootstrap, changes": second["changed"],
        "power loss of all three, on again to every gate passed (s)": recovery,
    }


def main() -> None:
    """Print the table."""
    samples = [once() for _ in range(RUNS)]
    print(f"| figure | median of {RUNS} | min | max |\n|---|---|---|---|")
    for name in samples[0]:
        values = [sample[name] for sample in samples]
        print(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")
    print(f"| `meshctl --help`, CPU (ms) | {help_cpu_ms():.0f} | | |")


if __name__ == "__main__":
    main()
