"""What is known of each point: JSON lines, so that an interrupted matrix goes on where it was."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.matrix.points import Point
from tests.matrix.trial import Verdict

_CODE = ("meshctl", "roles")


def revision(root: Path) -> str:
    """A short hash of all code that runs."""
    files = sorted(path for folder in _CODE for path in (root / folder).rglob("*") if path.is_file() and _counts(path))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files))
    return digest.hexdigest()[:12]


def _counts(path: Path) -> bool:
    return "__pycache__" not in path.parts and path.suffix != ".md"


class Results:
    """The lines of one file; the last one of a point counts."""

    def __init__(self, path: Path, code: str) -> None:
        self._path = path
        self._code = code
        lines = path.read_text().splitlines() if path.exists() else []
        self.last: dict[str, dict[str, Any]] = {line["point"]: line for line in map(json.loads, lines)}

    def done(self, point: Point) -> bool:
        """Whether it has passed, with whatever code."""
        return bool(self.last.get(str(point), {}).get("ok"))

    def add(self, verdict: Verdict) -> None:
        """Keep a verdict; of several points that failed together none is known to be at fault."""
        for point, where in verdict.struck.items():
            line = {
                "point": str(point),
                "ok": verdict.ok,
                "struck": where,
                "with": [str(other) for other in verdict.struck if other != point],
                "runs": verdict.runs,
                "faults": verdict.faults[:60],
                "said": [text for text in verdict.said if text.startswith(f"{point}: ")],
                "seconds": round(verdict.seconds, 1),
                "code": self._code,
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            self.last[str(point)] = line
            with self._path.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def summary(self, points: Iterable[Point]) -> str:
        """How far the matrix is, and what failed."""
        wanted = list(points)
        lines = [self.last[str(point)] for point in wanted if str(point) in self.last]
        passed = [line for line in lines if line["ok"]]
        now = sum(1 for line in passed if line["code"] == self._code)
        failed = [line for line in lines if not line["ok"]]
        said = [
            (
                f"{len(wanted)} points: {len(passed)} passed ({now} with this code), {len(failed)} failed, "
                f"{len(wanted) - len(lines)} not tried"
            )
        ]
        for _group, members in groupby(failed, key=lambda line: (line["at"], line["faults"])):
            together = list(members)
            said += [f"FAILED {line['point']}, struck {line['struck']}" for line in together]
            said += [f"    {fault}" for fault in together[0]["faults"][:10]]
        return "\n".join(said)
