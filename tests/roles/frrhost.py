"""A host with FRR, for tests of the role that configures it."""

from pathlib import Path

from meshctl.cluster import Cluster
from meshctl.host.base import Host, text
from meshctl.host.fake import FakeHost
from meshctl.roles.frr import parse
from meshctl.roles.frr.role import Frr
from meshctl.roles.frr.vty import CONF, DAEMONS
from meshctl.state import StateFolder
from meshctl.topology import Topology

DEBIAN = "# default to using syslog.\nlog syslog informational\n"


class FrrHost(FakeHost):
    """A host whose FRR takes its configuration from the file when it is restarted or reloaded."""

    def __init__(self, name: str = "node1", saved: str = DEBIAN) -> None:
        super().__init__(name=name)
        self.files[CONF] = text(saved, mode=0o640, owner="frr", group="frr")
        self.on("systemctl show *", "Id=frr.service\nActiveState=active\nUnitFileState=enabled\n")
        self.runs("mgmtd zebra watchfrr staticd", "frr version 10.3\nhostname x\n")
        self.on("sh -c for pattern*50-meshctl-static.conf*")
        self.on("sh -c umask 077*vtysh -f*")
        self.on("ip -j * route show", "[]")
        self.on("sh -c cat | vtysh -C -f /dev/stdin")
        self.on("systemctl reset-failed frr.service")
        self.on("systemctl restart frr.service", then=self.start)
        self.on("systemctl reload frr.service", then=self.start)

    def start(self) -> None:
        self.on("systemctl show *", "Id=frr.service\nActiveState=active\nUnitFileState=enabled\n")
        switched_on = parse.enabled(self.files[DAEMONS].content.decode())
        self.runs(" ".join(sorted({"mgmtd", "watchfrr", "staticd", *switched_on})), self.files[CONF].content.decode())

    def runs(self, daemons: str, configuration: str) -> None:
        self.on("*vtysh -c show daemons -c show running-config", f" {daemons}\n{configuration}")

    def forget(self) -> None:
        self.ran.clear()
        self.written.clear()


async def apply(mesh: Topology, host: Host, tmp_path: Path) -> None:
    """What a run does to one host, with the state folder there."""
    others = {node.name: FrrHost(node.name) for node in mesh.nodes}
    cluster = Cluster(mesh, {**others, host.name: host}, StateFolder(tmp_path))
    role = Frr(mesh)
    await role.prepare(cluster)
    await role.apply(mesh.node(host.name), host, cluster)
