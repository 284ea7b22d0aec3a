"""The command line of `certify`; what it measures is in tests/unit/certify and tests/lab/test_certify.py."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meshctl.certify.document import as_json
from meshctl.certify.page import page
from meshctl.certify.verdicts import judge
from meshctl.cli.certify import _write
from meshctl.cli.main import run
from meshctl.cli.runlog import RunLog
from meshctl.errors import UsageError
from tests.unit.certify.measurements import healthy
from tests.unit.cli.recorded import UNREACHABLE


def certify(tmp_path: Path, *options: str) -> int:
    (tmp_path / "t.yaml").write_text(UNREACHABLE)
    return run(["--state-dir", str(tmp_path / "state"), "certify", str(tmp_path / "t.yaml"), *options])


def test_real_hosts_are_not_cut_off_without_asking(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert certify(tmp_path, "--failover") == 1
    captured = capsys.readouterr()
    assert "there is no terminal to ask on" in captured.err
    assert "pass --yes" in captured.err


def test_hosts_that_cannot_be_reached(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert certify(tmp_path) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "1 of 1 hosts can't be reached" in captured.err


def test_every_certification_leaves_a_log(tmp_path: Path) -> None:
    assert certify(tmp_path) == 1
    (log,) = (tmp_path / "state" / "runs").iterdir()
    assert log.name.endswith("-certify.jsonl")
    assert json.loads(log.read_text().splitlines()[-1])["event"] == "run_ended_early"


def test_what_was_measured_is_in_the_log(tmp_path: Path) -> None:
    measured = healthy()
    with RunLog.of("certify", tmp_path, None) as log:
        log.note("run_finished", **as_json(measured, judge(measured)))
    told = json.loads(log.files[0].read_text())
    assert (told["event"], told["ok"], len(told["links"])) == ("run_finished", True, 3)


def test_the_page_is_written_or_it_says_why_not(tmp_path: Path) -> None:
    measured = healthy()
    checks = judge(measured)
    _write(tmp_path / "a.html", measured, checks)
    assert "3 links certified" in (tmp_path / "a.html").read_text()
    with pytest.raises(UsageError, match="No such file or directory"):
        _write(tmp_path / "missing" / "a.html", measured, checks)
    assert "2026-11-20 12:00:00 UTC" in page(measured, checks, datetime(2026, 11, 20, 12, tzinfo=UTC))
