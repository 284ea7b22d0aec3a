"""What the cluster says about its OSDs."""

import json

from meshctl.roles.parsing import parser


@parser
def uuids(osd_dump: str) -> frozenset[str]:
    """Every OSD that `ceph osd dump` knows."""
    return frozenset(osd["uuid"] for osd in json.loads(osd_dump)["osds"])
