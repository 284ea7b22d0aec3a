"""Slackware: arrays for rc.inet1, and a script in the style of rc.local for what rc.inet1 has no words for."""

from collections.abc import Sequence
from typing import ClassVar

from meshctl.host.base import Files, text
from meshctl.roles.templates import environment
from meshctl.topology import Node

from .iproute import BootOnly
from .wanted import Device, options

ARRAYS = "/etc/rc.d/rc.inet1.conf.meshctl"
"""rc.inet1.conf is a shell script and the operator's own: it ends in `. /etc/rc.d/rc.inet1.conf.meshctl`."""
SCRIPT = "/etc/rc.d/rc.meshctl"
"""Called by rc.local: `[ -x /etc/rc.d/rc.meshctl ] && . /etc/rc.d/rc.meshctl`."""
FIRST = 20
"""Index of our first interface; the lower ones are the operator's."""

_TEMPLATES = environment(__package__)


class Slackware(BootOnly):
    """For who renders the files and installs them: `bootstrap` knows the packages of Debian and Ubuntu only."""

    name: ClassVar[str] = "slackware"
    program: ClassVar[str] = "rc.inet1"

    def files(self, node: Node, devices: Sequence[Device]) -> Files:
        """The loopback goes to the script: rc.inet1 configures lo by itself, and members with their bond."""
        arrays, script = (_TEMPLATES.get_template(name) for name in ("rc.inet1.conf.j2", "rc.meshctl.j2"))
        inet1 = [device for device in devices if device.name != "lo" and (device.virtual or not device.master)]
        return {
            ARRAYS: text(arrays.render(node=node, devices=inet1, first=FIRST, words=_words)),
            SCRIPT: text(script.render(node=node, devices=devices), mode=0o755),
        }


def _words(device: Device) -> str:
    """A bond's settings as IFOPTS has them: a name, a blank, a value; a bar between two."""
    primary = [("primary", device.primary)] if device.primary else []
    return " | ".join(f"{key} {value}" for key, value in (*options(device)[1:], *primary))
