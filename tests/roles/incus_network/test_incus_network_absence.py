"""The overlay's gateways once a host is back."""

from pathlib import Path

import pytest

from meshctl.errors import WaitError
from meshctl.host.fake import FakeHost
from meshctl.roles.incus_network import absence
from tests.roles import golden
from tests.roles.absencehost import cluster_of
from tests.roles.incus_network.test_incus_network import NORTHBOUND

TRIANGLE = golden.topology("triangle")
NODE3 = TRIANGLE.nodes[2]
WITHOUT = NORTHBOUND.replace('"node3"', '"gone"')


class Quick(FakeHost):
    async def until(self, what, probe, *, timeout, every=0.2):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ASYNC109
        await super().until(what, probe, timeout=min(timeout, 0.05), every=min(every, 0.001))


async def restored(host: FakeHost, tmp_path: Path) -> list[str]:
    mesh = cluster_of(TRIANGLE, [FakeHost(name="node1"), FakeHost(name="node2"), host], tmp_path)
    await absence.restore(NODE3, host, mesh)
    return host.ran


async def test_a_host_that_is_a_gateway_again_is_left_alone(tmp_path: Path) -> None:
    assert await restored(Quick(name="node3").on("ovn-nbctl *", NORTHBOUND), tmp_path) == []


async def test_incus_is_restarted_where_it_forgot_the_gateway(tmp_path: Path) -> None:
    host = Quick(name="node3").on("ovn-nbctl *", WITHOUT)

    def remembered() -> None:
        host.on("ovn-nbctl *", NORTHBOUND)

    host.on("systemctl restart incus.service", then=remembered)
    assert await restored(host, tmp_path) == ["systemctl restart incus.service"]


async def test_a_host_that_stays_no_gateway_is_named(tmp_path: Path) -> None:
    host = Quick(name="node3").on("ovn-nbctl *", WITHOUT).on("systemctl restart incus.service")
    with pytest.raises(WaitError, match="node3 is no gateway"):
        await restored(host, tmp_path)
