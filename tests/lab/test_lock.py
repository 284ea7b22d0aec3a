"""Two operators on one cluster: real processes that race, die and stop."""

import json
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.lab.conftest import ROOT, Lab

pytestmark = pytest.mark.lab

DRIFT = "! drift"
CONF = "/etc/frr/frr.conf"


class Run:
    """A bootstrap in a process of its own; its progress goes to a pipe."""

    def __init__(self, lab: Lab) -> None:
        command = [sys.executable, "-m", "meshctl", f"--lab={lab.name}", "bootstrap", lab.topology, "--yes"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, bufsize=1
        )

    def until_says(self, words: str, seconds: float = 60) -> None:
        assert self.process.stderr
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stderr, selectors.EVENT_READ)
            while selector.select(max(0, deadline - time.monotonic())):
                line = self.process.stderr.readline()
                if words in line:
                    return
                assert line, f"it ended without saying {words!r}"
        pytest.fail(f"it did not say {words!r} within {seconds} s")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = 120) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=seconds)
        return self.process.returncode, said


@contextmanager
def bootstrap(lab: Lab) -> Iterator[Run]:
    run = Run(lab)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.communicate()


def locks(lab: Lab) -> list[dict[str, Any]]:
    """Who holds which host; looking breaks nothing."""
    found: dict[str, Any] = json.loads(lab.call("-o", "json", "unlock", lab.topology).stdout)
    return list(found["locks"])


def until_free(lab: Lab, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while held := locks(lab):
        assert time.monotonic() < deadline, held
        time.sleep(0.5)


def test_of_two_at_once_one_is_refused(cluster: Lab) -> None:
    drift(cluster)
    with bootstrap(cluster) as one, bootstrap(cluster) as other:
        ends = sorted((one.end(), other.end()))
    assert [code for code, _ in ends] == [0, 5], ends
    assert "error: node1: locked by " in ends[1][1]
    assert locks(cluster) == []


def test_looking_goes_on_meanwhile(cluster: Lab) -> None:
    drift(cluster)
    with bootstrap(cluster) as run:
        run.until_says("preflight")
        held = locks(cluster)
        # It looks, whatever it sees: the smoke test counts for nothing while the run repeats it.
        assert cluster.call("verify", cluster.topology).returncode in {0, 4}
        assert cluster.call("plan", cluster.topology).returncode in {0, 2}
        assert run.end()[0] == 0
    assert [lock["host"] for lock in held] in (["node1", "node2", "node3"], [])  # the run may have been faster


def test_a_run_with_nothing_to_do_needs_no_lock(cluster: Lab) -> None:
    assert cluster.bootstrap()["ok"]
    drift(cluster)
    with bootstrap(cluster) as run:
        run.until_says("preflight")
        run.signal(signal.SIGSTOP)
        assert cluster.call("bootstrap", cluster.topology, "--yes").returncode == 5
        cluster.ssh("node1", "sed", "-i", f"'/{DRIFT}/d'", CONF)
        assert cluster.bootstrap()["changed"] == 0


def test_a_killed_run_holds_up_nobody(cluster: Lab) -> None:
    drift(cluster)
    with bootstrap(cluster) as run:
        run.until_says("preflight")
        run.signal(signal.SIGKILL)
        with bootstrap(cluster) as after:
            code, said = after.end()
    assert code == 0, said


@pytest.mark.parametrize("how", ["the lease expires", "unlock"])
def test_a_stopped_run_changes_nothing_when_it_goes_on(cluster: Lab, how: str) -> None:
    drift(cluster)
    with bootstrap(cluster) as run:
        run.until_says("preflight")
        run.signal(signal.SIGSTOP)
        if how == "unlock":
            report = cluster.report("unlock", cluster.topology, "--yes", "triangle")
            assert {lock["host"]: lock["broken"] for lock in report["locks"]} == dict.fromkeys(HOSTS, True)
        else:
            assert cluster.call("unlock", cluster.topology).returncode == 1  # somebody has it, and nobody said yes
        until_free(cluster, 30)
        assert drifted(cluster), "the run had passed FRR before it was stopped"
        run.signal(signal.SIGCONT)
        code, said = run.end()
    assert code == 5, said
    assert drifted(cluster)
    assert cluster.bootstrap()["ok"]
    assert not drifted(cluster)


HOSTS = ("node1", "node2", "node3")


def drift(lab: Lab) -> None:
    """Give the next run something to change: a run that finds nothing to do takes no lock."""
    lab.ssh("node1", "sh", "-c", f"'echo \"{DRIFT}\" >>{CONF}'")


def drifted(lab: Lab) -> bool:
    return DRIFT in lab.ssh("node1", "cat", CONF)
