"""What NICs heard, compared with the topology: every wrong plug named, with the lines that would be right."""

from collections.abc import Iterator, Mapping

from meshctl.roles.base import Problem
from meshctl.roles.probing import Ear
from meshctl.roles.segments import Kind, Segment, segments
from meshctl.topology import Cable, End, Topology

Peers = Mapping[End, End]
"""Each end of the topology's cables with the other one."""


def problems(topology: Topology, ears: Mapping[End, Ear]) -> list[Problem]:
    """All that is wrong with the cables; no waiting mends it."""
    peers = {end: far for cable in topology.cables for end, far in ((cable.a, cable.b), (cable.b, cable.a))}
    found = segments(ears)
    heard = {end: segment for segment in found for end in segment.ends}
    wrong = [segment for segment in found if _wrong(topology, segment, peers)]
    return [
        *(_SAY[segment.kind](segment, peers) for segment in wrong),
        *(problem for cable in topology.cables for problem in _unheard(cable, heard, ears)),
    ]


def _wrong(topology: Topology, segment: Segment, peers: Peers) -> bool:
    """Whether it has an end of the mesh and is not the cable that should be there."""
    if not any(end in peers for end in segment.ends):
        return False
    if not _as_expected(segment, peers):
        return True
    cable = next(cable for cable in topology.cables if segment.ends[0] in (cable.a, cable.b))
    return segment.kind is not Kind.CABLE and not (segment.kind is Kind.SWITCH and cable.switch)


def _as_expected(segment: Segment, peers: Peers) -> bool:
    return len(segment.ends) == 2 and peers.get(segment.ends[0]) == segment.ends[1]  # noqa: PLR2004  (a cable's)


def _misplugged(segment: Segment, peers: Peers) -> Problem:
    own, far = _from_the_right_side(segment, peers)
    wanted, seen = peers[own], f"{own} <-> {far}"
    move = f"On {far.node}, move this plug from {far.nic} to {wanted.nic}"
    if wanted.node != far.node:
        move = f"Move this plug from {far} to {wanted}"
    right = f"cables:\n- {seen}    # instead of {own} <-> {wanted}"
    return Problem(
        own.node, f"{own} is plugged into {far}, the topology expects {wanted}", f"{own} <-> {wanted}", seen,
        _blink(far), f"{move}, or correct the topology:\n{right}", final=True,
    )  # fmt: skip


def _from_the_right_side(segment: Segment, peers: Peers) -> tuple[End, End]:
    """The end to tell it from: one whose cable should lead to the other host, else one that has a cable."""
    a, b = segment.ends
    ways = [(own, far) for own, far in ((a, b), (b, a)) if own in peers]
    return next(((own, far) for own, far in ways if peers[own].node == far.node), ways[0])


def _one_way(segment: Segment, peers: Peers) -> Problem:
    sender, receiver = segment.ends
    cable = " <-> ".join(sorted(map(str, segment.ends)))
    where = "" if _as_expected(segment, peers) else f", and is not in the topology ({_expected(segment, peers)})"
    return Problem(
        receiver.node, f"the cable {cable} works in one direction only, from {sender} to {receiver}{where}",
        "frames in both directions", f"{receiver} hears {sender}, {sender} does not hear {receiver}",
        f"ip -s link show {receiver.nic}",
        "Change the cable; if it is a fibre, look at both strands and transceivers.", final=True,
    )  # fmt: skip


def _loop(segment: Segment, peers: Peers) -> Problem:
    ends = segment.ends
    if len(ends) == 1:
        what, seen = f"{ends[0]} hears itself", "its own frames come back: a loopback plug, or a loop behind it"
    else:
        names = " and ".join(map(str, ends))
        what, seen = f"{names} are plugged into each other: a loop", " <-> ".join(map(str, ends))
    return Problem(
        ends[0].node, what, _expected(segment, peers), seen, _blink(ends[0]),
        "A cable of the mesh leads to another host; move the plugs.", final=True,
    )  # fmt: skip


def _switched(segment: Segment, peers: Peers) -> Problem:
    own = [end for end in segment.ends if end in peers]
    if _as_expected(segment, peers):
        what = f"{own[0]} and {own[1]} are plugged into a switch instead of each other"
        advice = (
            "Plug the cable in directly, or state `switch: true` for it: BFD then has to notice what carrier would."
        )
    else:
        what = f"{_enumerated(segment.ends)} are plugged into the same switch"
        advice = f"Each cable of the mesh leads from one NIC to one other; pull {_enumerated(own)} out of the switch."
    return Problem(
        own[0].node, what, _expected(segment, peers), f"{_enumerated(segment.ends)} hear each other through something "
        "that forwards frames, or more than two of them do", _blink(own[0]), advice, final=True,
    )  # fmt: skip


_SAY = {Kind.CABLE: _misplugged, Kind.ONE_WAY: _one_way, Kind.LOOP: _loop, Kind.SWITCH: _switched}


def _unheard(cable: Cable, heard: Mapping[End, Segment], ears: Mapping[End, Ear]) -> Iterator[Problem]:
    """A cable that connects nothing, or the end that hangs loose while the other is plugged in elsewhere."""
    lonely = [end for end in (cable.a, cable.b) if end not in heard]
    if not lonely:
        return
    carriers = [end for end in lonely if end in ears and ears[end].carrier]
    if len(lonely) == 1:
        what = f"{lonely[0]} {_state(bool(carriers))}, the topology expects {_other(cable, lonely[0])}"
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
        lonely[0].node, what, str(cable), "; ".join(f"{end} {_state(end in carriers)}" for end in lonely),
        f"ip link show {lonely[0].nic}", advice, final=True,
    )  # fmt: skip


def _state(carrier: bool) -> str:  # noqa: FBT001  (a word for each)
    return "has link but hears none of these hosts" if carrier else "has no link"


def _other(cable: Cable, end: End) -> End:
    return cable.b if end == cable.a else cable.a


def _expected(segment: Segment, peers: Peers) -> str:
    """The cables that the topology has at these ends, each once."""
    cables = {frozenset((end, peers[end])): f"{end} <-> {peers[end]}" for end in segment.ends if end in peers}
    return ", ".join(cables.values())


def _enumerated(ends: "tuple[End, ...] | list[End]") -> str:
    *most, last = map(str, ends)
    return f"{', '.join(most)} and {last}" if most else last


def _blink(end: End) -> str:
    return f"ethtool -p {end.nic} 30   # on {end.node}: its light blinks"
