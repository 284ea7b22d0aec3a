"""`python -m tests.matrix`: the kill matrix (docs/reliability.md). Root; hours for all of it; may be interrupted."""

import argparse
import random
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.matrix.arena import ROOT, Arena
from tests.matrix.points import Point, points
from tests.matrix.results import Results, revision
from tests.matrix.trial import trial


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--only", default="", metavar="REGEX", help="points that match, e.g. 'power|ovn@node1'")
    parser.add_argument("--seed", type=int, default=0, help="other groups of points (default %(default)s)")
    parser.add_argument("--most", type=int, default=60, help="points that one cluster meets (default %(default)s)")
    parser.add_argument("--minutes", type=float, default=10_000, help="start no further cluster after that")
    parser.add_argument("--lab", default="matrix", help="name of the lab (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    parser.add_argument("--list", action="store_true", help="print the groups of points; run none")
    parser.add_argument("--again", action="store_true", help="points that have passed with other code, too")
    parser.add_argument("--topology", type=Path, default=ROOT / "topologies/triangle.yaml")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/matrix", help="results (default %(default)s)")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """0 when no point has failed."""
    given = arguments(words)
    arena = Arena(given.lab, given.topology, given.folder)
    arena.open()
    try:
        return _matrix(arena, given)
    finally:
        if not given.keep:
            arena.close()


def _matrix(arena: Arena, given: argparse.Namespace) -> int:
    ends = time.monotonic() + 60 * given.minutes
    results = Results(given.folder / "results.jsonl", revision(ROOT))
    wanted = [point for point in points(arena.journal) if re.search(given.only, str(point))]
    groups = _groups([point for point in wanted if given.again or not results.done(point)], given)
    if given.list:
        print("\n".join(" ".join(map(str, group)) for group in groups))
    while groups and not given.list and time.monotonic() < ends:
        groups += _meet(arena, groups.pop(0), results)
    print(results.summary(wanted))
    return int(any(not line["ok"] for line in results.last.values()))


def _meet(arena: Arena, group: Sequence[Point], results: Results) -> list[list[Point]]:
    """One cluster. What is to be tried again: the halves of a group that failed, and points that were not met."""
    verdict = trial(arena, group)
    results.add(verdict)
    met = list(verdict.struck)
    missed = [point for point in group if point not in verdict.struck]
    said = "passed" if verdict.ok else "FAILED"
    print(f"{said}: {len(met)} of {len(group)} points met, {verdict.seconds:.0f} s", flush=True)
    for line in (*verdict.faults[:30], *(f"told: {text[:400]}" for text in verdict.said)):
        print(f"    {line}", flush=True)
    halves = [] if verdict.ok or len(met) < 2 else [met[: len(met) // 2], met[len(met) // 2 :]]
    if missed and not met:
        print(f"    never met: {' '.join(map(str, missed))}", flush=True)
        missed = []
    return [group for group in (*halves, missed) if group]


def _groups(wanted: Sequence[Point], given: argparse.Namespace) -> list[list[Point]]:
    """As few as `most` allows, of about the same size, each spread over all steps as the seed decides."""
    mixed = list(wanted)
    random.Random(given.seed).shuffle(mixed)  # noqa: S311  (an order, no secret)
    number = -(-len(mixed) // given.most)
    return [mixed[first::number] for first in range(number)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
