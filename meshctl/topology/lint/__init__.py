"""Rules beyond types: what a topology can get wrong although every value is well formed.

Each rule has an id, a sentence and a reason; docs/lint.md is generated from them. Errors make a topology unusable,
warnings are shown and nothing more. A rule stands in the module of its subject.
"""

from meshctl.topology.lint import addresses, bonds, cabling, capacity, protocols, recipients, vlans
from meshctl.topology.lint.rules import RULES, Rule, Severity, lint

__all__ = [
    "RULES",
    "Rule",
    "Severity",
    "addresses",
    "bonds",
    "cabling",
    "capacity",
    "lint",
    "protocols",
    "recipients",
    "vlans",
]
