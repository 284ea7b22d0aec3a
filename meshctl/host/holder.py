"""Who holds a lock: what a colleague needs to know to find them. Pure."""

import getpass
import json
import os
import socket
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Self

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Holder:
    """A run that holds a lock. Only for people: nothing is decided by these words, least of all by the time."""

    who: str
    """The operator's login name."""
    where: str
    """The machine that meshctl runs on."""
    since: str
    """That machine's time, UTC."""
    run: str
    """The name of the run's log in the state folder there, without `.jsonl`."""
    process: str = UNKNOWN
    """Number of the meshctl process there."""

    @classmethod
    def here(cls, run: str) -> Self:
        """This process, now."""
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return cls(_login(), socket.gethostname(), since, run, str(os.getpid()))

    @classmethod
    def decode(cls, line: str) -> Self:
        """What `encode` made; what is missing or garbled is "unknown", and nothing in it can reach a terminal raw."""
        try:
            found = json.loads(line)
        except ValueError:
            found = {}
        if not isinstance(found, dict):
            found = {}
        return cls(*(_printable(found.get(field.name)) for field in fields(cls)))

    def encode(self) -> str:
        """One line of ASCII."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        return f"{self.who} on {self.where} since {self.since}, run {self.run} (process {self.process} there)"


def _login() -> str:
    """The person behind sudo, if there is one; the number of a user without a name."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # getpass: KeyError up to Python 3.12, then OSError
        return str(os.getuid())


def _printable(value: object) -> str:
    text = value if isinstance(value, str) and value else UNKNOWN
    return "".join(letter if letter.isprintable() else "?" for letter in text[:200])
