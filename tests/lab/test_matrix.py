"""A sample of the kill matrix (docs/reliability.md): another one each day; `make test-matrix` runs all of it."""

import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.matrix.arena import ROOT, Arena
from tests.matrix.points import chains, points
from tests.matrix.trial import trial

pytestmark = [pytest.mark.lab, pytest.mark.long]

SEED = int(os.environ.get("MATRIX_SEED") or datetime.now(UTC).strftime("%Y%m%d"))
SAMPLE = 3


def test_disturbed_and_run_again_ends_as_an_undisturbed_run(tmp_path: Path) -> None:
    arena = Arena(f"matrix-{os.getpid()}", ROOT / "topologies/triangle.yaml", tmp_path)
    try:
        arena.open()
        chance = random.Random(SEED)  # noqa: S311  (a sample, no secret)
        mixed = points(arena.journal)
        chance.shuffle(mixed)
        group = chance.choice([chain for chain in chains(arena.journal, mixed, 16) if len(chain) >= SAMPLE])
        sample = [group[number] for number in sorted(chance.sample(range(len(group)), SAMPLE))]
        verdict = trial(arena, sample)
    finally:
        arena.close()
    assert verdict.ok, "\n".join([f"with MATRIX_SEED={SEED}: {' '.join(map(str, sample))}", *verdict.faults])
