# ruff: noqa: PLC0415  (imports happen where they are needed)
"""The questions of `init`: each is answered by an option, on the terminal, or by its default; checked at once."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from meshctl.cli.asking import Check, Operator

if TYPE_CHECKING:
    from meshctl.discover.answers import Answers, Uplink

NONE = "-"


@dataclass(frozen=True)
class Given:
    """What the command line answers."""

    name: str | None = None
    nodes: Sequence[str] = ()
    management_nic: str | None = None
    disks: Sequence[str] = ()
    no_disks: bool = False
    cables: Sequence[str] = ()
    uplink_parent: str | None = None
    uplink_gateway: str | None = None
    uplink_range: str | None = None
    loopbacks: str | None = None
    links: str | None = None
    login: Mapping[str, Any] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """Options without which nothing is known, where nobody can be asked."""
        disks = [] if self.disks or self.no_disks else ["--disk (or --no-disks)"]
        uplink = (("--uplink-gateway", self.uplink_gateway), ("--uplink-range", self.uplink_range))
        open_ = [option for option, value in uplink if self.uplink_parent and not value]
        return [*([] if self.nodes else ["--node"]), *disks, *open_]


def interview(given: Given, operator: Operator | None) -> "Answers":
    """All answers, none of which has a fault. Raises UsageError for options that have one, or that are missing."""
    from meshctl.errors import UsageError

    if (given.uplink_gateway or given.uplink_range) and not given.uplink_parent:
        raise UsageError("--uplink-parent is missing", advice="It says which NIC --uplink-gateway is reached by.")
    if given.uplink_range and not given.uplink_gateway:
        raise UsageError("--uplink-gateway is missing", advice="It says which network --uplink-range lies in.")
    if given.disks and given.no_disks:
        raise UsageError("--disk and --no-disks contradict each other", advice="Leave out one of the two.")
    if operator is None and (missing := given.missing()):
        advice = "meshctl init --node node1=192.0.2.11 --disk node1:/dev/sdb …; on a terminal it asks."
        raise UsageError(f"there is no terminal to ask on; missing: {', '.join(missing)}", advice=advice)
    return _Interview(given, operator).answers()


class _Interview:
    def __init__(self, given: Given, operator: Operator | None) -> None:
        from meshctl.discover.answers import Answers

        self._given = given
        self._operator = operator
        self._so_far = Answers(login=given.login, loopbacks=given.loopbacks, links=given.links)

    def answers(self) -> "Answers":
        self._take("--loopbacks, --links, --user, --port, --identity", self._so_far)
        self._name()
        self._hosts()
        self._management()
        self._disks()
        self._cables()
        self._uplink()
        self._prefixes()
        return self._so_far

    def _take(self, option: str, answers: "Answers", but: Collection[str] = ()) -> None:
        """What options answer. Raises UsageError when the topology doesn't take it."""
        from meshctl.discover.answers import faults

        self._refuse(option, faults(answers, but))
        self._so_far = answers

    def _refuse(self, option: str, said: Sequence[str]) -> None:
        from meshctl.errors import UsageError

        if said:
            advice = "Names, addresses and paths are as in a topology file: docs/topology.md."
            raise UsageError(f"{option}: {'; '.join(said)}", advice=advice)

    def _ask(
        self,
        question: str,
        default: str | None,
        taking: "Callable[[str], Answers]",
        first: Check = lambda _answer: [],
        but: Collection[str] = (),
    ) -> None:
        """Ask until the topology takes the answer; `first` is asked before it."""
        from meshctl.discover.answers import faults

        if operator := self._operator:
            answer = operator.ask(question, default, lambda text: first(text) or faults(taking(text), but))
            self._so_far = taking(answer)

    def _name(self) -> None:
        if self._given.name is not None:
            self._take("--name", replace(self._so_far, cluster=self._given.name))
        else:
            self._ask("The cluster's name", self._so_far.cluster, lambda text: replace(self._so_far, cluster=text))

    def _hosts(self) -> None:
        from meshctl.discover import answers as found

        stated = self._so_far
        for text in self._given.nodes:
            self._refuse("--node", found.taken(stated, text))
            stated = found.with_node(stated, text)
        if self._given.nodes or not self._operator:
            self._take("--node", stated, but=("disconnected",))
            return
        number = int(self._operator.ask("How many hosts", "3", _number))
        for i in range(1, number + 1):
            self._ask(
                f"Host {i}, ADDRESS or NAME=ADDRESS",
                found.next_node(self._so_far),
                lambda text: found.with_node(self._so_far, text),
                lambda text: found.taken(self._so_far, text),
            )

    def _management(self) -> None:
        if self._given.management_nic is not None:
            stated = replace(self._so_far, management_nic=self._given.management_nic)
            self._take("--management-nic", stated, but=("disconnected",))
        else:
            usual = self._so_far.management_nic
            question = "NIC of these addresses, on every host"
            self._ask(question, usual, lambda text: replace(self._so_far, management_nic=text))

    def _disks(self) -> None:
        from meshctl.discover.answers import with_disk

        stated = self._so_far
        for text in self._given.disks:
            node, _, path = text.partition(":")
            self._refuse("--disk", _unknown(node, stated.nodes))
            stated = with_disk(stated, node, [path])
        if self._given.disks or self._given.no_disks or not self._operator:
            self._take("--disk", stated, but=("disconnected",))
            return
        usual: str | None = "/dev/sdb"
        for node in self._so_far.nodes:
            question = f"Empty disks of {node} for Ceph ({NONE}: none)"
            self._ask(question, usual, lambda text, node=node: with_disk(self._so_far, node, _words(text)))  # type: ignore[misc]
            usual = _same_elsewhere(self._so_far.disks[node])

    def _cables(self) -> None:
        from meshctl.discover.answers import cable

        if self._given.cables:
            self._take("--cable", replace(self._so_far, cables=[cable(text) for text in self._given.cables]))
            return
        if not self._operator or len(self._so_far.nodes) == 1:
            self._take("--cable", self._so_far)
            return
        usual = replace(self._so_far, uplink=_uplink(self._given)).wired()
        self._operator.tell(
            "\n".join([f"Cables (`{DISCOVER}` finds those of live hosts):", *(f"  {one}" for one in usual)])
        )
        if self._operator.ask("Plugged like this (n: to type them)", "y", _yes_or_no) in YES:
            self._so_far = replace(self._so_far, cables=usual)
        else:
            self._typed_cables()

    def _typed_cables(self) -> None:
        from meshctl.discover.answers import cable

        self._so_far = replace(self._so_far, cables=[])
        done = False
        while not done:
            before = tuple(self._so_far.cables or ())

            def taking(text: str, before: tuple[str, ...] = before) -> "Answers":
                return replace(self._so_far, cables=(*before, cable(text)) if text else before)

            question = f"Cable {len(before) + 1}, like node1:eth1=node2:eth2 (empty: that was all)"
            self._ask(question, "", taking, lambda text: [] if text else self._apart(), but=("disconnected",))
            done = len(self._so_far.cables or ()) == len(before)

    def _apart(self) -> list[str]:
        from meshctl.discover.answers import faults

        return faults(self._so_far)

    def _uplink(self) -> None:
        if self._given.uplink_parent is not None:
            self._take("--uplink-parent", replace(self._so_far, uplink=_uplink(self._given, "nic")))
            if self._given.uplink_gateway is not None:
                self._take("--uplink-gateway", replace(self._so_far, uplink=_uplink(self._given, "gateway")))
            if self._given.uplink_range is not None:
                self._take("--uplink-range", replace(self._so_far, uplink=_uplink(self._given)))
        else:
            question = f"NIC of the uplink, the instances' way out ({NONE}: none yet)"
            self._ask(question, NONE, lambda text: replace(self._so_far, uplink=_on(text)))
        self._rest_of_uplink()

    def _rest_of_uplink(self) -> None:
        uplink = self._so_far.uplink
        if uplink and uplink.gateway is None:
            self._ask("Router of the uplink, like 203.0.113.1/24", None, lambda text: self._up(gateway=text))
        if uplink and uplink.range is None:
            self._ask("Addresses there for OVN, FIRST-LAST", None, lambda text: self._up(range=text))

    def _up(self, **answered: str) -> "Answers":
        uplink = self._so_far.uplink
        return replace(self._so_far, uplink=replace(uplink, **answered) if uplink else None)

    def _prefixes(self) -> None:
        loopbacks, links = self._so_far.prefixes()
        if self._given.loopbacks is None:
            question = "Prefix of the hosts' stable addresses"
            self._ask(question, loopbacks, lambda text: replace(self._so_far, loopbacks=text))
        if self._given.links is None:
            self._ask("Prefix of the cables' addresses", links, lambda text: replace(self._so_far, links=text))


DISCOVER = "meshctl discover"
YES, NO = ("y", "yes"), ("n", "no")


def _number(text: str) -> list[str]:
    from meshctl.discover.answers import MOST_HOSTS

    fine = text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= MOST_HOSTS  # noqa: PLR2004
    return [] if fine else [f"a number from 1 to {MOST_HOSTS} expected; found {text[:40]!r}"]


def _yes_or_no(text: str) -> list[str]:
    return [] if text in {*YES, *NO} else [f"y or n expected; found {text[:40]!r}"]


def _unknown(node: str, nodes: Collection[str]) -> list[str]:
    return [] if node in nodes else [f"there is no node {node!r}; known: {', '.join(list(nodes)[:10])}"]


def _same_elsewhere(paths: Sequence[str]) -> str | None:
    """What to propose for the next host: the same disks, unless their names have serial numbers in them."""
    return None if any("/by-id/" in path for path in paths) else " ".join(paths) or NONE


def _words(text: str) -> list[str]:
    return [] if text == NONE else text.replace(",", " ").split()


def _on(text: str) -> "Uplink | None":
    from meshctl.discover.answers import Uplink

    return None if text == NONE else Uplink(text)


def _uplink(given: Given, upto: str = "range") -> "Uplink | None":
    """What options say of the uplink, or its first parts, to be checked one by one."""
    from meshctl.discover.answers import Uplink

    if given.uplink_parent is None:
        return None
    whole = Uplink(given.uplink_parent, given.uplink_gateway, given.uplink_range)
    return {
        "nic": Uplink(whole.nic),
        "gateway": replace(whole, range=None),
        "range": whole,
    }[upto]
