"""Why a daemon does not run: what systemd and the daemon's own last lines say."""

import re
from dataclasses import dataclass

from meshctl.host.base import Host
from meshctl.roles.parsing import parser, understand

_LINES = 3
_TELLING = re.compile(
    r"error|fail|unable|cannot|can't|denied|refused|in use|no space|corrupt|missing|\(\d+\)", re.IGNORECASE
)
_SYSTEMD = re.compile(r"^\S+\.(service|socket): |^(Start|Stopp)(ed|ing) ")
"""What systemd says about a unit: that it failed is known already."""

_SCRIPT = 'systemctl show -p ActiveState,SubState,Result -- "$1"; echo; journalctl -b -u "$1" -n 40 -o cat --no-pager'


@dataclass(frozen=True, slots=True)
class LastWords:
    """`failed`: systemd won't try again by itself. `state` as in "failed (failed, exit-code)"."""

    failed: bool
    state: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((self.state, *self.lines))


async def last_words(host: Host, unit: str) -> LastWords:
    """What is known about a unit that should run and doesn't."""
    argv = ["sh", "-c", _SCRIPT, "sh", unit]
    told = await host.query(argv, ok=None)
    return understand(host.name, argv, parse, told.stdout)


@parser
def parse(output: str) -> LastWords:
    """`systemctl show`, an empty line, and the end of the journal: of that the lines that sound like a reason."""
    shown, _, journal = output.partition("\n\n")
    fields = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    active = fields.get("ActiveState", "unknown")
    own = journal.splitlines() if active != "active" else []  # what a running one said may be of an earlier start
    lines = [line.strip() for line in own if line.strip() and not _SYSTEMD.search(line)]
    telling = list(dict.fromkeys(line for line in lines if _TELLING.search(line)))
    state = f"{active} ({fields.get('SubState', '')}, {fields.get('Result', '')})"
    return LastWords(active == "failed", state, tuple((telling or lines)[-_LINES:]))
