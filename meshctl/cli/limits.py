# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`--only ROLE…` and `--node NODE…`: how much of a bootstrap, or of its plan, is wanted."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from meshctl.plan import Limits
    from meshctl.topology import Topology

    Command = TypeVar("Command", bound=Callable[..., Any])

_SPREADING = ("--only", "--node")


class LimitedCommand(click.Command):
    """A command whose `--only` and `--node` take several values: `--only frr ovn --node node1`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, after each further value has got its own option."""
        return super().parse_args(ctx, spread(args))


def spread(args: Sequence[str]) -> list[str]:
    """Each value with its option before it. A word with a dot or a slash is no name, so it is the topology.

    >>> spread(["--only", "frr", "ovn", "t.yaml", "--node=node1", "node2", "--yes"])
    ['--only', 'frr', '--only', 'ovn', 't.yaml', '--node=node1', '--node', 'node2', '--yes']
    """
    words: list[str] = []
    option = ""
    for i, word in enumerate(args):
        if word == "--":
            return [*words, *args[i:]]
        if word.startswith("-"):
            option = next((known for known in _SPREADING if word == known or word.startswith(f"{known}=")), "")
        elif option and words[-1] != option:
            if "." in word or "/" in word:
                option = ""
            else:
                words.append(option)
        words.append(word)
    return words


def limit_options(command: "Command") -> "Command":
    """The two options of a LimitedCommand."""
    for option in (
        click.option("--node", "node", multiple=True, metavar="NODE…", help="Change nothing on other nodes."),
        click.option(
            "--only",
            multiple=True,
            metavar="ROLE…",
            help="Apply these roles alone; what they need is only verified.",
            shell_complete=_roles,
        ),
    ):
        command = option(command)
    return command


def limits_of(topology: "Topology", only: Iterable[str], node: Iterable[str]) -> "Limits":
    """What the options say. Raises UsageError for a name that nothing has."""
    from meshctl.plan import Limits
    from meshctl.roles.discovery import discover

    limits = Limits(frozenset(only), frozenset(node))
    limits.check(topology, discover() if limits.roles else ())
    return limits


def as_words(limits: "Limits | None") -> str:
    """The options as they are typed, with a space before them."""
    if limits is None:
        return ""
    given = (("--only", limits.roles), ("--node", limits.nodes))
    return "".join(f" {option} {' '.join(sorted(names))}" for option, names in given if names)


def _roles(_ctx: click.Context, _param: click.Parameter, begun: str) -> "list[CompletionItem]":
    import pkgutil

    from click.shell_completion import CompletionItem

    import meshctl.roles

    names = sorted(module.name for module in pkgutil.iter_modules(meshctl.roles.__path__) if module.ispkg)
    return [CompletionItem(name) for name in names if name.startswith(begun)]
