"""Labs of the tests' own: real hosts, made by the command line, taken away whatever happens."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRIANGLE = "topologies/triangle.yaml"


@dataclass(frozen=True)
class Lab:
    """One lab and the command line on it."""

    name: str
    topology: str = TRIANGLE

    def call(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """`meshctl --lab=NAME …`, whatever its exit code."""
        command = [sys.executable, "-m", "meshctl", f"--lab={self.name}", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)

    def ok(self, *arguments: str, timeout: float = 600) -> str:
        """Its standard output; fails the test when it did not exit with 0."""
        done = self.call(*arguments, timeout=timeout)
        assert done.returncode == 0, f"meshctl {' '.join(arguments)}: {done.returncode}\n{done.stderr}\n{done.stdout}"
        return done.stdout

    def report(self, *arguments: str) -> dict[str, Any]:
        """The JSON object of a command that must succeed."""
        report: dict[str, Any] = json.loads(self.ok("--output", "json", *arguments))
        return report

    def bootstrap(self) -> dict[str, Any]:
        """Bootstrap this lab's hosts."""
        return self.report("bootstrap", self.topology, "--yes")

    def ssh(self, node: str, *command: str) -> str:
        """What a command on a host prints; fails the test when it fails."""
        return self.ok("lab", "ssh", self.topology, node, *command)

    def feed(self, node: str, command: str, content: str | bytes) -> str:
        """What a command on a host prints that reads this; a secret's way there."""
        given = content.encode() if isinstance(content, str) else content
        argv = [sys.executable, "-m", "meshctl", f"--lab={self.name}", "lab", "ssh", self.topology, node, command]
        done = subprocess.run(argv, cwd=ROOT, input=given, capture_output=True, timeout=600, check=False)
        assert done.returncode == 0, f"{node}: {command}\n{done.stderr.decode(errors='replace')}"
        return done.stdout.decode()


def running_lab(name: str, *options: str, topology: str = TRIANGLE) -> Iterator[Lab]:
    """A fresh lab, gone afterwards."""
    lab = Lab(name, topology)
    lab.ok("lab", "down", lab.topology)
    try:
        lab.ok("lab", "up", lab.topology, *options, timeout=900)
        yield lab
    finally:
        lab.ok("lab", "down", lab.topology)


@pytest.fixture(scope="session")
def empty_lab() -> Iterator[Lab]:
    """Three booted hosts with every package and no configuration."""
    yield from running_lab(f"t{os.getpid()}")


@pytest.fixture(scope="session")
def first_run(empty_lab: Lab) -> dict[str, Any]:
    """The report of the bootstrap that made the cluster."""
    return empty_lab.bootstrap()


@pytest.fixture(scope="session")
def cluster(empty_lab: Lab, first_run: dict[str, Any]) -> Lab:
    """A bootstrapped cluster."""
    assert first_run["ok"]
    return empty_lab
