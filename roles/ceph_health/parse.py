"""What the cluster says about its health: pure functions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from meshctl.roles.parsing import parser

CLEAN = "active+clean"


@dataclass(frozen=True, slots=True)
class Status:
    """`ceph status`: health, its checks with their summaries, how many placement groups are in which state."""

    health: str
    checks: Mapping[str, str]
    pgs: Mapping[str, int]
    pg_count: int

    @property
    def unclean(self) -> str:
        """The states that are not active+clean, for people; "" when all are. Scrubbing is a clean one's daily work."""
        clean = sum(count for state, count in self.pgs.items() if state.startswith(CLEAN))
        states = [f"{count} {state}" for state, count in sorted(self.pgs.items()) if not state.startswith(CLEAN)]
        if not states and clean < self.pg_count:
            states = [f"{self.pg_count - clean} not reported"]
        return ", ".join(states) or ("" if self.pg_count else "there are none")


@parser
def status(output: str) -> Status:
    """Parse it. Raises ValueError when it is something else."""
    told = json.loads(output)
    return Status(
        health=told["health"]["status"],
        checks={name: check["summary"]["message"] for name, check in told["health"]["checks"].items()},
        pgs={state["state_name"]: state["count"] for state in told["pgmap"]["pgs_by_state"]},
        pg_count=told["pgmap"]["num_pgs"],
    )


@parser
def present(config_dump: str) -> frozenset[tuple[str, str]]:
    """(who, name) of every setting for a whole kind of daemon in `ceph config dump`."""
    return frozenset((line["section"], line["name"]) for line in json.loads(config_dump) if not line["mask"])


@parser
def founding(note: str) -> list[tuple[str, str]]:
    """(who, name) of the settings that only the founding needs, as ceph_mon has noted them."""
    return [(who, name) for who, name in json.loads(note)]


@parser
def ghosts(osd_dump: str) -> list[int]:
    """OSDs in `ceph osd dump` that were announced to the cluster and never came up."""
    return [osd["osd"] for osd in json.loads(osd_dump)["osds"] if "new" in osd["state"] and not osd["up"]]


@parser
def min_sizes(note: str) -> dict[str, int]:
    """Pool → its `min_size` when all is clean again (MIN_SIZE_NOTE)."""
    return {str(name): int(wanted) for name, wanted in json.loads(note).items()}
