"""`evacuate`, `restore` and `reboot`: what is refused before any host is asked, and what JSON promises."""

import json

import pytest

from meshctl.cli.main import run
from meshctl.cli.nodes import chosen, named
from meshctl.cli.reboot import RollingReboot
from meshctl.cli.report import not_started
from meshctl.errors import UsageError
from tests.roles import golden
from tests.unit.cli.schemas import check

TRIANGLE = golden.topology("triangle")
FILE = str(TRIANGLE.source)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("reboot", FILE, "--yes"), "Pass --rolling"),
        (("reboot", FILE, "--rolling", "--nodes", "node1,node9", "--yes"), "there is no node node9"),
        (("reboot", FILE, "--rolling", "--window", "1-5", "--yes"), "It is written like 01:00-05:00."),
        (("evacuate", FILE, "node9", "--yes"), "there is no node node9"),
        (("restore", FILE, "node9", "--yes"), "there is no node node9"),
        (("evacuate", FILE, "node1"), "pass --yes."),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 1
    assert said in capsys.readouterr().err


def test_a_node_by_its_name() -> None:
    assert named(TRIANGLE, "node2").id == 2
    with pytest.raises(UsageError) as caught:
        named(TRIANGLE, "node7")
    assert caught.value.advice == "Known: node1, node2, node3."


def test_nodes_that_are_named_come_once_and_in_order() -> None:
    assert [node.name for node in chosen(TRIANGLE, ["node3", "node1", "node3"])] == ["node1", "node3"]
    assert chosen(TRIANGLE, []) == list(TRIANGLE.nodes)


def test_json_of_a_reboot_that_never_began_names_all_hosts_as_remaining() -> None:
    drive = RollingReboot(TRIANGLE.nodes, None, if_needed=False)
    told = {"schema": "meshctl/reboot/1", **not_started([]), **drive.as_json()}
    found = check(json.dumps(told), "meshctl/reboot/1")
    assert (found["rebooted"], found["remaining"]) == ([], ["node1", "node2", "node3"])


@pytest.mark.parametrize("command", ["evacuate", "restore"])
def test_json_of_the_others(command: str) -> None:
    check(json.dumps({"schema": f"meshctl/{command}/1", **not_started([])}), f"meshctl/{command}/1")
