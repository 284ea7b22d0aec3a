"""`replace`: what is refused before any host is asked, what it shows, and what JSON promises."""

import json

import pytest

from meshctl.cli.add import Addition
from meshctl.cli.converge import Drive, Job, _more
from meshctl.cli.main import run
from meshctl.cli.options import Options
from meshctl.cli.remove import Found, Removal
from meshctl.cli.replace import Replacement, matching, show
from meshctl.cli.report import as_json
from tests.roles import golden
from tests.unit.cli.recorded import finished
from tests.unit.cli.schemas import check

TRIANGLE = golden.topology("triangle")
NODE3 = TRIANGLE.nodes[2]
FILE = str(TRIANGLE.source)
CLAIMS = {"ceph_mon": ["monitor node3 of Ceph"], "incus": ["instance web goes on elsewhere"]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("replace", FILE, "node9", "--yes", "node9"), "there is no node node9"),
        (("add", FILE, "node9", "--yes"), "there is no node node9"),
        (("remove", FILE, "node9", "--yes", "node9"), "there is no node node9"),
        (("replace", FILE, "node3", "--wipe", "node1:/dev/sdb"), "leaves node1 as it is"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 1
    assert said in capsys.readouterr().err


def test_what_is_forgotten_is_shown_layer_by_layer() -> None:
    assert list(show(TRIANGLE, NODE3, CLAIMS)) == [
        "triangle counts, and would forget for ever, of node3's old machine:",
        "  ceph_mon",
        "    monitor node3 of Ceph",
        "  incus",
        "    instance web goes on elsewhere",
        f"Then the machine at {NODE3.management} is made node3, as by bootstrap.",
    ]
    assert next(iter(show(TRIANGLE, NODE3, {}))).startswith("triangle counts nothing of node3")


async def test_only_the_stated_host_key_is_believed() -> None:
    assert matching(None) is None
    confirm = matching("SHA256:abc")
    assert confirm
    assert await confirm(NODE3, "SHA256:abc")
    assert not await confirm(NODE3, "SHA256:abd")


def test_json_of_add_and_remove() -> None:
    found = Found(held={"ceph_osd": ["/dev/sdb: an OSD"]}, claims=CLAIMS)
    drives: dict[str, Drive] = {"add": Addition(NODE3, []), "remove": Removal(NODE3, [], found)}
    for command, drive in drives.items():
        told = {"schema": f"meshctl/{command}/1", **as_json(finished()), **drive.as_json()}
        assert check(json.dumps(told), f"meshctl/{command}/1")["node"] == "node3"


def test_json_is_a_run_and_what_was_forgotten() -> None:
    job = Job("replace", TRIANGLE, Options(), accept_new=False, drive=Replacement(NODE3, [], CLAIMS))
    told = {"schema": "meshctl/replace/1", **as_json(finished()), **_more(job)}
    found = check(json.dumps(told), "meshctl/replace/1")
    assert (found["node"], found["forgotten"]) == ("node3", CLAIMS)
