"""A manager whose host has left for good: nobody of its name follows, so its key goes."""

from meshctl.cluster import Cluster
from meshctl.roles.absence import witness
from meshctl.roles.ceph import tell
from meshctl.topology import Node


async def strike(node: Node, cluster: Cluster) -> None:
    """Delete the key. A successor of the same name would have used it."""
    other, entity = witness(node, cluster), f"mgr.{node.name}"
    asked = ["ceph", "--connect-timeout", "10", "auth", "get", entity, "-o", "/dev/null"]  # never to be read here
    if (await other.query(asked, ok=(0, 2))).ok:
        await tell(other, [{"prefix": "auth del", "entity": entity}], reason=f"there is no {node.name} any more")
