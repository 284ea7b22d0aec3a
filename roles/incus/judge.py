"""From what the members say to what is wrong. Pure."""

from collections.abc import Mapping

from meshctl.roles import incusapi
from meshctl.roles.base import Problem
from meshctl.roles.incusapi import Member, Thing
from meshctl.topology import Node, Topology

from .joining import address, voters, voting

LIST = " ".join(incusapi.query(f"'{incusapi.MEMBERS}'"))

CREATED = "Created"
"""The status of what is finished."""

_JOIN = "Run bootstrap again: it lets the host join. If it is gone for good, take it out of the topology."
_MOVED = "Incus can't move a member: give the node its old loopback back, or take the member out and let it join anew."


def members(topology: Topology, views: Mapping[str, Mapping[str, Member]]) -> list[Problem]:
    """Every member's view: all hosts and no others, online, at their loopbacks, with enough voters."""
    return [
        problem for name, view in views.items() for problem in (*_entries(topology, name, view), *_voters(name, view))
    ]


def _entries(topology: Topology, host: str, view: Mapping[str, Member]) -> list[Problem]:
    problems = [p for node in topology.nodes if (p := _entry(topology, host, node, view.get(node.name)))]
    foreign = sorted(view.keys() - {node.name for node in topology.nodes})
    if foreign:
        advice = "Add it to the topology, or take it out with `incus cluster remove`."
        what = f"the Incus cluster has {', '.join(foreign)}"
        problems.append(Problem(host, what, "the topology's hosts only", ", ".join(view), LIST, advice, final=True))
    return problems


def _entry(topology: Topology, host: str, node: Node, member: Member | None) -> Problem | None:
    wanted = f"https://{address(topology, node)}"
    if member is None:
        return Problem(host, f"does not list {node.name} as a member", node.name, "not there", LIST, _JOIN)
    if member.url != wanted:
        return Problem(host, f"{node.name} has the wrong address", wanted, member.url, LIST, _MOVED)
    if member.status != "Online":
        advice = (
            f"incus cluster restore {node.name}"
            if member.status == "Evacuated"
            else f"journalctl -u incus on {node.name}"
        )
        return Problem(host, f"sees {node.name} as {member.status}", "Online", member.status, LIST, advice)
    return None


def _voters(host: str, view: Mapping[str, Member]) -> list[Problem]:
    wanted, seen = voters(len(view)), voting(dict(view))
    if seen >= wanted:
        return []
    advice = "It promotes members that are online within seconds: look for one that is not, journalctl -u incus there."
    return [Problem(host, "Incus' database has too few voters", f"{wanted} voters", str(seen), LIST, advice)]


def pool(topology: Topology, host: str, seen: Thing | None) -> list[Problem]:
    """The local pool, on every member."""
    name = topology.incus.local_pool
    if seen and seen.created_on(node.name for node in topology.nodes):
        return []
    found = f"{seen.status} on {', '.join(sorted(seen.locations))}" if seen else "not there"
    expected = f"Created on {', '.join(node.name for node in topology.nodes)}"
    advice = "Run bootstrap again: it makes the pool where it is missing."
    what = f"storage pool {name} is not everywhere"
    return [Problem(host, what, expected, found, f"incus storage show {name}", advice)]


def half_made(pool: str, statuses: Mapping[str, str]) -> list[Problem]:
    """Members that have not finished making the local pool, although the cluster calls it Created."""
    what = f"storage pool {pool} is only half made here"
    advice = (
        "Run bootstrap again: it makes a pool anew that nothing uses. If something does, move it away first "
        f"(`incus storage show {pool}` lists it)."
    )
    return [
        Problem(host, what, CREATED, seen, f"incus storage show {pool} --target {host}", advice)
        for host, seen in statuses.items()
        if seen != CREATED
    ]
