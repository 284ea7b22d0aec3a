"""Toy roles over fake hosts: what the engine does, without any layer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from meshctl.cluster import Cluster
from meshctl.errors import CommandError
from meshctl.host import Host, text
from meshctl.roles.base import Problem, Role
from meshctl.topology import Node


@dataclass
class Diary:
    """What happened, in order; and what should go wrong."""

    lines: list[str] = field(default_factory=list)
    fail: set[str] = field(default_factory=set)
    crash: set[str] = field(default_factory=set)
    hold: dict[str, asyncio.Event] = field(default_factory=dict)
    sick: dict[str, int] = field(default_factory=dict)
    """Role -> how many looks of its gate still find a problem."""
    hopeless: set[str] = field(default_factory=set)
    quiet: set[str] = field(default_factory=set)
    """Steps that find everything in place."""

    async def visit(self, step: str) -> None:
        self.lines.append(f"start {step}")
        if step in self.hold:
            await self.hold[step].wait()
        if step in self.fail:
            raise CommandError(step.rsplit("@", maxsplit=1)[-1], ["false"], 1, "no luck")
        if step in self.crash:
            raise ZeroDivisionError(step)
        self.lines.append(f"end {step}")


class ToyRole(Role):
    diary: ClassVar[Diary]
    summary = "a toy"
    poll = 0.001

    async def apply(self, node: Node, host: Host, cluster: Cluster) -> None:
        step = f"{self.name}@{node.name}"
        await self.diary.visit(step)
        if step not in self.diary.quiet:
            await host.run(["touch", step], reason="it is missing")
            await host.put({f"/etc/{self.name}": text("x")})

    async def verify(self, cluster: Cluster) -> list[Problem]:
        await self.diary.visit(f"{self.name}.verify")
        problem = Problem("node1", f"{self.name} is sick", "health", "sickness", final=self.name in self.diary.hopeless)
        self.diary.sick[self.name] = self.diary.sick.get(self.name, 0) - 1
        return [problem] if self.diary.sick[self.name] >= 0 else []

    def gate_timeout(self) -> float:
        return 0.5


MakeRole = Callable[..., type[ToyRole]]
