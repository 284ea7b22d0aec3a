"""Kernel settings as data, and the commands that read and write them without procps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ROOT = "/proc/sys/"


@dataclass(frozen=True, slots=True)
class Setting:
    """One key. `at_least`: a host that already has more is left alone."""

    key: str
    value: int
    why: str
    at_least: bool = False

    @property
    def path(self) -> str:
        """Where the kernel shows it."""
        return ROOT + self.key.replace(".", "/")

    @property
    def of_network(self) -> bool:
        """Settings of the network namespace: without these the mesh does not work, so they are never optional."""
        return self.key.startswith("net.")

    def satisfied(self, seen: int | None) -> bool:
        """Whether a value that was read is good enough; None is one that could not be read."""
        return seen is not None and (seen >= self.value if self.at_least else seen == self.value)


SETTINGS = (
    Setting("net.ipv4.ip_forward", 1, "Hosts carry each other's traffic when a cable is cut."),
    Setting("net.ipv6.conf.all.forwarding", 1, "The same for IPv6."),
    Setting("net.ipv4.conf.all.rp_filter", 2, "Answers may come back through another cable than the question left."),
    Setting("net.ipv4.conf.default.rp_filter", 2, "The same for NICs that appear later."),
    Setting("net.ipv4.fib_multipath_hash_policy", 1, "Equal routes share connections, not only pairs of hosts."),
    Setting("fs.aio-max-nr", 1048576, "Each OSD keeps thousands of asynchronous requests ready.", at_least=True),
    Setting("fs.inotify.max_user_instances", 1024, "Every container's systemd wants some.", at_least=True),
    Setting("fs.inotify.max_user_watches", 1048576, "The same.", at_least=True),
    Setting("kernel.pid_max", 4194304, "OSDs and containers together have many threads.", at_least=True),
)

# Each argument is PATH=VALUE. All are tried; one that can't be written is no failure: the caller looks again.
WRITE = b"""\
for setting; do
    printf '%s\\n' "${setting#*=}" 2>/dev/null > "${setting%%=*}" || echo "${setting%%=*} can't be written" >&2
done
exit 0
"""


def reading(settings: Sequence[Setting] = SETTINGS) -> list[str]:
    """The command that shows all of them, as PATH:VALUE; it exits with 2 when one does not exist."""
    return ["grep", "-sH", "", *(setting.path for setting in settings)]


def parse(text: str) -> dict[str, int]:
    """What `reading` prints, by path."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {path: int(value) for path, value in pairs if value.strip().lstrip("-").isdigit()}


def wrong(seen: Mapping[str, int], settings: Sequence[Setting] = SETTINGS) -> list[Setting]:
    """The settings that are not as they should be."""
    return [setting for setting in settings if not setting.satisfied(seen.get(setting.path))]
