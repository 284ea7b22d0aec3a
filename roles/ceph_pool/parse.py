"""What the cluster says about its pools: pure functions."""

import json
from dataclasses import dataclass

from meshctl.roles.parsing import parser


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool in `ceph osd dump`."""

    size: int
    min_size: int
    applications: frozenset[str]

    def __str__(self) -> str:
        return f"{self.size} copies, {self.min_size} to go on with, for {', '.join(sorted(self.applications))}"


@parser
def pools(osd_dump: str) -> dict[str, Pool]:
    """Every pool by name. Raises ValueError when it is something else."""
    return {
        pool["pool_name"]: Pool(pool["size"], pool["min_size"], frozenset(pool["application_metadata"]))
        for pool in json.loads(osd_dump)["pools"]
    }


@parser
def min_sizes(note: str) -> dict[str, int]:
    """Pool → its `min_size` when all is clean again (MIN_SIZE_NOTE)."""
    return {str(name): int(wanted) for name, wanted in json.loads(note).items()}
