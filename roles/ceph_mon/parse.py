"""What a monitor says about itself and its peers: pure functions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from meshctl.roles.parsing import parser


@dataclass(frozen=True, slots=True)
class MonStatus:
    """`ceph daemon mon.X mon_status`: its state, who is in quorum, and the addresses of every monitor it knows."""

    state: str
    quorum: frozenset[str] = frozenset()
    monmap: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@parser
def mon_status(output: str) -> MonStatus:
    """Parse it. Raises ValueError when it is something else."""
    told = json.loads(output)
    mons = {mon["rank"]: mon for mon in told["monmap"]["mons"]}
    return MonStatus(
        state=told["state"],
        quorum=frozenset(mons[rank]["name"] for rank in told["quorum"]),
        monmap={
            mon["name"]: tuple(f"{a['type']}:{a['addr']}" for a in mon["public_addrs"]["addrvec"])
            for mon in mons.values()
        },
    )


@parser
def settings(config_dump: str) -> dict[tuple[str, str], str]:
    """(who, name) → value of `ceph config dump`; who is as in `ceph config set`, for example `osd/host:node1`."""
    return {
        (f"{line['section']}/{line['mask']}" if line["mask"] else line["section"], line["name"]): line["value"]
        for line in json.loads(config_dump)
    }


@parser
def osd_count(osd_dump: str) -> int:
    """How many OSDs the cluster knows."""
    return len(json.loads(osd_dump)["osds"])
