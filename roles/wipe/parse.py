"""What the cluster says about its OSDs."""

import json

from meshctl.roles.parsing import parser


@parser
def uuids(osd_dump: str) -> frozenset[str]:
    """Every OSD that `ceph osd dump` knows."""
    return frozenset(osd["uuid"] for osd in json.loads(osd_dump)["osds"])


@parser
def fsid(lines: str) -> str | None:
    """The fsid in the lines of ceph.conf that state it; None when there are none."""
    return lines.splitlines()[0].split("=", 1)[1].strip().lower() if lines.strip() else None
