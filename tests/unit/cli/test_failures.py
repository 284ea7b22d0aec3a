import io
from pathlib import Path

import click
import pytest

from meshctl.cli.failures import report
from meshctl.errors import CommandError, ConnectError, MeshctlError, RefusedError, WaitError
from meshctl.topology import Finding, TopologyError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MeshctlError("x"), 1),
        (CommandError("node1", ["false"], 1, "no"), 1),
        (TopologyError(Path("t.yaml"), [Finding(1, 2, "mesh", "wrong")]), 3),
        (WaitError("rain", 3), 4),
        (RefusedError("node1", "would erase /dev/sda"), 6),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (click.UsageError("x"), 1),
        (ExceptionGroup("", [ConnectError("node1", "x"), RefusedError("node2", "y")]), 6),
    ],
)
def test_exit_codes(error: BaseException, code: int) -> None:
    assert report(error, io.StringIO()) == code


def test_host_message_and_advice() -> None:
    stream = io.StringIO()
    report(ConnectError("node2", "port 22 of 10.0.0.2 does not answer", advice="Is it on?\nping 10.0.0.2"), stream)
    said = stream.getvalue().splitlines()
    assert said == ["error: node2: port 22 of 10.0.0.2 does not answer", "  Is it on?", "  ping 10.0.0.2"]


def test_all_errors_of_a_group_are_told() -> None:
    stream = io.StringIO()
    report(ExceptionGroup("", [ConnectError("node1", "x"), ExceptionGroup("", [ConnectError("node2", "y")])]), stream)
    assert stream.getvalue().splitlines() == ["error: node1: x", "error: node2: y"]


def test_findings_start_their_lines_with_the_place() -> None:
    stream = io.StringIO()
    findings = [Finding(9, 1, "b", "late"), Finding(2, 3, "a", "early")]
    report(TopologyError(Path("t.yaml"), findings), stream)
    assert stream.getvalue().splitlines() == ["t.yaml:2:3: a: early", "t.yaml:9:1: b: late"]


def crash() -> BaseException:
    try:
        raise ValueError("a\nb")  # noqa: TRY301  (an exception with a trace)
    except ValueError as error:
        return error


def test_a_defect_is_one_sentence_and_a_private_file(tmp_path: Path) -> None:
    stream = io.StringIO()
    assert report(crash(), stream, [tmp_path / "defects"]) == 1
    (trace,) = (tmp_path / "defects").iterdir()
    assert stream.getvalue().splitlines() == [
        "error: this is a defect of meshctl: ValueError: a b",
        f"  The full trace is in {trace}; please report it.",
    ]
    assert "Traceback" in trace.read_text()
    assert trace.stat().st_mode & 0o777 == 0o600


def test_a_defect_is_told_even_if_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    stream = io.StringIO()
    assert report(crash(), stream, [tmp_path / "file" / "below"]) == 1
    assert "could not be written" in stream.getvalue()
