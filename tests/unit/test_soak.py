"""What `make bench-soak` counts and judges; the soak itself needs a lab."""

import json
from pathlib import Path

import pytest

from meshctl.topology import load
from tests.bench.soak import Session, busy, busy_cores, expected, sessions, table, verdict

ROOT = Path(__file__).parents[2]
# As FRR 10.3 prints it, one peer of two.
PEER = {
    "multihop": False, "peer": "192.168.11.2", "local": "192.168.11.1", "vrf": "default", "interface": "eth1",
    "id": 1803218711, "remote-id": 3423489, "control-packet-input": 12047, "control-packet-output": 12051,
    "echo-packet-input": 0, "echo-packet-output": 0, "session-up": 1, "session-down": 0, "zebra-notifications": 4,
}  # fmt: skip
OTHER = PEER | {"peer": "192.168.11.6", "interface": "eth2", "session-down": 2}
BEFORE = Session(downs=2, received=100)


def test_counters_are_read_by_session() -> None:
    assert sessions({"node1": json.dumps([PEER, OTHER]), "node2": "[]"}) == {
        ("node1", "eth1 192.168.11.2"): Session(0, 12047),
        ("node1", "eth2 192.168.11.6"): Session(2, 12047),
    }
    assert expected(load(ROOT / "topologies/triangle.yaml")) == 6


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (Session(2, 200), "ok"),
        (Session(3, 200), "lost 1 times"),
        (Session(2, 149), "heard 49 packets, 50 expected"),
        (Session(0, 300), "counted anew: bfdd was restarted"),
        (Session(2, 90), "counted anew: bfdd was restarted"),
        (None, "gone"),
    ],
)
def test_one_flap_or_no_evidence_fails(after: Session | None, said: str) -> None:
    key = ("node1", "eth1 192.168.11.2")
    assert verdict(BEFORE, after, 50) == said
    text, fine = table({key: BEFORE}, {key: after} if after else {}, 50)
    assert said in text
    assert fine is (said == "ok")
    assert table({}, {}, 50)[1] is False, "no session at all proves nothing"


def test_busy_is_what_was_not_idle() -> None:
    before = "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1\n"
    assert busy(before, "cpu  190 5 100 705 100 0 0 0 0 0\n") == pytest.approx(0.95)
    assert busy(before, "cpu  100 0 100 790 110 0 0 0 0 0\n") == 0
    assert busy(before, before) == 0


def test_cores_that_became_idle_are_said() -> None:
    with busy_cores() as spinning:
        assert all(process.poll() is None for process in spinning)
    assert all(process.returncode for process in spinning), "they are gone afterwards"
    with pytest.raises(SystemExit, match="ended by itself"), busy_cores(["true"]) as spinning:
        assert {process.wait(30) for process in spinning} == {0}
