"""What the tests of failures share: scripts on hosts, roles on real hosts, and runs that must fail."""

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from meshctl.cli.options import Options
from meshctl.cli.reach import connected
from meshctl.cluster import Cluster
from meshctl.lab.login import ssh_argv
from meshctl.topology import load
from tests.lab.conftest import ROOT, Lab

NODES = ("node1", "node2", "node3")
T = TypeVar("T")


def on(lab: Lab, node: str, script: str) -> str:
    """What a script prints on a host, by plain ssh, which costs a tenth of `lab ssh`."""
    done = subprocess.run(ssh_argv(lab.name, node, [script]), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{node}: {script}\n{done.stdout}{done.stderr}"
    return done.stdout


def inside(lab: Lab, work: Callable[[Cluster], Awaitable[T]]) -> T:
    """Let roles work on a lab's hosts without the rest of a run."""

    async def connect() -> T:
        topology = load(ROOT / lab.topology)
        options = Options(lab=lab.name)
        state = options.state(topology)
        async with connected(topology, options, state, accept_new=False) as hosts:
            return await work(Cluster(topology, hosts, state))

    return asyncio.run(connect())


@dataclass(frozen=True)
class Failed:
    """A bootstrap that could not be finished: a line for each problem, and the state of each step."""

    said: str
    states: dict[str, str]

    def done(self, *gates: str) -> bool:
        return all(self.states[f"{gate}.verify"] == "ok" for gate in gates)


def failing(lab: Lab) -> Failed:
    """A bootstrap that ends with exit code 4."""
    done = lab.call("--output", "json", "bootstrap", lab.topology, "--yes", timeout=1200)
    assert done.returncode == 4, done.stdout + done.stderr
    report = json.loads(done.stdout)
    said = [
        f"{p['step']} on {p['host']}: {p['what']}; {p['seen']}; {p['command']}; {p['advice']}".replace("\n", " / ")
        for p in report["problems"]
    ]
    return Failed("\n".join(said), {step["id"]: step["state"] for step in report["steps"]})


@contextmanager
def stopped(lab: Lab, nodes: tuple[str, ...], daemon: str) -> Iterator[None]:
    """A daemon that neither answers nor goes away."""
    for node in nodes:
        on(lab, node, f"kill -STOP $(pidof {daemon})")
    try:
        yield
    finally:
        for node in nodes:
            on(lab, node, f"kill -CONT $(pidof {daemon})")
