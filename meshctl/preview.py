"""What a bootstrap would change, found by running the roles' own `apply` on hosts that only record.

Order doesn't matter while nothing is changed, so all roles look at the same time, each with its `prepare` before its
`apply`. Their questions travel in waves that are the same for all hosts (`Lockstep`), so that every host is visited as
often as the longest chain of questions of any one role needs, and no more.

A step that can't get on because of a change that is only recorded, its own or one it depends on, has more to
do than can be known now; a step that fails although nothing lies before it is a problem.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from meshctl.cluster import Cluster
from meshctl.errors import MeshctlError
from meshctl.events import Change, Kind, Step
from meshctl.host.base import Host
from meshctl.host.changes import HostChange, Record
from meshctl.host.dryrun import DryRunHost
from meshctl.host.lockstep import Lockstep
from meshctl.plan import Plan
from meshctl.roles.base import Problem, problem_of
from meshctl.state import VolatileState


@dataclass(frozen=True, slots=True)
class Unknown:
    """A step whose further changes depend on one that has not been made; `after` names the steps it waits for."""

    step: str
    host: str
    what: str
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """The answer to "what would happen?"."""

    changes: tuple[Change, ...]
    unknown: tuple[Unknown, ...]
    problems: tuple[tuple[str, Problem], ...]
    """Step ids with what they found; a bootstrap would stop there."""

    @property
    def empty(self) -> bool:
        """Whether a bootstrap would find nothing to do."""
        return not (self.changes or self.unknown or self.problems)


@dataclass
class Previewer:
    """One preview of one plan."""

    plan: Plan
    cluster: Cluster
    _changes: dict[str, list[Change]] = field(default_factory=dict)
    _errors: dict[str, Exception] = field(default_factory=dict)
    _problems: list[tuple[str, Problem]] = field(default_factory=list)
    _curious: set[str] = field(default_factory=set)
    """Steps that wanted to know what is changed before them."""

    def __post_init__(self) -> None:
        self._state = VolatileState(self.cluster.state.path, self.cluster.state.seal)
        self._lockstep = Lockstep()

    async def run(self) -> Preview:
        """Ask every step what it would do."""
        steps = self.plan.order()
        await asyncio.gather(*(self._ask_role([s for s in steps if s.role == role]) for role in self.plan.roles))
        await self._ask_again([step for step in steps if step.id in self._curious])
        unknown = [self._unknown(step) for step in steps if self._lies_behind_changes(step)]
        return Preview(
            changes=tuple(change for step in steps for change in self._changes.get(step.id, ())),
            unknown=tuple(unknown),
            problems=tuple(self._problems) + tuple(self._faults(steps)),
        )

    async def _ask_role(self, steps: Sequence[Step]) -> None:
        for kinds in ({Kind.PREPARE}, {Kind.APPLY, Kind.VERIFY}):
            await asyncio.gather(*(self._ask(step) for step in steps if step.kind in kinds))

    async def _ask_again(self, steps: Sequence[Step]) -> None:
        """What depends on what is changed before it can be answered only when everybody else has."""
        if not self._changes:
            return
        for step in steps:
            self._changes.pop(step.id, None)
            self._errors.pop(step.id, None)
        await asyncio.gather(*(self._ask(step) for step in steps))

    async def _ask(self, step: Step) -> None:
        role = self.plan.roles[step.role]
        cluster = self._view(step)
        try:
            if step.kind is Kind.PREPARE:
                await role.prepare(cluster)
            elif step.kind is Kind.APPLY:
                node = cluster.topology.node(step.node or "")
                await role.apply(node, cluster.host(node), cluster)
            elif not step.needs:  # a gate before all changes: what it finds stops a bootstrap
                self._problems += [(step.id, problem) for problem in await role.verify(cluster)]
        except Exception as error:  # noqa: BLE001  (behind a recorded change a role may stumble anyhow; sorted out below)
            self._errors[step.id] = error

    def _view(self, step: Step) -> Cluster:
        hosts: dict[str, Host] = {
            name: DryRunHost(host, self._lockstep, self._recorder(step)) for name, host in self.cluster.hosts.items()
        }
        return replace(self.cluster, hosts=hosts, state=self._state, changed=lambda: self._changed(step))

    def _recorder(self, step: Step) -> Record:
        def record(seen: HostChange) -> None:
            change = Change(step.id, seen.host, seen.kind, seen.target, seen.reason, seen.diff)
            self._changes.setdefault(step.id, []).append(change)

        return record

    def _changed(self, step: Step) -> frozenset[str]:
        self._curious.add(step.id)
        return frozenset(self._changes) & self.plan.ancestors(step.id)

    def _before(self, step: Step) -> tuple[str, ...]:
        """The steps with changes that this one depends on, itself included."""
        ancestors = self.plan.ancestors(step.id) | {step.id}
        return tuple(one for one in self._changes if one in ancestors)

    def _lies_behind_changes(self, step: Step) -> bool:
        return step.id in self._errors and bool(self._before(step))

    def _unknown(self, step: Step) -> Unknown:
        return Unknown(step.id, step.node or "", str(self._errors[step.id]), self._before(step))

    def _faults(self, steps: list[Step]) -> list[tuple[str, Problem]]:
        """The errors that a bootstrap would meet; where a step fails, it would not get to those that need the step."""
        return [
            (step.id, problem_of(_foreseen(self._errors[step.id]), step.node or ""))
            for step in steps
            if step.id in self._errors and not self._before(step) and not self._fails_before(step)
        ]

    def _fails_before(self, step: Step) -> bool:
        return not self._errors.keys().isdisjoint(self.plan.ancestors(step.id))


def _foreseen(error: Exception) -> MeshctlError:
    """The error of a step with nothing changed before it; anything but ours is a defect and goes up."""
    if not isinstance(error, MeshctlError):
        raise error
    return error
