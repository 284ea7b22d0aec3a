"""Which renderer a host gets: the topology's, the one that it was given before, or what it uses itself."""

from collections.abc import Mapping, Sequence

from meshctl.host.base import Host
from meshctl.roles.parsing import understand
from meshctl.topology import Node

from . import ifupdown, netplan, networkd, slackware
from .parse import Holding, Uses, holdings, uses
from .renderer import Renderer

ALL: Mapping[str, Renderer] = {
    one.name: one
    for one in (
        networkd.Networkd(),
        netplan.Netplan(),
        ifupdown.Ifupdown(),
        ifupdown.Ifupdown2(),
        slackware.Slackware(),
    )
}
DEFAULT = ALL["networkd"]

_PATHS = (
    *networkd.PATTERNS,
    netplan.PATH,
    ifupdown.PATH,
    slackware.ARRAYS,
    slackware.SCRIPT,
)
"""Files of ours, whichever renderer wrote them; patterns for a shell."""
OURS = ("sh", "-c", 'exec grep -sHE "^((Name|Kind|Address)=|# has: )" $*', "ours", *_PATHS)

# One word per line: what the host configures its own NICs with. Needs nothing installed.
_USES = """\
systemctl -q is-active systemd-networkd.service 2>/dev/null && echo networkd
[ -n "$(command -v netplan)" ] && ls /etc/netplan/*.yaml >/dev/null 2>&1 && echo netplan
if grep -qsE '^[[:space:]]*iface[[:space:]]+[^l[:space:]]' /etc/network/interfaces /etc/network/interfaces.d/*; then
    if [ -n "$(command -v ifreload)" ]; then echo ifupdown2; elif [ -n "$(command -v ifup)" ]; then echo ifupdown; fi
fi
[ -e /etc/slackware-version ] && echo slackware
:
"""


async def ours(host: Host) -> tuple[Holding, ...]:
    """What files of former runs give to which device."""
    told = await host.query(OURS, ok=(0, 1, 2))
    return understand(host.name, told.argv, holdings, told.stdout)


async def habits(host: Host) -> Uses:
    """What the host configures its own NICs with."""
    argv = ["sh", "-c", _USES]
    return understand(host.name, argv, uses, (await host.query(argv)).stdout)


def choose(node: Node, host: Uses, held: Sequence[Holding]) -> Renderer:
    """The topology's word, or else the host's."""
    return choice(host, held) if node.renderer == "auto" else ALL[node.renderer]


def choice(host: Uses, held: Sequence[Holding]) -> Renderer:
    """Never another one than before: two programs would configure the same devices at the next boot.

    >>> choice(frozenset({"networkd", "netplan"}), ()).name, choice(frozenset({"ifupdown2"}), ()).name
    ('netplan', 'ifupdown2')
    """
    if before := former(held):
        return before if before.name != "ifupdown" or "ifupdown2" not in host else ALL["ifupdown2"]
    for name in ("netplan", "networkd", "ifupdown2", "ifupdown", "slackware"):
        if name in host:
            return ALL[name]
    return DEFAULT


def former(held: Sequence[Holding]) -> Renderer | None:
    """The renderer that wrote these files; the default's when there are several."""
    names = {_writer(holding.path) for holding in held}
    return next((renderer for name, renderer in ALL.items() if name in names), None)


def _writer(path: str) -> str:
    if path.startswith(networkd.FOLDER):
        return "networkd"
    known = {netplan.PATH: "netplan", ifupdown.PATH: "ifupdown"}
    return known.get(path, "slackware")
