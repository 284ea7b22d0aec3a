"""`destroy`: what it shows before it asks, and what JSON promises."""

import json

from meshctl.cli.converge import Job, _more
from meshctl.cli.destroy import _show
from meshctl.cli.options import Options
from meshctl.cli.report import as_json
from tests.roles import golden
from tests.unit.cli.recorded import finished
from tests.unit.cli.schemas import check

TRIANGLE = golden.topology("triangle")
HELD = {"node1": ["/dev/sdb (M, S, 8.6 GB): an OSD"], "node2": []}


def test_what_would_be_lost_is_shown_host_by_host() -> None:
    assert list(_show(TRIANGLE, HELD)) == [
        "Destroying triangle takes away, for ever:",
        "  node1",
        "    /dev/sdb (M, S, 8.6 GB): an OSD",
        "  node2",
        "    nothing",
    ]
    assert list(_show(TRIANGLE, {"node1": [], "node2": []})) == ["The hosts hold nothing of triangle."]


def test_json_is_a_run_and_what_the_hosts_held() -> None:
    job = Job("destroy", TRIANGLE, Options(), accept_new=False, more={"holdings": HELD})
    told = {"schema": "meshctl/destroy/1", **as_json(finished()), **_more(job)}
    assert check(json.dumps(told), "meshctl/destroy/1")["holdings"] == HELD
