"""One host after the other: a plan for each, run only when the one before has ended well and the window is open."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from meshctl.cluster import Cluster
from meshctl.events import Event, Report
from meshctl.lifecycle.chain import Chain
from meshctl.lifecycle.plans import Absences
from meshctl.lifecycle.window import Window
from meshctl.topology import Node


@dataclass
class Rolling:
    """One rolling reboot; afterwards it knows which hosts it rebooted, and which remain."""

    absences: Absences
    nodes: Sequence[Node]
    cluster: Cluster
    emit: Callable[[Event], None]
    window: Window | None = None
    rebooted: dict[str, float] = field(default_factory=dict)
    """Seconds that each host took, from the first question to the last gate."""

    @property
    def remaining(self) -> list[str]:
        """The hosts that were not rebooted, or not to the end."""
        return [node.name for node in self.nodes if node.name not in self.rebooted]

    async def run(self) -> Report:
        """All hosts, or as far as it goes. Without a host to reboot, and outside the window, nothing is changed."""
        plans = {node.name: self.absences.rebooting(node) for node in self.nodes}
        first = self.absences.leftovers()
        chain = Chain((first, *plans.values()), self.cluster, self.emit)
        chain.begin()
        if plans and self._may_start(chain) and await chain.link(first):
            for name, plan in plans.items():
                started = time.monotonic()
                if not self._may_start(chain) or not await chain.link(plan):
                    break
                self.rebooted[name] = time.monotonic() - started
        return chain.end()

    def _may_start(self, chain: Chain) -> bool:
        if self.window is None or self.window.open:
            return True
        chain.notes.append(f"the window {self.window} is closed")
        return False
