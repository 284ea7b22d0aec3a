"""`python -m tests.matrix`: the kill matrix (docs/reliability.md). Root; hours for all of it; may be interrupted."""

import argparse
import random
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.matrix.arena import ROOT, Arena
from tests.matrix.points import Point, chains, points
from tests.matrix.results import Results, revision
from tests.matrix.trial import storm, trial


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--only", default="", metavar="REGEX", help="points that match, e.g. 'power|ovn@node1'")
    parser.add_argument("--seed", type=int, default=0, help="another order of the points (default %(default)s)")
    parser.add_argument("--slice", default="1/1", metavar="I/N", help="every N-th group, from the I-th on")
    parser.add_argument("--minutes", type=float, default=10_000, help="start no further group after that")
    parser.add_argument("--longest", type=int, default=16, help="points that one bootstrap meets (default %(default)s)")
    parser.add_argument("--lab", default="matrix", help="name of the lab (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    parser.add_argument("--storm", type=int, metavar="N", help="instead: kill run after run, each after N changes")
    parser.add_argument("--list", action="store_true", help="print the points and groups; run none")
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
        return _storm(arena, given) if given.storm else _matrix(arena, given)
    finally:
        if not given.keep:
            arena.close()


def _matrix(arena: Arena, given: argparse.Namespace) -> int:
    ends = time.monotonic() + 60 * given.minutes
    results = Results(given.folder / "results.jsonl", revision(ROOT))
    wanted = [point for point in points(arena.journal) if re.search(given.only, str(point))]
    groups = _groups(arena, [point for point in wanted if given.again or not results.done(point)], given)
    while groups and not given.list and time.monotonic() < ends:
        group = groups.pop(0)
        print(f"{len(groups) + 1} groups left: {' '.join(map(str, group))}", flush=True)
        verdict = trial(arena, group)
        results.add(verdict)
        print(f"  {'passed' if verdict.ok else 'FAILED'} after {verdict.seconds:.0f} s", flush=True)
        for line in (*verdict.faults[:30], *(f"told: {text[:400]}" for text in verdict.said)):
            print(f"    {line}", flush=True)
        if not verdict.ok and len(group) > 1:
            groups = [(point,) for point in group] + groups
    if given.list:
        print("\n".join(" ".join(map(str, group)) for group in groups))
    print(results.summary(wanted))
    return int(any(not line["ok"] for line in results.last.values()))


def _storm(arena: Arena, given: argparse.Namespace) -> int:
    verdict = storm(arena, given.storm)
    for number, struck in enumerate(verdict.struck, 1):
        print(f"run {number} killed {struck}")
    Results(given.folder / "storms.jsonl", revision(ROOT)).add(verdict)
    print(f"{'passed' if verdict.ok else 'FAILED'}: {len(verdict.struck)} runs killed, {verdict.seconds:.0f} s")
    print("\n".join(verdict.faults))
    return int(not verdict.ok)


def _groups(arena: Arena, wanted: Sequence[Point], given: argparse.Namespace) -> list[tuple[Point, ...]]:
    """The largest first, else in a random order that the seed decides: a part of them is spread over all steps."""
    chance = random.Random(given.seed)  # noqa: S311  (an order, no secret)
    order = {step: number for number, step in enumerate(["", *arena.journal.needs])}
    mixed = sorted(wanted, key=lambda point: (order[point.step], chance.random()))
    groups = chains(arena.journal, mixed, given.longest)
    chance.shuffle(groups)
    groups.sort(key=len, reverse=True)
    first, of = map(int, given.slice.split("/"))
    return groups[first - 1 :: of]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
