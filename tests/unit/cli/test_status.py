"""What `status` and `doctor` print, from made-up examinations."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.cli import doctor, status
from meshctl.cli.examining import hanging
from meshctl.cli.main import run
from meshctl.condition.gather import Examination
from meshctl.errors import ConnectError
from meshctl.host.holder import Holder
from meshctl.host.lock import Shown
from meshctl.roles.base import Problem
from meshctl.roles.condition import Condition, Finding, Part, Quorum, State
from meshctl.topology import load
from tests.unit.cli.recorded import UNREACHABLE
from tests.unit.cli.schemas import check

TRIANGLE = load(Path(__file__).parents[3] / "topologies" / "triangle.yaml")
THREE = frozenset({"node1", "node2", "node3"})
NOOUT = Finding("flag-left-behind", "node1", "noout is set", "`ceph osd unset noout`", "ceph osd dump", leftover=True)
OVN = Condition(
    State.HEALTHY,
    "nb 3/3 voters, led by node1",
    nodes={name: Part(State.HEALTHY, "nb leader" if name == "node1" else "") for name in sorted(THREE)},
    quorums=(Quorum("OVN's northbound database", THREE, THREE, "node1"),),
    carries={"node1": ("OVN's nb leader",)},
)
HEALTHY = Examination(TRIANGLE, {"ovn": OVN}, seconds=0.7)
AWAY = Examination(
    TRIANGLE,
    {
        "ovn": replace(
            OVN,
            state=State.DEGRADED,
            detail="nb 2/3 voters, led by node1",
            quorums=(replace(OVN.quorums[0], alive=frozenset({"node1", "node2"})),),
            problems=(
                Problem("node1", "no answer from node3", "an answer", "silence"),
                Problem("node2", "northd is down", "active", "failed", "systemctl status ovn-northd", "Start it."),
            ),
        ),
        "ceph_health": Condition(State.DEGRADED, "HEALTH_WARN", findings=(NOOUT,)),
        "time": Condition(State.DEGRADED, "", nodes={"node1": Part(State.BROKEN, "no answer in time")}),
    },
    {"node3": ConnectError("node3", "port 22 of 172.31.0.13 does not answer")},
)
LOCKED = replace(AWAY, locks={"node1": Shown("e", Holder("anna", "laptop7", "now", "run7", "1"))})


def plain(text: str, _colour: str) -> str:
    return text


def screen(found: Examination, columns: int | None = None) -> list[str]:
    return list(status.lines(found, style=plain, columns=columns, doctor="meshctl doctor t.yaml"))


def report(found: Examination, columns: int | None = None) -> list[str]:
    return list(doctor.lines(found, doctor.prognosis(found), style=plain, columns=columns))


def test_a_healthy_cluster_on_a_screen() -> None:
    assert screen(HEALTHY) == [
        "triangle is healthy  3 of 3 hosts answer",
        "  ovn  healthy   nb 3/3 voters, led by node1",
        "  node1  nb leader",
        "  node2",
        "  node3",
    ]


def test_hosts_away_and_leftovers_are_on_the_screen() -> None:
    assert screen(AWAY) == [
        "triangle is degraded  2 of 3 hosts answer",
        "  ovn          degraded  nb 2/3 voters, led by node1",
        "  ceph_health  degraded  HEALTH_WARN",
        "  time         degraded",
        "  node1  nb leader · no answer in time: time",
        "  node2",
        "  node3  unreachable: port 22 of 172.31.0.13 does not answer",
        "  flag-left-behind: node1: noout is set",
        "  Hosts or daemons are slow or hang: --patience 30 waits longer for them.",
        "  What to do: meshctl doctor t.yaml",
    ]


def test_what_a_run_has_set_is_under_way() -> None:
    lines = screen(LOCKED)
    assert any(line.startswith("  lock: anna on laptop7") and line.endswith("(node1)") for line in lines)
    assert "  under way: node1: noout is set" in lines
    assert not any("flag-left-behind" in line for line in lines)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    wide = replace(AWAY, conditions={**AWAY.conditions, "frr": Condition(State.DEGRADED, "many words " * 40)})
    for line in (*screen(wide, columns), *report(wide, columns)):
        assert len(line) <= columns, line


def test_wrapped_lines_hang() -> None:
    assert list(hanging("  a  ", "one two three four five six seven", 30)) == [
        "  a  one two three four five",
        "     six seven",
    ]


def test_a_doctor_s_report() -> None:
    assert report(HEALTHY) == [
        "triangle is healthy: any one host may fail",
        "  node1 may fail; with it goes OVN's nb leader",
        "  node2 may fail",
        "  node3 may fail",
        "  cable node1:eth1 <-> node2:eth2 may fail",
        "  cable node2:eth1 <-> node3:eth2 may fail",
        "  cable node1:eth2 <-> node3:eth1 may fail",
    ]
    assert report(AWAY) == [
        "triangle is degraded: no host may fail",
        "  node3 is gone already: port 22 of 172.31.0.13 does not answer",
        "  node1 may not fail:",
        "    OVN's northbound database: 1 of 3 voters would be left, 2 are needed",
        "  node2 may not fail:",
        "    OVN's northbound database: 1 of 3 voters would be left, 2 are needed",
        "  cable node1:eth1 <-> node2:eth2 may not fail:",
        "    the mesh: it would fall apart: node1 | node2",
        "",
        "flag-left-behind on node1",
        "  seen:     noout is set",
        "  shown by: ceph osd dump",
        "  cure:     `ceph osd unset noout`",
        "",
        "ovn on node2: northd is down",
        "  expected: active",
        "  seen:     failed",
        "  command:  systemctl status ovn-northd",
        "  advice:   Start it.",
    ]


@pytest.mark.parametrize("found", [HEALTHY, AWAY, LOCKED])
def test_json_is_what_its_schema_says(found: Examination) -> None:
    told = check(json.dumps({"schema": "meshctl/status/1", **status.as_json(found)}), "meshctl/status/1")
    assert told["nodes"]["node3"]["reachable"] is not bool(found.unreachable)
    told = doctor.as_json(found, doctor.prognosis(found))
    told = check(json.dumps({"schema": "meshctl/doctor/1", **told}), "meshctl/doctor/1")
    assert told["margin"]["hosts"] == int(not found.unreachable)


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_a_cluster_that_is_all_away_is_broken_and_no_error(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "t.yaml").write_text(UNREACHABLE)
    options = ["--state-dir", str(tmp_path / "state"), "--output", "json"]
    assert run([*options, command, str(tmp_path / "t.yaml")]) == 4
    captured = capsys.readouterr()
    assert captured.err == ""
    told = check(captured.out, f"meshctl/{command}/1")
    assert told["state"] == "broken"
    said = told["nodes"]["node1"]["error"] if command == "status" else told["unreachable"][0]["what"]
    assert said == "port 1 of 127.0.0.11 can't be reached: Connection refused"
