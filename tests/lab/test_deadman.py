"""No change of the network locks anybody out: of hosts that lose their way to us, and of hosts that lose power."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshctl.lab.names import paths
from tests.lab.conftest import ROOT, TRIANGLE, Lab, running_lab

pytestmark = pytest.mark.lab

DEADLINE = 15
OURS = "/etc/systemd/network/05-meshctl-{}.network"
FILES = "cat /etc/systemd/network/*; ls -l /etc/systemd/network; ip -4 -o addr show | awk '{ print $2, $4 }'"
KERNEL = "ip -o link show | awk '{ print $2, $3, $5 }'; sysctl -a --pattern 'eth[12]/(forwarding|rp_filter)'"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    yield from running_lab(f"dead-{os.getpid()}")


@pytest.fixture(scope="module")
def breaking(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A cable with a prefix that covers the controller's address (172.31.0.254), which node2 gets for its own.

    Nothing in the topology tells that, so lint has nothing to complain about.
    """
    before = Path(ROOT, TRIANGLE).read_text()
    cable = '  - {cable: "node1:eth1 <-> node2:eth2", prefix: 172.31.0.252/30}'
    text = before.replace("  - node1:eth1 <-> node2:eth2", cable)
    assert text != before
    path = tmp_path_factory.mktemp("topology") / "breaking.yaml"
    path.write_text(text)
    return str(path)


def state(lab: Lab, node: str) -> str:
    """Files with mode and time, addresses, flags and MTU, forwarding."""
    return lab.ssh(node, f"{FILES}; {KERNEL}")


def test_bare_host_that_is_cut_off_comes_back_as_it_was(lab: Lab, breaking: str) -> None:
    lab.ok("validate", breaking)
    lab.ok("bootstrap", lab.topology, "--only", "wiring", "--yes")  # leaves the NICs up that were down before
    before = state(lab, "node2")
    done = lab.call("bootstrap", breaking, "--yes")
    assert done.returncode == 4
    check_message(done.stderr + done.stdout, f"removed {OURS.format('eth2')}, which had 172.31.0.254/30")
    assert state(lab, "node2") == before
    assert lab.ssh("node2", "systemctl list-timers 'meshctl*' --no-legend") == ""

    assert DEADLINE <= seconds_until_rolled_back(lab, "node2") < DEADLINE + 6


def seconds_until_rolled_back(lab: Lab, node: str) -> float:
    """By the host's own journal: from the timer's start until all is back."""
    lines = lab.ssh(node, "journalctl -b -o short-unix -u 'meshctl-rollback-*'").splitlines()
    began = next(line for line in lines if "Started meshctl-rollback" in line and ".timer" in line)
    ended = next(line for line in lines if ".service: Deactivated successfully" in line)
    return float(ended.split()[0]) - float(began.split()[0])


def check_message(said: str, line: str) -> None:
    assert re.search(r"links@node2: the change of the network was rolled back", said), said
    assert line in said
    assert "node2 answers again, configured as before" in said
    assert "Works: preflight" in said
    assert "To go on, after mending it:" in said


def test_power_loss_before_the_confirmation(lab: Lab) -> None:
    """The controller is killed as soon as the new files are there, and node2 loses power at the same time."""
    before = lab.ssh("node2", FILES)
    disk = paths(lab.name).host("node2").upper
    pending, new = (Path(disk, path) for path in ("var/lib/meshctl/rollback/pending", OURS.format("eth1")[1:]))
    command = [sys.executable, "-m", "meshctl", f"--lab={lab.name}", "bootstrap", lab.topology, "--yes"]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (pending.exists() and new.exists()):
        assert run.poll() is None
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    lab.ok("lab", "power-off", lab.topology, "node2")
    run.wait()
    assert pending.exists()
    assert new.exists()
    lab.ok("lab", "power-on", lab.topology, "node2")
    assert lab.ssh("node2", FILES) == before
    assert not pending.exists()
    assert "removed " + OURS.format("eth1") in lab.ssh("node2", "cat /var/lib/meshctl/rollback/report")


def test_good_run_leaves_nothing_behind_and_a_second_arms_nothing(lab: Lab) -> None:
    """Right after a killed run, whose unconfirmed changes elsewhere it has to take back first."""
    assert lab.bootstrap()["ok"]
    for node in ("node1", "node2", "node3"):
        assert lab.ssh(node, "ls -d /var/lib/meshctl /run/meshctl-rollback 2>/dev/null; :") == ""
        assert "meshctl-rollback" not in lab.ssh(node, "systemctl list-units --all --no-legend")
        assert "meshctl-rollback" not in lab.ssh(node, "find /etc/systemd")
    armed = armings(lab)
    assert lab.bootstrap()["changed"] == 0
    assert armings(lab) == armed


def armings(lab: Lab) -> list[str]:
    """How often each host's journal tells of a timer."""
    script = "journalctl -b -o cat -g 'Started meshctl-rollback.*timer' | wc -l"
    return [lab.ssh(node, script).strip() for node in ("node1", "node2", "node3")]


def test_working_host_that_is_cut_off_comes_back_as_it_was(lab: Lab, breaking: str) -> None:
    before = state(lab, "node2")
    done = lab.call("bootstrap", breaking, "--yes")
    assert done.returncode == 4
    check_message(done.stderr + done.stdout, f"restored {OURS.format('eth2')}, which had 172.31.0.254/30")
    assert state(lab, "node2") == before
    assert lab.bootstrap()["ok"]  # with the right topology again
