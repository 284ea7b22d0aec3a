"""The live view on a terminal: the board, drawn again four times a second at most."""

import asyncio
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from meshctl.cli.board import Board
from meshctl.cli.drawing import draw, icons_for
from meshctl.cli.printable import one_line
from meshctl.events import Changed, Event

REFRESH = 4
"""Drawings per second: smooth enough for a spinner, and some 2 % of one core."""


class LiveView:
    """Draws while it is entered, from the event loop's own thread; leaves the last picture standing."""

    def __init__(self, console: Console, *, verbose: bool) -> None:
        self._console = console
        self._verbose = verbose
        self._icons = icons_for(console.encoding)
        self._drawings = 0
        self._board = Board(time.monotonic)
        self._live = Live(console=console, get_renderable=self._picture, auto_refresh=False, redirect_stdout=False)
        self._pulse: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._live.start(refresh=True)
        self._pulse = asyncio.create_task(self._redraw())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pulse:
            self._pulse.cancel()
        self._live.stop()

    def take(self, event: Event) -> None:
        """Bring the board up to date; the next drawing shows it."""
        self._board.take(event)
        if self._verbose and isinstance(event, Changed):
            change = event.change
            line = one_line(f"{change.step}  {change.kind}  {change.target}  ({change.reason})")
            self._console.print(Text(f"{event.at:6.1f}s  {line}", "dim"), no_wrap=True, overflow="ellipsis", crop=True)

    async def _redraw(self) -> None:
        while True:
            await asyncio.sleep(1 / REFRESH)
            self._live.refresh()

    def _picture(self) -> Text:
        if not self._board.layers:
            return Text("connecting")
        self._drawings += 1
        picture = draw(self._board, self._console.width, self._drawings, self._icons, self._console.height)
        picture.no_wrap = True
        return picture
