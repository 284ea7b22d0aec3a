# ruff: noqa: PLC0415  (imports happen where they are needed)
"""Standard output: one JSON object, or lines of text."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

import click

Style = Callable[[str, str], str]
"""(text, colour) -> text; the identity where colours are unwanted."""

_EMITTED = "meshctl.emitted"


def emit_json(command: str, content: Mapping[str, Any]) -> None:
    """One object on standard output; `schema` first, as docs/cli.md promises."""
    import json

    click.echo(json.dumps({"schema": f"meshctl/{command}/1", **content}, indent=2, ensure_ascii=False))
    if context := click.get_current_context(silent=True):
        context.meta[_EMITTED] = True


def emitted(context: click.Context) -> bool:
    """Whether this command line has printed its object."""
    return _EMITTED in context.meta


def columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Left-aligned columns, two blanks apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(indent + line.rstrip() for line in lines)


def counted(number: int, thing: str, plural: str = "") -> str:
    """`1 host`, `2 hosts`, `2 changes`."""
    return f"{number} {thing if number == 1 else plural or thing + 's'}"


def coloured(stream: TextIO) -> Style:
    """As the stream wants it: plain where it is no terminal, for NO_COLOR and TERM=dumb."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return lambda text, _colour: text
    return lambda text, colour: click.style(text, fg=colour, bold=True)
