"""From hosts that have nothing but sshd: the packages are installed for real, from a repository inside the lab."""

import os
from collections.abc import Iterator

import pytest

from tests.lab.conftest import Lab, running_lab

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def bare() -> Iterator[Lab]:
    yield from running_lab(f"bare{os.getpid()}", "--image", "bare")


def test_bare_hosts_become_a_cluster(bare: Lab) -> None:
    assert "not found" in bare.call("lab", "ssh", bare.topology, "node1", "vtysh", "-c", "exit").stderr
    report = bare.bootstrap()
    assert report["ok"]
    assert "FRRouting" in bare.ssh("node1", "vtysh", "-c", "'show version'")


def test_second_run_installs_nothing(bare: Lab) -> None:
    assert bare.bootstrap()["changed"] == 0
