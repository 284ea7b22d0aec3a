"""What the cluster says about its active manager: pure functions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from meshctl.roles.parsing import parser


@dataclass(frozen=True, slots=True)
class MgrStat:
    """`ceph mgr stat`: who is active, and whether all its modules are loaded."""

    active: str
    available: bool


@parser
def mgr_stat(output: str) -> MgrStat:
    """Parse it. Raises ValueError when it is something else."""
    told = json.loads(output)
    return MgrStat(told["active_name"], bool(told["available"]))


@parser
def module_faults(health: str) -> Mapping[str, str]:
    """Check → summary of the health checks about the mgr's modules. From `ceph health -f json`."""
    checks = json.loads(health)["checks"]
    return {name: check["summary"]["message"] for name, check in checks.items() if name.startswith("MGR_MODULE")}
