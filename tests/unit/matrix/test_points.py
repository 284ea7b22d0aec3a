"""The points of the kill matrix follow from a run's journal: none is forgotten, none meets half a step."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.matrix.endstate import difference
from tests.matrix.points import Journal, Point, chains, points

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
    lines += [{"event": "changed", "step": s, "host": h, "kind": k, "at": at} for s, h, k, at in CHANGES]
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


def test_groups_have_every_point_once_and_each_step_is_new(journal: Journal) -> None:
    wanted = points(journal)
    groups = chains(journal, wanted, 16)
    assert sorted(str(point) for group in groups for point in group) == sorted(map(str, wanted))
    for group in groups:
        steps = [point.step for point in group]
        assert len(set(steps)) == len(steps)
        assert not {"a@x", "a@y"} <= set(steps), "neither needs the other"
    assert [point.step for point in groups[0]] == ["", "a@x", "a.verify", "b@x", "b.verify"]
    assert {len(group) for group in chains(journal, wanted, 1)} == {1}


def test_end_states_are_compared_line_by_line() -> None:
    before = {"x files": ["a", "b", "b"], "x units": ["u active"]}
    assert difference(before, before) == []
    after = {"x files": ["b", "c"], "y units": ["u active"]}
    assert difference(before, after) == [
        *("- x files: a", "- x files: b", "+ x files: c"),
        *("- x units: u active", "+ y units: u active"),
    ]
