"""The interface of renderers: one list of devices, kept by whatever configures a host's network at boot."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from meshctl.host.base import Files, Host
from meshctl.topology import Node

from .parse import Holding, Link
from .wanted import Device


@dataclass(frozen=True, slots=True)
class Sight:
    """What a renderer finds of its program on a host."""

    ready: bool = True
    """It runs (or needs nothing that runs)."""
    at_boot: bool = True
    """It will run after the next boot."""
    late: Sequence[str] = field(default=())
    """Devices whose file it has not read yet: written by a run that was killed before it could say so."""


@dataclass(frozen=True, slots=True)
class Change:
    """What there is to do after the files are written."""

    node: Node
    devices: Sequence[Device]
    links: Mapping[str, Link]
    """The kernel's, from before."""
    written: Collection[str]
    stale: Sequence[Holding]
    drift: Mapping[str, str]
    """Devices that are not as they should be, and what is wrong."""
    sight: Sight


class Renderer(ABC):
    """One way to keep links. Stateless; the same devices give the same bytes."""

    name: ClassVar[str]
    program: ClassVar[str]
    """What the operator knows it by."""
    forgets: ClassVar[bool] = True
    """It takes addresses away that its files don't have any more."""

    @abstractmethod
    def files(self, node: Node, devices: Sequence[Device]) -> Files:
        """Everything that the next boot needs."""

    async def look(self, node: Node, host: Host, links: Mapping[str, Link]) -> Sight:
        """What state the program is in. Raises RefusedError when using it would put foreign settings into effect."""
        del node, host, links
        return Sight()

    async def late(self, node: Node, host: Host, links: Mapping[str, Link]) -> Sequence[str]:
        """Devices whose file it has not read yet."""
        del node, host, links
        return ()

    async def enable(self, host: Host) -> None:  # noqa: B027  (most start at boot whatever happens)
        """Let it start at the next boot; called when `Sight.at_boot` is false."""

    @abstractmethod
    async def activate(self, host: Host, change: Change) -> None:
        """Bring the kernel to what the files say, without touching a device that is not among `change.devices`."""
