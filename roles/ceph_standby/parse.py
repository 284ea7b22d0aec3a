"""What the cluster says about its managers: pure functions."""

import json

from meshctl.roles.parsing import parser


@parser
def managers(mgr_dump: str) -> frozenset[str]:
    """The names of all managers that are active or stand by, from `ceph mgr dump`."""
    told = json.loads(mgr_dump)
    return frozenset({told["active_name"], *(standby["name"] for standby in told["standbys"])} - {""})
