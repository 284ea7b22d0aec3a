# ruff: noqa: PLC0415  (imports happen where they are needed)
"""How an operator sees a run while it goes on: a live view, or plain lines."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TextIO

import click

from meshctl.cli.options import Options

if TYPE_CHECKING:
    from meshctl.events import Event

    Reader = Callable[[Event], None]


@asynccontextmanager
async def progress(options: Options) -> "AsyncIterator[Reader]":
    """A reader of events that shows the operator the run, in the way standard error can."""
    if _wants_live(sys.stderr):
        from rich.console import Console

        from meshctl.cli.live import LiveView

        async with LiveView(Console(stderr=True), verbose=options.verbose > 0) as view:
            yield view.take
    else:
        from meshctl.cli.plain import PlainLines

        yield PlainLines(lambda line: click.echo(line, err=True), verbose=options.verbose > 0).take


def _wants_live(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown", ""}


def to_all(*readers: "Reader") -> "Reader":
    """One reader that passes every event on to all of these."""

    def emit(event: "Event") -> None:
        for reader in readers:
            with suppress(OSError):  # a closed pipe must not stop the run
                reader(event)

    return emit
