"""What the cluster says about its managers: pure functions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MgrMap:
    """`ceph mgr dump`: who is active, whether all its modules are loaded, and who stands by."""

    active: str
    available: bool
    standbys: frozenset[str]


def mgr_map(output: str) -> MgrMap:
    """Parse it. Raises ValueError or KeyError when it is something else."""
    told = json.loads(output)
    return MgrMap(
        told["active_name"], bool(told["available"]), frozenset(standby["name"] for standby in told["standbys"])
    )


def module_faults(health: str) -> Mapping[str, str]:
    """Check → summary of the health checks about the mgr's modules. From `ceph health -f json`."""
    checks = json.loads(health)["checks"]
    return {name: check["summary"]["message"] for name, check in checks.items() if name.startswith("MGR_MODULE")}
