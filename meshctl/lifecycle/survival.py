"""May this host go? One function, asked before every planned absence."""

import asyncio
from collections.abc import Sequence

from meshctl.cluster import Cluster
from meshctl.condition.gather import examine
from meshctl.condition.margin import may_fail
from meshctl.lifecycle.layers import Layer
from meshctl.topology import Node

PATIENCE = 45.0
"""Seconds for the layers to say how they are: more than `meshctl status` has, because here silence is a refusal."""


async def objections(node: Node, cluster: Cluster, layers: Sequence[Layer]) -> list[str]:
    """Why the cluster would not go on without the host; nothing means that it would.

    The failure margin over all layers (quorums, copies, links), and then what the daemons themselves say
    (`ceph osd ok-to-stop`), since they know best.
    """
    examined = await examine(cluster, patience=PATIENCE)
    if reasons := [str(reason) for reason in may_fail(examined.facts, node.name)]:
        return reasons
    own = await asyncio.gather(*(layer.absence.spare(node, cluster) for layer in layers if layer.can("spare")))
    return [reason for found in own for reason in found]
