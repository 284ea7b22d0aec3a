"""The points of the kill matrix follow from a run's journal: none is forgotten, none meets half a step."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.matrix.endstate import difference
from tests.matrix.points import Journal, Point, moment, points

STEPS = {"a@x": [], "a@y": [], "a.verify": ["a@x", "a@y"], "b@x": ["a.verify"], "b.verify": ["b@x"]}
CHANGES = [
    ("a@x", "x", "file", 1.0),
    ("a@x", "x", "file", 1.001),
    ("a@x", "x", "command", 1.5),
    ("a@x", "x", "file", 2),
]
CHANGES += [("b@x", "x", "command", 3.0), ("b@x", "y", "service", 4.0)]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    lines: list[dict[str, Any]] = [
        {"event": "run_started", "steps": [{"id": step, "needs": needs} for step, needs in STEPS.items()]}
    ]
    lines += [
        {"event": "changed", "step": s, "host": h, "kind": k, "target": f"set {at * 1000:05.0f}", "at": at}
        for s, h, k, at in CHANGES
    ]
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return Journal.read(path)


def test_every_boundary_and_every_change(journal: Journal) -> None:
    found = list(map(str, points(journal)))
    assert found == [
        "kill::start",
        *("kill:a@x:before-1", "kill:a@x:before-3", "kill:a@x:during-3", "kill:a@x:before-4", "kill:a@x:end"),
        *("kill:a@y:end", "kill:a.verify:end"),
        *("kill:b@x:before-1", "kill:b@x:during-1", "kill:b@x:before-2", "kill:b@x:during-2", "kill:b@x:end"),
        "kill:b.verify:end",
        *("power:a@x:during-3:x", "power:b@x:during-1:x", "power:b@x:during-1:y"),
        *("ssh:a@x:during-3:x", "ssh:b@x:during-1:x", "ssh:b@x:during-1:y"),
    ]
    assert [str(Point.parse(text)) for text in found] == found


def test_a_change_is_known_by_what_it_does(journal: Journal) -> None:
    assert journal.moment(Point.parse("kill::start")) == "start "
    assert journal.moment(Point.parse("kill:a@x:end")) == "end a@x"
    assert journal.moment(Point.parse("kill:a@x:before-3")) == "a@x x command set *"
    assert journal.moment(Point.parse("kill:b@x:during-2")) == "b@x y service set *"
    assert journal.moment(Point.parse("power:b@x:during-1:y")) == "b@x y service set *"


@pytest.mark.parametrize(
    ("target", "known"),
    [
        ("ceph-osd -i 0 --osd-uuid 3f0c2a94-7a30-4d2e-9b59-0f4e2ab0c1d2", "ceph-osd -i 0 --osd-uuid *"),
        ("kill 4711", "kill *"),
        ("/etc/frr/frr.conf", "/etc/frr/frr.conf"),
    ],
)
def test_what_differs_between_two_runs_does_not_count(target: str, known: str) -> None:
    change = {"step": "s", "host": "h", "kind": "command", "target": target}
    assert moment(change) == f"s h command {known}"


def test_end_states_are_compared_line_by_line() -> None:
    before = {"x files": ["a", "b", "b"], "x units": ["u active"]}
    assert difference(before, before) == []
    after = {"x files": ["b", "c"], "y units": ["u active"]}
    assert difference(before, after) == [
        *("- x files: a", "- x files: b", "+ x files: c"),
        *("- x units: u active", "+ y units: u active"),
    ]
