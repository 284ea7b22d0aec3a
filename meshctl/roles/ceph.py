"""What the Ceph roles share: asking the cluster many things at once, and where Ceph keeps what.

One start of `ceph` costs 0.15 s of CPU and one question more 0.07; `ceph-ask` (a file of the role ceph_config) puts
all questions of a look into one librados session: 0.08 s, however many they are. That is why `survey` always puts the
same ones: roles that look at the same time then share one answer. The commands are the ones that `ceph` itself sends;
`shown` is how an operator types them.
"""

import errno
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from meshctl.errors import CommandError, ParseError
from meshctl.host.base import Host
from meshctl.roles.parsing import understand
from meshctl.roles.units import Unit, units

T = TypeVar("T")

ASK = "/usr/local/lib/meshctl/ceph-ask"
CONF = "/etc/ceph/ceph.conf"

SECONDS = 5
"""Deadline of one question. Without quorum `ceph` waits 300 s by itself."""

FOUNDING_KEY = "meshctl/founding"
"""A config-key that is there while settings hold which only the founding of a cluster needs (ceph_mon, ceph_health)."""

MIN_SIZE_KEY = "meshctl/min_size"
"""A config-key that is there while pools serve from fewer copies than they want: after `recover`, until all is clean
again. Pool → the `min_size` that ceph_health then puts back."""

HANDOVER_KEY = "meshctl/handover"
"""The config-key of what another operator needs (handover)."""

_NO_QUORUM = "Too few monitors answer. Each can be asked without the others: ceph daemon mon.HOST mon_status"

Command = Mapping[str, Any]

STATUS: Command = {"prefix": "status"}
HEALTH: Command = {"prefix": "health"}
MGR_STAT: Command = {"prefix": "mgr stat"}
MGR_DUMP: Command = {"prefix": "mgr dump", "keep": ["active_name", "standbys"]}
OSD_DUMP: Command = {"prefix": "osd dump"}
OSD_TREE: Command = {"prefix": "osd tree"}
CONFIG_DUMP: Command = {"prefix": "config dump"}
FOUNDING_NOTE: Command = {"prefix": "config-key get", "key": FOUNDING_KEY}
MIN_SIZE_NOTE: Command = {"prefix": "config-key get", "key": MIN_SIZE_KEY}
HANDOVER: Command = {"prefix": "config-key get", "key": HANDOVER_KEY}

SURVEY = (STATUS, HEALTH, MGR_STAT, MGR_DUMP, OSD_DUMP, OSD_TREE, CONFIG_DUMP, FOUNDING_NOTE, MIN_SIZE_NOTE, HANDOVER)
"""What `survey` asks."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the cluster said to one command; `status` is 0 or a negative errno."""

    status: int
    output: str
    error: str
    host: str = ""
    command: tuple[str, ...] = ()
    """As an operator types it."""

    def read(self, parse: Callable[[str], T]) -> T:
        """What a parser makes of it. Raises ParseError when it is something else."""
        return understand(self.host, self.command, parse, self.output)


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


def purge_new(osd: int) -> Command:
    """The command that forgets an OSD which was announced and never made; it refuses one that has ever been up."""
    return {"prefix": "osd purge-new", "id": osd, "yes_i_really_mean_it": True}


def mon_socket(node: str) -> str:
    """The admin socket of a host's monitor; it answers without quorum."""
    return f"/run/ceph/ceph-mon.{node}.asok"


def shown(command: Command) -> tuple[str, ...]:
    """The command as an operator types it."""
    words = [str(command["prefix"])]
    for name, value in command.items():
        if name not in {"prefix", "format", "to", "keep"}:
            words += [str(word) for word in value] if isinstance(value, list) else [str(value)]
    to = str(command.get("to", ""))
    return ("ceph", "daemon", to, *words) if to.startswith("/") else ("ceph", *words)


async def ask(host: Host, *commands: Command, ok: Collection[int] | None = (0,)) -> list[Answer]:
    """Put questions to the cluster through one host, in order.

    A command goes to the monitors; `to="mgr"` sends it to the active manager, `to="/…asok"` to a daemon of that host.
    Raises CommandError for the first answer whose status is not in `ok` (None: any), as the operator types it.
    """
    answers = await _put(host, [_line(command) for command in commands], commands)
    _check(host, commands, answers, ok)
    return answers


async def survey(host: Host, *commands: Command, ok: Collection[int] = (0,)) -> list[Answer]:
    """The answers to some commands of SURVEY, all of which are put at the same time.

    Raises CommandError for the first of `commands` whose status is not in `ok`.
    """
    answers = await _put(host, ["[" + ", ".join(_line(command) for command in SURVEY) + "]"], SURVEY)
    if len(answers) != len(SURVEY):
        raise ParseError(host.name, [ASK], f"{len(SURVEY)} answers", str(answers))
    chosen = [answers[SURVEY.index(command)] for command in commands]
    _check(host, commands, chosen, ok)
    return chosen


def _line(command: Command) -> str:
    return json.dumps({"format": "json", **command})


async def _put(host: Host, rounds: Sequence[str], commands: Sequence[Command]) -> list[Answer]:
    argv = [ASK, str(SECONDS), *rounds]
    result = await host.query(argv, timeout=SECONDS * (len(rounds) + 1))
    answers = zip(parse(host.name, argv, result.stdout), commands, strict=False)
    return [replace(answer, host=host.name, command=shown(command)) for answer, command in answers]


async def tell(host: Host, *rounds: Sequence[Command], reason: str) -> None:
    """Change the cluster through one host: one round of commands after the other, those of a round at the same time.

    The monitors agree on all changes of a round at once. Raises CommandError for the first change that was refused.
    """
    wanted = [list(commands) for commands in rounds if commands]
    argv = [ASK, str(SECONDS), *(json.dumps(commands) for commands in wanted)]
    result = await host.run(argv, reason=reason, timeout=SECONDS * (len(wanted) + 1))
    if result.stdout:  # a dry run says nothing
        flat = [command for commands in wanted for command in commands]
        _check(host, flat, parse(host.name, argv, result.stdout), (0,))


def parse(host: str, argv: Sequence[str], output: str) -> list[Answer]:
    """What `ceph-ask` printed. Raises ParseError when it is something else."""
    try:
        return [Answer(int(a["status"]), str(a["output"]), str(a["error"])) for a in json.loads(output)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ParseError(host, argv, "a JSON list of answers", output) from error


def _check(host: Host, commands: Sequence[Command], answers: Sequence[Answer], ok: Collection[int] | None) -> None:
    for command, answer in zip(commands, answers, strict=False):
        if ok is not None and answer.status not in ok:
            said = answer.error or answer.output or "no reason given"
            advice = _NO_QUORUM if answer.status == -errno.ETIMEDOUT else ""
            raise CommandError(host.name, shown(command), -answer.status, said, advice=advice)
    if len(answers) != len(commands) and ok is not None:
        raise ParseError(host.name, [ASK], f"{len(commands)} answers", str(answers))


async def keep_running(host: Host, service: str, *pulled_in_by: str) -> None:
    """Start a service now and at every boot, with the units that pull it in."""
    await start(host, await units(host, service, *pulled_in_by), service)


async def start(host: Host, seen: Mapping[str, Unit], service: str) -> None:
    """Start `service` if it doesn't run, and enable all that was `seen` for the next boot.

    Ceph's units allow three to five starts in half an hour, so a failed one is forgiven first.
    """
    unit = seen[service]
    idle = [name for name, other in seen.items() if not other.enabled]
    if unit.state == "failed":
        await host.run(["systemctl", "reset-failed", "--", service], reason=f"{service} has failed before")
    if idle:
        # For a unit that doesn't run, `--root=/` makes the same links without reloading all of systemd (0.15 s of CPU).
        offline = [] if unit.runs else ["--root=/"]
        await host.run(["systemctl", *offline, "enable", "--", *idle], reason="Ceph would not start at boot")
    if not unit.runs:
        await host.run(["systemctl", "start", "--", service], reason=f"{service} is {unit.state}")
