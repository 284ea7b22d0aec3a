"""The readers of a run's events, on a recorded run."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from meshctl.cli.board import Board
from meshctl.cli.converge import exit_code
from meshctl.cli.drawing import ASCII, UNICODE, draw, icons_for
from meshctl.cli.live import LiveView
from meshctl.cli.output import emit_json
from meshctl.cli.plain import PlainLines
from meshctl.cli.report import as_json
from meshctl.cli.runlog import RunLog
from meshctl.cli.summary import summarize
from meshctl.errors import LostLockError, UsageError
from meshctl.events import Kind, RunFinished, State, StepFinished
from tests.unit.cli import recorded
from tests.unit.cli.schemas import check


def half_way(count: int = 3, until: str = "frr.verify") -> Board:
    """The board when the step `until` runs and has said what it waits for."""
    board = Board(lambda: 12.3)
    for event in recorded.run(count):
        if isinstance(event, StepFinished) and event.result.step.id == until:
            break
        board.take(event)
    return board


def test_on_a_low_terminal_what_runs_stays_in_sight() -> None:
    lines = draw(half_way(), 60, 0, UNICODE, height=12).plain.splitlines()
    assert len(lines) <= 12
    assert [line.split("  ")[0].strip() for line in lines[2:5]] == ["", "⠋ frr", "· ceph_mon"]
    assert lines[2] == "  2 more are done"
    lines = draw(half_way(), 60, 0, UNICODE, height=11).plain.splitlines()
    assert [lines[2], lines[3].split("  ")[0], lines[4]] == ["  2 more are done", "⠋ frr", "  2 more are to come"]
    over = half_way()
    over.over = True
    assert len(draw(over, 60, 0, UNICODE, height=11).plain.splitlines()) == 7


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("count", [1, 3, 5, 20, 90])
def test_no_line_is_wider_than_the_terminal(width: int, count: int) -> None:
    board = half_way(count)
    board.notes.append("long " * 100)
    for icons in (UNICODE, ASCII):
        lines = draw(board, width, 1, icons).plain.splitlines()
        assert all(cell_len(line) <= width for line in lines)
        assert all(any(line[2:].startswith(role) for line in lines) for role in recorded.LAYERS)


def test_three_hosts_at_sixty_columns() -> None:
    assert draw(half_way(), 60, 0, UNICODE).plain.splitlines() == [
        "triangle  0.0 s  11 of 19 steps  9 changes",
        "                 node1     node2     node3     gate      ",
        "● preflight      ● 0.5     ● 0.5     ● 0.5     ✔ 0.5     ",
        "● links          ● 0.5     ● 0.5     ● 0.5     ✔ 0.5     ",
        "⠋ frr            ● 0.5     ● 0.5     ● 0.5     ⠋ 0.0     ",
        "· ceph_mon       ·         ·         ·         ·         ",
        "· incus_storage  ·                             ·         ",
        "note: node2:eth1 has no [31m carrier",
        "frr.verify waits: node2: adjacency with node1 is not Full",
        "· waiting  ✔ ok  ● changed  ✘ failed  ○ blocked",
    ]


def test_what_a_gate_waited_for_goes_when_it_has_passed() -> None:
    assert "waits" not in draw(half_way(until="ceph_mon@node1"), 80, 0, UNICODE).plain


def test_many_hosts_become_icons_and_then_counts() -> None:
    assert "● frr            ●●●●●●●●●●●●●●●●●●●●  ✔ 0.5" in draw(half_way(20, "ceph_mon@node1"), 60, 0, UNICODE).plain
    assert "frr            90 changed 1 running" in draw(half_way(90), 60, 0, UNICODE).plain


def test_a_running_step_shows_its_seconds() -> None:
    now = iter([100.0, 100.0, 107.5, *[107.5] * 90])
    board = Board(lambda: next(now))
    for event in list(recorded.run())[:2]:
        board.take(event)
    assert "⠋ 7.5" in draw(board, 80, 0, UNICODE).plain


def test_states_of_a_layer_after_a_failure() -> None:
    board = Board(lambda: 0)
    for event in recorded.run(fails="ceph_mon@node2"):
        board.take(event)
    states = {name: layer.state for name, layer in board.layers.items()}
    assert states["frr"] is State.CHANGED
    assert states["ceph_mon"] is State.FAILED
    assert states["incus_storage"] is State.BLOCKED
    assert "✘ ceph_mon       ● 0.5     ✘ 0.5     ● 0.5     ○" in draw(board, 60, 0, UNICODE).plain


@pytest.mark.parametrize(("encoding", "icons"), [("utf-8", UNICODE), ("ascii", ASCII), ("no-such", ASCII)])
def test_icons_fit_the_encoding(encoding: str, icons: object) -> None:
    assert icons_for(encoding) is icons


@pytest.mark.parametrize("no_color", [False, True])
async def test_live_view_on_a_terminal(no_color: bool) -> None:  # noqa: FBT001
    screen = io.StringIO()
    console = Console(
        file=screen, force_terminal=True, no_color=no_color, width=80, _environ={"TERM": "xterm-256color"}
    )
    async with LiveView(console, verbose=True) as view:
        for event in recorded.run(fails="ceph_mon.verify"):
            view.take(event)
    shown = screen.getvalue()
    assert " ceph_mon " in shown
    assert "/etc/frr.conf  (content differs)" in shown
    assert ("\x1b[1;31m" in shown) is not no_color
    assert shown.rstrip().endswith("\x1b[?25h")  # the cursor is back


def test_plain_lines() -> None:
    lines: list[str] = []
    reader = PlainLines(lines.append, verbose=False)
    for event in recorded.run(fails="ceph_mon.verify"):
        reader.take(event)
    assert lines[0] == "   0.5s  preflight@node1         changed      0.5s"
    assert "   4.0s  links.verify            ok           0.5s" in lines
    assert "   3.7s  links.verify            note         node2:eth1 has no [31m carrier" in lines
    assert "   8.0s  ceph_mon.verify         problem      node3: the monitor is not in quorum" in lines
    assert "   9.0s  incus_storage.verify    blocked" in lines
    assert not any("waits" in line or "file" in line for line in lines)


def test_plain_lines_with_v_show_changes_and_waits() -> None:
    lines: list[str] = []
    for event in recorded.run():
        PlainLines(lines.append, verbose=True).take(event)
    assert "   0.1s  preflight@node1         file         /etc/preflight.conf  (content differs)" in lines
    assert "   5.7s  frr.verify              waits        adjacency with node1 is not Full" in lines


def plain(text: str, _colour: str) -> str:
    return text


def summary(**how: object) -> str:
    return summarize(recorded.finished(**how), again="meshctl --lab bootstrap t.yaml", log="/runs/1.jsonl", style=plain)


def test_summary_of_a_healthy_run() -> None:
    said = summary()
    assert said.startswith("triangle is healthy, 13 changes on 3 hosts, ")
    assert "note: a note" in said
    assert "     0.5 s  frr.verify" in said
    assert said.endswith("Log: /runs/1.jsonl")
    assert "To go on" not in said


def test_summary_of_a_second_run() -> None:
    assert summary(changes=False).startswith("triangle is healthy, nothing had to be changed, ")


def test_summary_of_a_failure_says_what_works_and_how_to_go_on() -> None:
    said = summary(fails="ceph_mon.verify")
    for line in (
        "ceph_mon.verify on node3: the monitor is not in quorum",
        "  expected: three voters",
        "  seen:     two voters:",
        "            node1",
        "  command:  ceph quorum_status",
        "  advice:   Look at `journalctl -u ceph-mon@node3`.",
        "Works: preflight, links, frr",
        "Does not, or was not reached: ceph_mon, incus_storage",
        "To go on, after mending it: meshctl --lab bootstrap t.yaml",
    ):
        assert line in said.splitlines()


def test_one_gate_that_sees_the_same_on_several_hosts_says_it_once() -> None:
    report = recorded.same_problem_everywhere(Kind.VERIFY)
    assert "base.verify on node1, node2, node3: disk is full" in summarize(report, again="", log="", style=plain)


def test_the_same_problem_on_several_hosts_is_told_once() -> None:
    report = recorded.same_problem_everywhere()
    said = summarize(report, again="", log="", style=plain)
    assert said.count("disk is full") == 1
    assert "base@node1; base@node2; base@node3: disk is full" in said


@pytest.mark.parametrize("fails", ["", "ceph_mon.verify", "links@node2"])
@pytest.mark.parametrize("command", ["bootstrap", "verify"])
def test_json_is_what_its_schema_says(capsys: pytest.CaptureFixture[str], command: str, fails: str) -> None:
    emit_json(command, as_json(recorded.finished(fails=fails)))
    report = check(capsys.readouterr().out, f"meshctl/{command}/1")
    assert report["ok"] is (fails == "")
    assert report["critical_path"][-1] == "incus_storage.verify"
    assert report["critical_path_s"] == pytest.approx(
        2.5 if not fails else sum(step["seconds"] for step in report["steps"] if step["id"] in report["critical_path"])
    )
    assert [problem["step"] for problem in report["problems"]] == ([fails] if fails else [])


def test_every_run_leaves_a_private_log(tmp_path: Path) -> None:
    more = tmp_path / "more.jsonl"
    with RunLog.of("bootstrap", tmp_path / "runs", more) as log:
        for event in recorded.run(fails="ceph_mon.verify"):
            log.take(event)
    (own,) = (tmp_path / "runs").iterdir()
    assert own.name.endswith("-bootstrap.jsonl")
    assert own.read_text() == more.read_text()
    assert own.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in own.read_text().splitlines()]
    assert list(lines[0])[:2] == ["time", "event"]
    assert {line["event"] for line in lines} == {
        *("run_started", "step_started", "changed", "gate_waits", "noted", "step_finished", "run_finished")
    }
    assert lines[-1]["critical_path"][-1] == "incus_storage.verify"


def test_a_run_that_ends_early_says_why_in_its_log(tmp_path: Path) -> None:
    def crash() -> None:
        with RunLog([tmp_path / "log"]) as log:
            log.take(next(recorded.run()))
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        crash()
    last = json.loads((tmp_path / "log").read_text().splitlines()[-1])
    assert last["event"] == "run_ended_early"
    assert "ZeroDivisionError" in last["exception"]


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be written"), RunLog([tmp_path]):
        pass


def test_a_full_disk_ends_the_log_and_not_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunLog.of("bootstrap", tmp_path, Path("/dev/full")) as log:
        for event in recorded.run():
            log.take(event)
        log.note("locked", holder="anna")
    assert capsys.readouterr().err == "the log /dev/full ends here, the run goes on: No space left on device\n"
    (own,) = tmp_path.iterdir()
    assert json.loads(own.read_text().splitlines()[-1])["event"] == "locked"


@pytest.mark.parametrize(
    ("fails", "interrupted", "code"), [("", False, 0), ("frr@node1", False, 4), ("frr@node1", True, 130)]
)
def test_exit_code_of_a_run(fails: str, interrupted: bool, code: int) -> None:  # noqa: FBT001
    assert exit_code(replace(recorded.finished(fails=fails), interrupted=interrupted)) == code


def test_a_run_that_lost_its_lock_says_so_everywhere() -> None:
    lost = LostLockError("node1", "this run has lost its lock: why", advice="what to do")
    report = replace(recorded.finished(), interrupted=True, stopped=lost)
    assert exit_code(report) == 5
    assert not report.ok
    said = summarize(report, again="meshctl bootstrap t.yaml", log="/log", style=lambda text, _: text).splitlines()
    assert said[0].startswith("triangle: stopped after ")
    assert said[0].endswith(": node1: this run has lost its lock: why")
    assert said[1] == "  what to do"
    content = check(json.dumps({"schema": "meshctl/bootstrap/1", **as_json(report)}), "meshctl/bootstrap/1")
    assert content["problems"][0]["host"] == "node1"
    assert not content["ok"]


def test_the_last_event_of_the_recording_is_the_report() -> None:
    assert isinstance([*recorded.run()][-1], RunFinished)
