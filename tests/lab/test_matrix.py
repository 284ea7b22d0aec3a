"""A sample of the kill matrix (docs/reliability.md): another one each day; `make test-matrix` runs all of it."""

import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.matrix.arena import ROOT, Arena
from tests.matrix.points import points
from tests.matrix.trial import trial

# Long until all points have passed: those that have never been met may still end in a difference that means nothing.
pytestmark = [pytest.mark.lab, pytest.mark.long]

SEED = int(os.environ.get("MATRIX_SEED") or datetime.now(UTC).strftime("%Y%m%d"))
SAMPLE = {"kill": 7, "power": 1, "ssh": 1}


def test_disturbed_and_run_again_ends_as_an_undisturbed_run(tmp_path: Path) -> None:
    arena = Arena(f"matrix-{os.getpid()}", ROOT / "topologies/triangle.yaml", tmp_path)
    chance = random.Random(SEED)  # noqa: S311  (a sample, no secret)
    try:
        arena.open()
        every = points(arena.journal)
        sample = [
            point
            for kind, number in SAMPLE.items()
            for point in chance.sample([point for point in every if point.kind == kind], number)
        ]
        verdict = trial(arena, sample)
    finally:
        arena.close()
    assert verdict.ok, "\n".join([f"with MATRIX_SEED={SEED}: {' '.join(map(str, sample))}", *verdict.faults])
    assert len(verdict.struck) >= len(sample) - 2, (
        f"with MATRIX_SEED={SEED} only {list(map(str, verdict.struck))} were met"
    )
