"""What NICs heard, compared with the topology: every wrong plug named, with the lines that would be right."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from meshctl.roles.base import Problem
from meshctl.roles.probing import Ear
from meshctl.roles.segments import Kind, Segment, segments
from meshctl.topology import End, Topology
from meshctl.topology.segments import segments as shared

Strand = tuple[End, End]
"""A wire: a cable, or one of those that a bond makes one cable of."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the topology says of every plug."""

    groups: Mapping[End, frozenset[End]]
    """Each plug with all that it shares a segment with, itself included: two, or more where a NIC leads to many."""
    switched: frozenset[End]
    """Those that have a switch before them."""
    bonded: frozenset[End]
    strands: tuple[Strand, ...]

    def peers(self, end: End) -> list[End]:
        """The others on its segment."""
        return sorted(self.groups[end] - {end}, key=str)

    def named(self, end: End) -> str:
        """What it should be plugged into, in words."""
        peers = self.peers(end)
        return str(peers[0]) if len(peers) == 1 else f"the switch of {_enumerated(peers)}"


def wanted(topology: Topology) -> Wanted:
    """From the cables; where several share a plug (VLANs, one subnet for all), they share its segment."""
    return Wanted(
        {end: group for group in shared(topology) for end in group},
        frozenset(end for cable in topology.cables if cable.switch for ends in cable.strands for end in ends),
        frozenset(end for cable in topology.cables if cable.bond for ends in cable.strands for end in ends),
        tuple(dict.fromkeys(strand for cable in topology.cables for strand in cable.strands)),
    )


def problems(topology: Topology, ears: Mapping[End, Ear]) -> list[Problem]:
    """All that is wrong with the cables; no waiting mends it."""
    mesh = wanted(topology)
    found = segments(ears)
    heard = {end: segment for segment in found for end in segment.ends}
    wrong = [segment for segment in found if _wrong(segment, mesh)]
    return [
        *(_SAY[segment.kind](segment, mesh) for segment in wrong),
        *(problem for strand in _looked_for(mesh, heard) for problem in _unheard(strand, heard, ears)),
    ]


def _looked_for(mesh: Wanted, heard: Mapping[End, Segment]) -> list[Strand]:
    """Of a plug that leads to many and is heard by nobody one strand is enough to say it."""
    return list({frozenset(end for end in s if end not in heard) or s: s for s in reversed(mesh.strands)}.values())[
        ::-1
    ]


def _wrong(segment: Segment, mesh: Wanted) -> bool:
    """Whether it has an end of the mesh and is not the cable, or the switch, that should be there."""
    own = [end for end in segment.ends if end in mesh.groups]
    if not own:
        return False
    if not _as_expected(segment, mesh):
        return True
    return segment.kind is not Kind.CABLE and not (segment.kind is Kind.SWITCH and own[0] in mesh.switched)


def _as_expected(segment: Segment, mesh: Wanted) -> bool:
    """On a switch for many also some of them: who is missing is named for itself, and others may be on it, too."""
    own = [end for end in segment.ends if end in mesh.groups]
    group = mesh.groups[own[0]]
    if len(group) > 2:  # noqa: PLR2004  (a cable's)
        return group.issuperset(own) and len(own) > 1
    return group == set(segment.ends)


def _misplugged(segment: Segment, mesh: Wanted) -> Problem:
    own, far = _from_the_right_side(segment, mesh)
    right, seen = mesh.named(own), f"{own} <-> {far}"
    move = f"Move this plug from {far} to {right}"
    if len(peers := mesh.peers(own)) == 1 and peers[0].node == far.node:
        move = f"On {far.node}, move this plug from {far.nic} to {peers[0].nic}"
    line = f"cables:\n- {seen}    # instead of {own} <-> {right}"
    if own in mesh.bonded:
        line = f"bond: {{strands: [{own.nic} <-> {far.nic}]}}    # instead of {own} <-> {right}"
    return Problem(
        own.node, f"{own} is plugged into {far}, the topology expects {right}", f"{own} <-> {right}", seen,
        _blink(far), f"{move}, or correct the topology:\n{line}", final=True,
    )  # fmt: skip


def _from_the_right_side(segment: Segment, mesh: Wanted) -> tuple[End, End]:
    """The end to tell it from: one whose cable should lead to the other host, else one that has a cable."""
    a, b = segment.ends
    ways = [(own, far) for own, far in ((a, b), (b, a)) if own in mesh.groups]
    return next(((own, far) for own, far in ways if far.node in {peer.node for peer in mesh.peers(own)}), ways[0])


def _one_way(segment: Segment, mesh: Wanted) -> Problem:
    sender, receiver = segment.ends
    cable = " <-> ".join(sorted(map(str, segment.ends)))
    where = "" if _as_expected(segment, mesh) else f", and is not in the topology ({_expected(segment, mesh)})"
    return Problem(
        receiver.node, f"the cable {cable} works in one direction only, from {sender} to {receiver}{where}",
        "frames in both directions", f"{receiver} hears {sender}, {sender} does not hear {receiver}",
        f"ip -s link show {receiver.nic}",
        "Change the cable; if it is a fibre, look at both strands and transceivers.", final=True,
    )  # fmt: skip


def _loop(segment: Segment, mesh: Wanted) -> Problem:
    ends = segment.ends
    if len(ends) == 1:
        what, seen = f"{ends[0]} hears itself", "its own frames come back: a loopback plug, or a loop behind it"
    else:
        names = " and ".join(map(str, ends))
        what, seen = f"{names} are plugged into each other: a loop", " <-> ".join(map(str, ends))
    return Problem(
        ends[0].node, what, _expected(segment, mesh), seen, _blink(ends[0]),
        "A cable of the mesh leads to another host; move the plugs.", final=True,
    )  # fmt: skip


def _switched(segment: Segment, mesh: Wanted) -> Problem:
    own = [end for end in segment.ends if end in mesh.groups]
    if _as_expected(segment, mesh):
        what = f"{own[0]} and {own[1]} are plugged into a switch instead of each other"
        advice = (
            "Plug the cable in directly, or state `switch: true` for it: BFD then has to notice what carrier would."
        )
    else:
        what = f"{_enumerated(segment.ends)} are plugged into the same switch"
        advice = f"Each cable of the mesh leads from one NIC to one other; pull {_enumerated(own)} out of the switch."
    return Problem(
        own[0].node, what, _expected(segment, mesh), f"{_enumerated(segment.ends)} hear each other through something "
        "that forwards frames, or more than two of them do", _blink(own[0]), advice, final=True,
    )  # fmt: skip


_SAY = {Kind.CABLE: _misplugged, Kind.ONE_WAY: _one_way, Kind.LOOP: _loop, Kind.SWITCH: _switched}


def _unheard(strand: Strand, heard: Mapping[End, Segment], ears: Mapping[End, Ear]) -> Iterator[Problem]:
    """A cable that connects nothing, or the end that hangs loose while the other is plugged in elsewhere."""
    lonely = [end for end in strand if end not in heard]
    if not lonely:
        return
    cable = " <-> ".join(map(str, strand))
    carriers = [end for end in lonely if end in ears and ears[end].carrier]
    if len(lonely) == 1:
        what = f"{lonely[0]} {_state(bool(carriers))}, the topology expects {_other(strand, lonely[0])}"
    elif len(carriers) == 2:  # noqa: PLR2004  (both ends)
        what = f"nothing gets through the cable {cable}"
    else:
        what = f"the cable {cable} is missing"
    advice = (
        "Both NICs have link, so something is plugged in: another machine, a switch that blocks, or a dead cable."
        if carriers and len(carriers) == len(lonely)
        else "Plug it in; if it is, change the cable or transceivers, and see that speeds can be agreed on."
    )
    yield Problem(
        lonely[0].node, what, cable, "; ".join(f"{end} {_state(end in carriers)}" for end in lonely),
        f"ip link show {lonely[0].nic}", advice, final=True,
    )  # fmt: skip


def _state(carrier: bool) -> str:  # noqa: FBT001  (a word for each)
    return "has link but hears none of these hosts" if carrier else "has no link"


def _other(strand: Strand, end: End) -> End:
    return strand[1] if end == strand[0] else strand[0]


def _expected(segment: Segment, mesh: Wanted) -> str:
    """The cables that the topology has at these ends, each once."""
    cables = {mesh.groups[end]: f"{end} <-> {mesh.named(end)}" for end in reversed(segment.ends) if end in mesh.groups}
    return ", ".join(reversed(cables.values()))


def _enumerated(ends: Sequence[End]) -> str:
    *most, last = map(str, ends)
    return f"{', '.join(most)} and {last}" if most else last


def _blink(end: End) -> str:
    return f"ethtool -p {end.nic} 30   # on {end.node}: its light blinks"
