"""A reboot seen from outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from meshctl.errors import CommandError, ConnectError, HostKeyError
from meshctl.host.base import Result
from meshctl.host.fake import FakeHost
from meshctl.lifecycle.power import BOOT_ID, Reboot
from tests.roles import golden
from tests.roles.absencehost import cluster_of

TRIANGLE = golden.topology("triangle")


class Machine:
    """Gone after the order; back at the third attempt, the first time still with the old boot id."""

    def __init__(self) -> None:
        self.connected = True
        self.attempts = 0
        self.stranger = False

    async def reconnect(self, *, seconds: float | None = None) -> None:
        self.attempts += 1
        if self.stranger:
            raise HostKeyError("node1", "another key")
        if self.attempts == 2:
            raise ConnectError("node1", "port 22 is closed")

    async def query(self, argv: tuple[str, ...]) -> Result:
        return Result(argv, 0, "old\n" if self.attempts < 3 else "new\n", "")


class Lease:
    def __init__(self) -> None:
        self.said: list[str] = []

    @asynccontextmanager
    async def absence(self, name: str) -> AsyncIterator[None]:
        self.said.append(f"{name} goes")
        yield
        self.said.append(f"{name} is back")


def host(machine: Machine) -> FakeHost:
    def gone() -> None:
        machine.connected = False

    return FakeHost("node1").on(" ".join(BOOT_ID), "old\n").on("systemctl reboot", then=gone)


async def test_back_means_another_boot_id(tmp_path: Path) -> None:
    machine, lease = Machine(), Lease()
    node1 = host(machine)
    reboot = Reboot(TRIANGLE, {"node1": machine}, lease)
    await reboot.apply(TRIANGLE.nodes[0], node1, cluster_of(TRIANGLE, [node1], tmp_path))
    assert node1.ran == ["systemctl reboot"]
    assert machine.attempts == 3
    assert lease.said == ["node1 goes", "node1 is back"]


async def test_a_stranger_at_its_address_is_not_waited_for(tmp_path: Path) -> None:
    machine, lease = Machine(), Lease()
    machine.stranger = True
    node1 = host(machine)
    reboot = Reboot(TRIANGLE, {"node1": machine}, lease)
    with pytest.raises(HostKeyError):
        await reboot.apply(TRIANGLE.nodes[0], node1, cluster_of(TRIANGLE, [node1], tmp_path))
    assert lease.said == ["node1 goes"]


async def test_an_inhibited_reboot_is_an_error(tmp_path: Path) -> None:
    machine = Machine()
    node1 = host(machine).on("systemctl reboot", status=1, stderr='Operation inhibited by "apt"')
    reboot = Reboot(TRIANGLE, {"node1": machine}, Lease())
    with pytest.raises(CommandError, match="inhibited"):
        await reboot.apply(TRIANGLE.nodes[0], node1, cluster_of(TRIANGLE, [node1], tmp_path))
