"""Hosts for tests of planned absences: units that start and stop, and one Ceph cluster that all of them can ask."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshctl.cluster import Cluster
from meshctl.host.base import Result
from meshctl.host.fake import FakeHost
from meshctl.roles.ceph import ASK
from meshctl.state import StateFolder
from meshctl.topology import Topology


@dataclass
class AbsenceHost(FakeHost):
    """`units` is what runs; `ceph` has an answer for each command by its prefix, or a function that gives one."""

    units: dict[str, str] = field(default_factory=dict)
    ceph: dict[str, Any] = field(default_factory=dict)
    stopped: Callable[[str], None] | None = None
    """Hears of every unit that was stopped."""

    def _answer(self, argv: Sequence[str], ok: Collection[int] | None) -> Result:
        words = list(argv)
        if words[0] == ASK:
            return Result(tuple(argv), 0, json.dumps(self._ceph(words[2:])), "")
        if words[0] == "systemctl" and words[1] in {"show", "start", "stop", "is-active", "is-enabled"}:
            return self._systemctl(words)
        return super()._answer(argv, ok)

    def _ceph(self, rounds: list[str]) -> list[dict[str, Any]]:
        told = [json.loads(text) for text in rounds]
        commands = [command for one in told for command in (one if isinstance(one, list) else [one])]
        return [self._one(command) for command in commands]

    def _one(self, command: dict[str, Any]) -> dict[str, Any]:
        found = self.ceph[command["prefix"]]
        found = found(command) if callable(found) else found
        if isinstance(found, str):  # a refusal
            return {"status": -16, "output": "", "error": found}
        return {"status": 0, "output": json.dumps(found), "error": ""}

    def _systemctl(self, words: list[str]) -> Result:
        verb, names = words[1], [word for word in words[2:] if word.endswith((".service", ".socket"))]
        if verb == "show":
            blocks = [f"Id={n}\nActiveState={self.units.get(n, 'inactive')}\nUnitFileState=enabled\n" for n in names]
            return Result(tuple(words), 0, "\n".join(blocks), "")
        if verb == "is-enabled":
            return Result(tuple(words), 0, "\n".join("enabled" for _ in names), "")
        if verb == "is-active":
            return Result(tuple(words), 0 if all(self.units.get(n) == "active" for n in names) else 3, "", "")
        for name in names:
            self.units[name] = "active" if verb == "start" else "inactive"
            if verb == "stop" and self.stopped:
                self.stopped(name)
        return Result(tuple(words), 0, "", "")


def cluster_of(topology: Topology, hosts: Sequence[FakeHost], folder: Path) -> Cluster:
    return Cluster(topology, {host.name: host for host in hosts}, StateFolder(folder))
