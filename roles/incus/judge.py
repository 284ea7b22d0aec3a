"""From what the members say to what is wrong. Pure."""

from collections.abc import Mapping

from meshctl.roles import incusapi
from meshctl.roles.base import Problem
from meshctl.roles.incusapi import Member, Thing
from meshctl.topology import Node, Topology

from .joining import address, voters, voting

LIST = " ".join(incusapi.query(f"'{incusapi.MEMBERS}'"))


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
        return Problem(host, f"does not list {node.name} as a member", node.name, "not there", LIST)
    if member.url != wanted:
        return Problem(host, f"{node.name} has the wrong address", wanted, member.url, LIST)
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
    return [Problem(host, "Incus' database has too few voters", f"{wanted} voters", str(seen), LIST)]


def pool(topology: Topology, host: str, seen: Thing | None) -> list[Problem]:
    """The local pool, on every member."""
    name = topology.incus.local_pool
    if seen and seen.created_on(node.name for node in topology.nodes):
        return []
    found = f"{seen.status} on {', '.join(sorted(seen.locations))}" if seen else "not there"
    expected = f"Created on {', '.join(node.name for node in topology.nodes)}"
    return [Problem(host, f"storage pool {name} is not everywhere", expected, found, f"incus storage show {name}")]
