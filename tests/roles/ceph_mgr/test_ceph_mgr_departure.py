"""The key of a manager whose host has left for good."""

from pathlib import Path
from typing import Any

from meshctl.roles.ceph_mgr import departure
from tests.roles import golden
from tests.roles.absencehost import AbsenceHost, cluster_of

TRIANGLE = golden.topology("triangle")


async def test_its_key_goes_once_and_is_never_read(tmp_path: Path) -> None:
    deleted: list[str] = []

    def delete(command: dict[str, Any]) -> dict[str, Any]:
        deleted.append(command["entity"])
        return {}

    get = "ceph --connect-timeout 10 auth get mgr.node3 -o /dev/null"
    hosts = [AbsenceHost(name=node.name, ceph={"auth del": delete}).on(get) for node in TRIANGLE.nodes]
    mesh = cluster_of(TRIANGLE, hosts, tmp_path)
    await departure.strike(TRIANGLE.nodes[2], mesh)
    assert deleted == ["mgr.node3"]
    for host in hosts:
        host.on(get, status=2)
    await departure.strike(TRIANGLE.nodes[2], mesh)
    assert deleted == ["mgr.node3"]
