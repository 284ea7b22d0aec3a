"""What is wrong with a topology file, with the place of each finding."""

from dataclasses import dataclass
from pathlib import Path

from meshctl.errors import MeshctlError

MOST = 50
"""Findings of one file; nobody reads on after so many."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault in a topology file; `line` and `column` count from 1."""

    line: int
    column: int
    path: str
    message: str
    rule: str = ""
    """The lint rule that found it (docs/lint.md); "" for what isn't even well formed."""

    def at(self, file: Path) -> str:
        """`file:line:column: path: message`, the form editors and people jump from."""
        where = f"{self.path}: " if self.path else ""
        rule = f" [{self.rule}]" if self.rule else ""
        return _printable(f"{file}:{self.line}:{self.column}: {where}{self.message}{rule}")


def _printable(text: str) -> str:
    """What comes from a file may hold anything; a terminal gets it escaped, and on one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


class TopologyError(MeshctlError):
    """A topology file can't be used; `findings` has every fault, in the order of the file."""

    exit_code = 3

    def __init__(self, file: Path, findings: list[Finding]) -> None:
        self.file = file
        self.findings = sorted(findings, key=lambda f: (f.line, f.column))[:MOST]
        if more := len(findings) - len(self.findings):
            last = self.findings[-1]
            self.findings.append(Finding(last.line, last.column, "", f"… and {more} more faults, from here on"))
        super().__init__("\n".join(f.at(file) for f in self.findings))
