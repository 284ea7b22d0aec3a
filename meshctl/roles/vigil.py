"""A command that a host runs by itself when the run that asked for it is over, however it ended.

The other half of a setting that must not outlive its run. The vigil is kept before the setting is made; it watches the
process that holds the run's lock on that host (docs/operations/locking.md) and starts the command when that has ended:
because the run let go, was killed, or was cut off for longer than its lock lives. It ends with the host's boot.
"""

from collections.abc import Sequence

from meshctl.host.base import Host
from meshctl.host.lockscripts import FOLDER, LIVES

_WATCH = (
    LIVES
    + r"""
pid=$1 start=$2
shift 2
while lives "$pid" "$start"; do sleep 1; done
until timeout 60 "$@"; do sleep 3; done
"""
)

_KEEP = (
    LIVES
    + r"""
d=$1 unit=$2 watch=$3
shift 3
{ read -r _ pid start <"$d/holder"; } 2>/dev/null && lives "$pid" "$start" || {
echo "no run holds the lock of this host" >&2
exit 1
}
if systemctl --quiet is-active "$unit"; then systemctl stop "$unit"; fi
# In the arguments of a unit a dollar is written twice (systemd.service(5)), and `watch` has it so.
exec systemd-run --quiet --collect --unit="$unit" -- sh -c "$watch" sh "$pid" "$start" "$@"
"""
)

_END = 'if systemctl --quiet is-active "$1"; then exec systemctl stop "$1"; fi'


def unit(name: str) -> str:
    """The unit that keeps the vigil called `name`."""
    return f"meshctl-vigil-{name}.service"


async def keep(host: Host, name: str, command: Sequence[str]) -> None:
    """Have `command` run there, again and again until it succeeds, once this run is over; replaces an older vigil.

    Raises CommandError when this run holds no lock there.
    """
    await host.safeguard(["sh", "-c", _KEEP, "sh", FOLDER, unit(name), _WATCH.replace("$", "$$"), *command])


async def end(host: Host, name: str) -> None:
    """The setting is undone, and nobody has to wait any more. Fine when nobody does."""
    await host.safeguard(["sh", "-c", _END, "sh", unit(name)])
