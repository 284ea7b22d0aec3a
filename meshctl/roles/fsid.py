"""Which Ceph cluster a host belongs to, as its ceph.conf says."""

from collections.abc import Iterable

from meshctl.host.base import Host
from meshctl.roles.ceph import CONF
from meshctl.roles.parsing import parser, understand

_STATED = ("grep", "-E", r"^[[:space:]]*fsid[[:space:]]*=", CONF)


async def stated(host: Host) -> str | None:
    """The fsid in the host's ceph.conf; None without one."""
    told = await host.query(_STATED, ok=(0, 1, 2))  # 1: no such line, 2: no such file
    return understand(host.name, _STATED, fsid, told.stdout)


@parser
def fsid(conf: str) -> str | None:
    """The fsid in a ceph.conf, or in the line of one that states it; None when there is none."""
    for line in conf.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip() == "fsid":
            return value.split("#")[0].split(";")[0].strip().lower()
    return None


def common(fsids: Iterable[str | None]) -> str | None:
    """The one that all hosts have which have any; None when there is none, or more than one."""
    known = {one for one in fsids if one}
    return known.pop() if len(known) == 1 else None
