"""What the test uses and what its record stands for. Pure."""

import hashlib
import json

from meshctl.topology import Topology

RECORD = "user.meshctl.smoke"
"""A key of Incus' server configuration, replicated to all members."""

PROJECT = "meshctl-smoke"
MARK = "user.meshctl"
"""On the project: what has it is the test's own, and may be deleted."""

FEATURES = {
    "features.images": "true",
    "features.profiles": "true",
    "features.storage.volumes": "true",
    "features.networks": "false",
    MARK: "smoke",
}
"""Images and profiles of its own, so that nothing of the users' is used or left; their networks are what is tested."""

ALIAS = "busybox"
HEADERS = 28
"""Bytes of IP and ICMP in front of a ping's payload."""


def instance(node: str) -> str:
    """The name of a node's instance."""
    return f"smoke-{node}"


def image(topology: Topology) -> str:
    """What is launched: the image that the topology names, or the one built on the spot."""
    return topology.smoke.image or ALIAS


def digest(topology: Topology) -> str:
    """Names the configuration that the test proves: hosts, addresses, MTU, pools, networks and the uplink."""
    facts = {
        "nodes": [(node.name, str(node.loopback), node.uplink_nic) for node in topology.nodes],
        "cables": [(str(cable), str(cable.prefix), cable.mtu) for cable in topology.cables],
        "uplink": str(topology.uplink),
        "incus": topology.incus.model_dump(mode="json"),
        "ceph": topology.ceph.pool,
        "smoke": topology.smoke.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
