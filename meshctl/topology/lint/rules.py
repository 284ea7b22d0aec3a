"""What a rule is, and the list of all."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from meshctl.topology.model import Topology
from meshctl.topology.positions import Path as YamlPath


class Severity(StrEnum):
    """What a broken rule means."""

    ERROR = "error"
    WARNING = "warning"


Hit = tuple[YamlPath, str]
Check = Callable[[Topology], Iterator[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a topology must, or should, hold to."""

    id: str
    severity: Severity
    sentence: str
    why: str
    check: Check


RULES: list[Rule] = []


def rule(severity: Severity) -> Callable[[Check], Check]:
    """Register a check under its function's name, with dashes; its docstring is the sentence and the reason."""

    def register(check: Check) -> Check:
        sentence, _, why = inspect.cleandoc(check.__doc__ or "").partition("\n\n")
        RULES.append(Rule(check.__name__.replace("_", "-"), severity, sentence, " ".join(why.split()), check))
        return check

    return register


def lint(topology: Topology, severity: Severity) -> list[tuple[Rule, Hit]]:
    """Every broken rule of that severity with its place and sentence."""
    hits = ((one, hit) for one in RULES if one.severity is severity for hit in one.check(topology))
    return list(dict.fromkeys((one, (_place(topology, where), text)) for one, (where, text) in hits))


def _place(topology: Topology, where: YamlPath) -> YamlPath:
    """The pairs of hosts on the switch of all are no cables in the file."""
    match where:
        case ("cables", int(index), *_) if topology.cables[index].shared:
            return ("segment",)
    return where
