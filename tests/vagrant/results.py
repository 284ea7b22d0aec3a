"""What each stage took and found: one JSON object per line, so that an interrupted run goes on where it was."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Results:
    """The lines of one file; the last one of a stage counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.last: dict[str, dict[str, Any]] = {line["stage"]: line for line in map(json.loads, lines)}

    def done(self, stage: str) -> bool:
        """Whether it has passed."""
        return bool(self.last.get(stage, {}).get("ok"))

    def add(self, stage: str, *, ok: bool, seconds: float, found: str) -> None:
        """Keep a stage's outcome. Whatever comes after a stage that ran anew has to run anew as well."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        line = {"stage": stage, "ok": ok, "seconds": round(seconds, 1), "found": found, "at": at}
        self.last[stage] = line
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def table(self, stages: list[str]) -> str:
        """For people, and for docs/vagrant.md."""
        rows = []
        for stage in stages:
            line = self.last.get(stage)
            said = "not run" if line is None else "passed" if line["ok"] else "FAILED"
            rows.append(
                f"{stage:<12} {said:<8} {line['seconds'] if line else 0:>7.0f} s  {line['found'] if line else ''}"
            )
        return "\n".join(rows)
