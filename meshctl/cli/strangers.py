# ruff: noqa: PLC0415  (imports happen where they are needed)
"""Hosts that no topology names: their addresses and a login from the command line."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from meshctl.topology import Topology

    Command = TypeVar("Command", bound=Callable[..., Any])

_AS_IN_FILES = "Names, addresses, user and port are as in a topology file: docs/topology.md."


def login_options(command: "Command") -> "Command":
    """`--user`, `--port` and `--identity`: `ssh` as a topology has it."""
    for option in (
        click.option("--identity", help="Private key file; default: the agent's and ~/.ssh's keys."),
        click.option("--port", type=click.IntRange(1, 65535), default=22, show_default=True, help="TCP port of sshd."),
        click.option(
            "--user", default="root", show_default=True, help="Login; others than root need sudo without password."
        ),
    ):
        command = option(command)
    return command


def strangers(cluster: str, addresses: Mapping[str, str], login: Mapping[str, Any]) -> "Topology":
    """A topology with nothing but hosts (by name) and a login. Raises UsageError for what no topology can have."""
    from pydantic import ValidationError

    from meshctl.errors import UsageError
    from meshctl.topology.document import Document
    from meshctl.topology.resolve import resolve

    if twice := [word for word, count in Counter(addresses.values()).items() if count > 1]:
        raise UsageError(f"--host {twice[0]} is there twice", advice="Name every host once.")
    nodes = {name: {"address": address} for name, address in addresses.items()}
    mesh = {"loopbacks": "10.50.1.0/24", "links": "192.168.11.0/24"}
    ssh = {key: login[key] for key in ("user", "port", "identity")}
    content = {"cluster": cluster, "ssh": ssh, "nodes": nodes, "cables": [], "mesh": mesh}
    try:
        return resolve(Document.model_validate(content), Path("the command line"))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"] if part != "[key]")
        raise UsageError(f"{where}: {fault['msg']}; found {fault['input']!r}", advice=_AS_IN_FILES) from error
