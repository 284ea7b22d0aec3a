"""Failures, one after the other, on the way from empty hosts to a cluster.

Each time: the error names host, command and reason, the run ends with exit code 4, everything that doesn't depend
on the failure is done, and once the cause is gone the same command goes on. At the end nothing is left to change.
"""

import asyncio
import os
import re
from collections.abc import Iterator

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import CommandError, MeshctlError
from meshctl.host.changes import HostChange
from meshctl.host.views import RecordingHost
from meshctl.roles.system.role import System
from tests.lab.conftest import Lab, running_lab
from tests.lab.failing import NODES, failing, inside, on

pytestmark = [pytest.mark.lab, pytest.mark.long]

STATUS = "/var/lib/dpkg/status"
POSTINST = "/var/lib/dpkg/info/lvm2.postinst"
UNPACKED = f"sed -i '/^Package: lvm2$/,/^$/s/^Status: .*/Status: install ok unpacked/' {STATUS}"
"""What an installation leaves that was killed between unpacking a package and configuring it."""

LOCKED = r"""
cat >/root/hold.py <<'END'
import fcntl, pathlib, sys, time
log = pathlib.Path("/var/log/meshctl-packages.log")
with open("/var/lib/dpkg/lock-frontend", "w") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    pathlib.Path("/root/held").touch()
    for _ in range(500):
        if log.exists() and "lock was locked by " in log.read_text():
            break
        time.sleep(0.2)
END
setsid python3 /root/hold.py </dev/null >/dev/null 2>&1 &
timeout 60 sh -c 'until [ -e /root/held ]; do sleep 0.1; done'
"""
"""Somebody else installs something, as unattended-upgrades does after boot, until meshctl has noticed it."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """No name server and no time server can be reached in any lab; these hosts are told of some that never answer."""
    for lab in running_lab(f"flf{os.getpid()}"):
        for node in NODES:
            on(lab, node, "rm -f /etc/resolv.conf; echo nameserver 203.0.113.250 >/etc/resolv.conf")
            on(lab, node, "echo 'pool ntp.invalid iburst' >/etc/chrony/sources.d/nobody.sources")
        yield lab


def install(lab: Lab) -> dict[str, tuple[list[HostChange], MeshctlError | None]]:
    """The system role on all hosts at once: its changes, and how it failed."""

    async def work(cluster: Cluster) -> dict[str, tuple[list[HostChange], MeshctlError | None]]:
        role, changes = System(cluster.topology), {node: list[HostChange]() for node in NODES}
        steps = [
            role.apply(node, RecordingHost(cluster.host(node), changes[node.name].append), cluster)
            for node in cluster.topology.nodes
        ]
        outcomes = await asyncio.gather(*steps, return_exceptions=True)
        errors = {node: end for node, end in zip(NODES, outcomes, strict=True) if isinstance(end, MeshctlError)}
        assert len(errors) == sum(end is not None for end in outcomes), outcomes
        return {node: (changes[node], errors.get(node)) for node in NODES}

    return inside(lab, work)


def test_installations_that_were_interrupted_that_fail_and_that_must_wait(lab: Lab) -> None:
    on(lab, "node1", UNPACKED)
    on(lab, "node2", f"cp -a {POSTINST} /root/postinst && printf '#!/bin/sh\nexit 1\n' >{POSTINST} && {UNPACKED}")
    on(lab, "node3", f"{UNPACKED} && {{ {LOCKED} }}")
    ended = install(lab)
    assert ended["node1"][1] is None, "what dpkg had begun is brought to its end"
    assert ended["node3"][1] is None, "a lock that somebody else holds for a while is waited for"
    assert "lock was locked by " in on(lab, "node3", "cat /var/log/meshctl-packages.log")
    error = ended["node2"][1]
    assert isinstance(error, CommandError)
    assert error.host == "node2"
    assert re.search(r"error processing package lvm2.*/var/log/meshctl-packages.log", error.stderr, re.DOTALL)

    on(lab, "node2", f"mv /root/postinst {POSTINST}")
    again = install(lab)
    assert [error for _, error in again.values()] == [None, None, None]
    assert [bool(changes) for changes, _ in again.values()] == [False, True, False]
    assert [changes for changes, _ in install(lab).values()] == [[], [], []]


def test_full_disk_and_a_masked_unit(lab: Lab) -> None:
    """On node3 there is no space for Ceph, on node2 somebody has masked OVN's controller."""
    on(lab, "node3", "mount -t tmpfs -o size=1m,mode=755 tmpfs /var/lib/ceph && mkdir /var/lib/ceph/mon")
    on(lab, "node3", "chown -R ceph:ceph /var/lib/ceph && ! head -c 2M /dev/zero >/var/lib/ceph/full 2>/dev/null")
    on(lab, "node2", "systemctl mask -q ovn-controller.service")
    failed = failing(lab)
    assert re.search(r"ceph_config@node3 on node3: `.*No space left on device", failed.said), failed.said
    assert re.search(r"ovn@node2 on node2: masked by somebody.* ovn-controller.service", failed.said), failed.said
    assert failed.done("frr", "time", "pki"), failed.states
    assert (failed.states["ovn.verify"], failed.states["incus.verify"]) == ("blocked", "blocked")
    on(lab, "node3", "umount /var/lib/ceph")
    on(lab, "node2", "systemctl unmask -q ovn-controller.service")


def test_a_monitor_whose_port_is_taken(lab: Lab) -> None:
    on(lab, "node2", "systemd-run -q --unit squatter python3 -m http.server 3300")
    failed = failing(lab)
    assert re.search(r"ceph_mon.verify on node2: the monitor does not answer", failed.said), failed.said
    assert re.search(r"unable to bind monitor to v2:10\.50\.1\.2:3300", failed.said), failed.said
    assert "journalctl -u ceph-mon@node2" in failed.said
    assert failed.done("frr", "ovn", "incus"), failed.states
    on(lab, "node2", "systemctl stop squatter")


def test_then_the_same_command_makes_the_cluster(lab: Lab) -> None:
    assert lab.bootstrap()["ok"]
    assert lab.bootstrap()["changed"] == 0


def test_no_space_for_a_file(lab: Lab) -> None:
    on(lab, "node2", "cp -a /etc/frr /root/frr && mount -t tmpfs -o size=64k tmpfs /etc/frr")
    on(lab, "node2", "cp -a /root/frr/. /etc/frr")
    on(lab, "node2", "sed -i 's/hello-interval 1/hello-interval 9/' /etc/frr/frr.conf; cat /dev/zero >/etc/frr/full; :")
    failed = failing(lab)
    assert re.search(r"frr@node2 on node2: .*No space left on device", failed.said), failed.said
    on(lab, "node2", "umount /etc/frr")
    assert lab.bootstrap()["changed"] == 0
