import json
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from meshctl.ca import Authority
from meshctl.cli.certs import _show, entries, job
from meshctl.cli.main import run
from meshctl.cli.options import Options
from meshctl.errors import SecretsError
from meshctl.state import StateFolder
from tests.roles import golden
from tests.unit.cli.schemas import check

TRIANGLE = Path(__file__).resolve().parents[3] / "topologies" / "triangle.yaml"


def leaf(tmp_path: Path, days: float) -> str:
    authority = Authority.create(StateFolder(tmp_path / "state"), "triangle", life=timedelta(days=days))
    return authority.issue("node1", [IPv4Address("10.50.1.1")]).certificate


@pytest.mark.parametrize(("days", "state", "left"), [(100.5, "ok", 100), (13.5, "expiring", 13), (-0.5, "expired", -1)])
def test_what_ends_soon_is_said(tmp_path: Path, days: float, state: str, left: int) -> None:
    files = {"/etc/x.pem": leaf(tmp_path, 1000), "/etc/y": "rubbish"}
    [entry] = entries({"node1": files}, datetime.now(UTC))
    assert entry.state == "ok"
    [entry] = entries({"node1": files}, entry.facts.not_after - timedelta(days=days))
    assert (entry.state, entry.days_left) == (state, left)


def test_json_is_what_its_schema_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = entries({"": {"ca": leaf(tmp_path, 5)}, "node1": {"/c": leaf(tmp_path, 50)}}, datetime.now(UTC))
    _show(found, Options(output="json"))
    report = check(capsys.readouterr().out, "meshctl/certs/1")
    assert report["ok"] is False
    assert [one["state"] for one in report["certificates"]] == ["expiring", "ok"]
    assert report["certificates"][1]["subject"] == "CN=node1"


def test_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _show(entries({"node1": {"/c": leaf(tmp_path, 5)}}, datetime.now(UTC)), Options())
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["NODE", "PATH", "SUBJECT", "ISSUER", "ENDS", "DAYS"]
    assert "CN=meshctl CA of triangle" in line
    assert line.endswith("4     expiring")


def test_what_goes_on_where_a_run_ended_is_the_same_command() -> None:
    """Without --ca the rest of a takeover would not come."""
    triangle = golden.topology("triangle")
    assert job(Options(), triangle, (), ca=True).again.endswith("triangle.yaml --ca")
    assert job(Options(lab="x"), triangle, ("node3", "node2"), ca=False).again.endswith(" --node node3 --node node2")


def test_unknown_node_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["certs", "renew", str(TRIANGLE), "--node", "node9"]) == 1
    assert "there is no node node9" in capsys.readouterr().err


def test_damaged_ca_is_said_before_any_host_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    StateFolder(tmp_path / "state").write_secret("ca.pem", b"rubbish")
    assert run(["--state-dir", str(tmp_path / "state"), "certs", "list", str(TRIANGLE)]) == SecretsError.exit_code
    assert "can't be read or don't match" in capsys.readouterr().err


def test_schema_of_renew_is_that_of_bootstrap() -> None:
    folder = Path(__file__).resolve().parents[3] / "meshctl" / "cli" / "schemas"
    bootstrap, renew = (json.loads((folder / f"{name}-1.json").read_text()) for name in ("bootstrap", "certs-renew"))
    assert bootstrap["properties"].keys() == renew["properties"].keys()
