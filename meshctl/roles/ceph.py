"""What the Ceph roles share: asking the cluster many things at once, and where Ceph keeps what.

One start of `ceph` costs 0.15 s of CPU and one question more 0.07; `ceph-ask` (a file of the role ceph_config) puts
all questions of a look into one librados session: 0.05 s for four. The commands are the ones that `ceph` itself
sends; `shown` is how an operator types them.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshctl.errors import CommandError, ParseError
from meshctl.host.base import Host

ASK = "/usr/local/lib/meshctl/ceph-ask"
CONF = "/etc/ceph/ceph.conf"

SECONDS = 5
"""Deadline of one question. Without quorum `ceph` waits 300 s by itself."""

FOUNDING_KEY = "meshctl/founding"
"""A config-key that is there while settings hold which only the founding of a cluster needs (ceph_mon, ceph_pool)."""

Command = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the cluster said to one command; `status` is 0 or a negative errno."""

    status: int
    output: str
    error: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A line of the cluster's configuration database: `ceph config set WHO NAME VALUE`."""

    who: str
    name: str
    value: str

    @property
    def set(self) -> Command:
        """The command that sets it."""
        return {"prefix": "config set", "who": self.who, "name": self.name, "value": self.value}

    @property
    def remove(self) -> Command:
        """The command that removes it."""
        return {"prefix": "config rm", "who": self.who, "name": self.name}


def mon_socket(node: str) -> str:
    """The admin socket of a host's monitor; it answers without quorum."""
    return f"/run/ceph/ceph-mon.{node}.asok"


def shown(command: Command) -> tuple[str, ...]:
    """The command as an operator types it."""
    words = [str(command["prefix"])]
    for name, value in command.items():
        if name not in {"prefix", "format", "to"}:
            words += [str(word) for word in value] if isinstance(value, list) else [str(value)]
    to = str(command.get("to", ""))
    return ("ceph", "daemon", to, *words) if to.startswith("/") else ("ceph", *words)


async def ask(host: Host, *commands: Command, ok: Collection[int] | None = (0,)) -> list[Answer]:
    """Put questions to the cluster through one host, in order.

    A command goes to the monitors; `to="mgr"` sends it to the active manager, `to="/…asok"` to a daemon of that host.
    Raises CommandError for the first answer whose status is not in `ok` (None: any), as the operator types it.
    """
    lines = [json.dumps({"format": "json", **command}) for command in commands]
    argv = [ASK, str(SECONDS), *lines]
    result = await host.query(argv, timeout=SECONDS * (len(lines) + 1))
    answers = parse(host.name, argv, result.stdout)
    _check(host, commands, answers, ok)
    return answers


async def tell(host: Host, *commands: Command, reason: str) -> None:
    """Change the cluster through one host, in order. Raises CommandError for the first change that was refused."""
    lines = [json.dumps(command) for command in commands]
    argv = [ASK, str(SECONDS), *lines]
    result = await host.run(argv, reason=reason, timeout=SECONDS * (len(lines) + 1))
    if result.stdout:  # a dry run says nothing
        _check(host, commands, parse(host.name, argv, result.stdout), (0,))


def parse(host: str, argv: Sequence[str], output: str) -> list[Answer]:
    """What `ceph-ask` printed. Raises ParseError when it is something else."""
    try:
        return [Answer(a["status"], a["output"], a["error"]) for a in json.loads(output)]
    except (ValueError, KeyError, TypeError) as error:
        raise ParseError(host, argv, "a JSON list of answers", output) from error


def _check(host: Host, commands: Sequence[Command], answers: Sequence[Answer], ok: Collection[int] | None) -> None:
    for command, answer in zip(commands, answers, strict=False):
        if ok is not None and answer.status not in ok:
            said = answer.error or answer.output or "no reason given"
            raise CommandError(host.name, shown(command), -answer.status, said)


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit as `systemctl show` has it."""

    name: str
    active: str
    enabled: bool


async def units(host: Host, *names: str) -> dict[str, Unit]:
    """The units of these names."""
    shown = await host.query(["systemctl", "show", "-p", "Id,ActiveState,UnitFileState", "--", *names])
    found = [parse_unit(block) for block in shown.stdout.strip().split("\n\n")]
    return {unit.name: unit for unit in found}


def parse_unit(block: str) -> Unit:
    """One unit of `systemctl show -p Id,ActiveState,UnitFileState`."""
    fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    return Unit(
        fields.get("Id", ""), fields.get("ActiveState", ""), fields.get("UnitFileState", "").startswith("enabled")
    )


async def keep_running(host: Host, service: str, *pulled_in_by: str) -> bool:
    """Start a service now and at every boot, with the units that pull it in; True when it was not running.

    Ceph's units allow three to five starts in half an hour, so a failed one is forgiven first.
    """
    seen = await units(host, service, *pulled_in_by)
    idle = [name for name in (*pulled_in_by, service) if not seen[name].enabled]
    state = seen[service].active
    if state == "failed":
        await host.run(["systemctl", "reset-failed", "--", service], reason=f"{service} has failed before")
    if state not in {"active", "activating"}:
        names = [*idle, *(() if service in idle else (service,))]
        await host.run(["systemctl", "enable", "--now", "--", *names], reason=f"{service} is {state}")
        return True
    if idle:
        await host.run(["systemctl", "enable", "--", *idle], reason="Ceph would not start at boot")
    return False
