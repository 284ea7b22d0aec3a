"""What `unlock` says and asks; what it does is in tests/ssh/test_lock.py and tests/lab/test_lock.py."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.cli.main import run
from meshctl.cli.unlock import Outcome, _afterwards, as_json, broken, show
from meshctl.errors import ConnectError
from meshctl.host.fake import FakeHost
from meshctl.host.holder import Holder
from meshctl.host.lock import Shown
from tests.unit.cli.recorded import UNREACHABLE
from tests.unit.cli.schemas import check

ANNA = Holder("anna", "laptop7", "2026-11-20 11:40:51 UTC", "20261120T114051Z-bootstrap", "4711")
LOCKS = {name: Shown(f"epoch{name}", ANNA) for name in ("node1", "node2")}
AWAY = ConnectError("node3", "port 22 of 10.0.0.3 does not answer")


def test_the_holder_is_shown_once() -> None:
    assert "\n".join(show("triangle", LOCKS)).splitlines() == [
        "triangle is locked by a run that is alive:",
        "  who      anna",
        "  where    laptop7",
        "  since    2026-11-20 11:40:51 UTC",
        "  run      20261120T114051Z-bootstrap",
        "  process  4711",
        "  hosts    node1, node2",
    ]
    assert list(show("triangle", {})) == ["Nobody holds the lock of triangle."]


def test_outcomes() -> None:
    done = Outcome("triangle", LOCKS, (), frozenset(LOCKS))
    assert done.exit_code == 0
    assert list(_afterwards(done)) == ["broken on node1, node2; that run stops before its next change"]
    assert Outcome("triangle", {}, ()).exit_code == 0
    assert replace(done, unreachable=(AWAY,)).exit_code == 1
    assert next(_afterwards(replace(done, unreachable=(AWAY,)))) == f"not unlocked: {AWAY}"
    assert replace(done, refusal="no").exit_code == 1
    assert "ended meanwhile on node2" in [*_afterwards(replace(done, broken=frozenset({"node1"})))][-1]


async def test_a_host_that_fails_keeps_none_of_the_others() -> None:
    hosts = {
        "node1": FakeHost("node1").on("sh -c *", status=1, stderr="flock: no space"),
        "node2": FakeHost("node2").on("sh -c *"),
    }
    done = await broken(hosts, Outcome("triangle", LOCKS, (AWAY,)))
    assert done.broken == {"node2"}
    assert done.exit_code == 1
    said = list(_afterwards(done))
    assert said[0] == f"not unlocked: {AWAY}"
    assert said[1].startswith("not unlocked: node1: `unlock` exited with 1: flock: no space")
    assert said[2:] == ["broken on node2; that run stops before its next change"]


def test_json_is_what_its_schema_says() -> None:
    for outcome in (Outcome("triangle", {}, ()), Outcome("triangle", LOCKS, (AWAY,), frozenset({"node1"}))):
        found = check(json.dumps({"schema": "meshctl/unlock/1", **as_json(outcome)}), "meshctl/unlock/1")
        assert [lock["broken"] for lock in found["locks"]] == [True, False][: len(outcome.locks)]


def test_hosts_that_cannot_be_reached(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(UNREACHABLE)
    assert run(["--state-dir", str(tmp_path / "state"), "unlock", str(tmp_path / "t.yaml")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "1 of 1 hosts can't be reached" in captured.err
