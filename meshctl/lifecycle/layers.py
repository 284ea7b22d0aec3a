"""The layers that take part in an absence, and in which order: from the roles' needs, nothing else."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from types import ModuleType

import meshctl.roles
from meshctl.roles.base import Role


@dataclass(frozen=True, slots=True)
class Layer:
    """A role, what it does for an absence (`meshctl/roles/absence.py`), and what lies below it."""

    role: Role
    absence: ModuleType
    below: frozenset[str]
    """The layers it works on, directly or not."""

    @property
    def name(self) -> str:
        """The role's."""
        return self.role.name

    def can(self, ability: str) -> bool:
        """Whether it has `spare`, `expect`, `drain` or `restore`."""
        return hasattr(self.absence, ability)


def layers(roles: Sequence[Role]) -> list[Layer]:
    """Those that take part, each after all it works on: the order of restoring; draining goes the other way."""
    modules = {role.name: module for role in roles if (module := part(role, "absence"))}
    known = {role.name: role for role in roles}
    direct = {name: _works_on(role, modules.get(name)) & known.keys() for name, role in known.items()}
    order = [name for name in _sorted(direct) if name in modules]
    return [
        Layer(known[name], modules[name], frozenset(_closure(name, direct)) & modules.keys() - {name}) for name in order
    ]


def bottom_up(roles: Sequence[Role], name: str) -> list[tuple[Role, ModuleType | None]]:
    """Every role with its module of that name, after all that either needs."""
    known = {role.name: (role, part(role, name)) for role in roles}
    direct = {own: _works_on(role, module) & known.keys() for own, (role, module) in known.items()}
    return [known[own] for own in _sorted(direct)]


def _sorted(direct: Mapping[str, frozenset[str]]) -> Iterator[str]:
    return iter(TopologicalSorter(dict(sorted(direct.items()))).static_order())


def part(role: Role, name: str) -> ModuleType | None:
    """A role's module of that name (`absence`, `removal`); None when it has none."""
    path = f"{meshctl.roles.__name__}.{role.name}.{name}"
    try:
        found = importlib.util.find_spec(path)
    except ModuleNotFoundError:  # a role that has no folder of its own
        return None
    return importlib.import_module(path) if found else None


def _works_on(role: Role, module: ModuleType | None) -> frozenset[str]:
    uses: frozenset[str] = getattr(module, "USES", frozenset())
    return role.needs | uses


def _closure(name: str, direct: Mapping[str, frozenset[str]]) -> Iterator[str]:
    seen, waiting = {name}, [name]
    while waiting:
        for other in direct[waiting.pop()] - seen:
            seen.add(other)
            waiting.append(other)
            yield other
