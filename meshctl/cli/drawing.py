"""The board as lines of text that fit the terminal: one row per layer, one column per host, the gate last."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from rich.text import Text

from meshctl.cli.board import Board, Cell, Layer
from meshctl.cli.printable import one_line
from meshctl.events import State

NARROWEST, WIDEST = 20, 200
_NOTES = 4
"""Lines below the rows: enough for what is being waited for, few enough for a terminal of 24 lines."""
_AROUND = _NOTES + 4
"""Lines that are no rows of layers: title, header, legend, and the cursor's."""
_CELL = 7
"""Icon, blank, four characters of seconds, blank."""

_STYLES = {
    State.WAITING: "dim",
    State.RUNNING: "cyan",
    State.OK: "green",
    State.CHANGED: "yellow",
    State.FAILED: "bold red",
    State.BLOCKED: "dim",
    State.INTERRUPTED: "magenta",
}


@dataclass(frozen=True)
class Icons:
    """One character per state; a running step turns."""

    states: dict[State, str]
    spinner: str

    def of(self, state: State, tick: int) -> str:
        """The icon of a state at the tick-th drawing."""
        return self.spinner[tick % len(self.spinner)] if state is State.RUNNING else self.states[state]


def _icons(characters: str, spinner: str) -> Icons:
    order = (State.WAITING, State.OK, State.CHANGED, State.FAILED, State.BLOCKED, State.INTERRUPTED)
    return Icons(dict(zip(order, characters, strict=True)), spinner)


UNICODE = _icons("·✔●✘○■", "⠋⠙⠹⠸⠼⠴⠦⠧")
ASCII = _icons(".+*X-!", "|/-\\")


def icons_for(encoding: str) -> Icons:
    """Plain ASCII where the terminal's encoding has nothing better."""
    try:
        "".join([*UNICODE.states.values(), UNICODE.spinner]).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def draw(board: Board, width: int, tick: int, icons: Icons, height: int | None = None) -> Text:
    """The whole picture; no line is wider than `width`. While the run goes on it has no more lines than `height`."""
    width = max(NARROWEST, min(width, WIDEST))
    rows = None if board.over or height is None else height - _AROUND
    lines = [_title(board), *_rows(board, (width, rows), tick, icons), *_remarks(board), *_legend(board, icons)]
    for line in lines:
        line.truncate(width, overflow="ellipsis" if icons is UNICODE else "crop")
    return Text("\n").join(lines)


def _title(board: Board) -> Text:
    cells = [cell for layer in board.layers.values() for cell in layer.cells]
    done = sum(1 for cell in cells if cell.state not in {State.WAITING, State.RUNNING})
    changes = f"{board.changes} change{'' if board.changes == 1 else 's'}"
    return Text.assemble((board.cluster, "bold"), f"  {board.now:.1f} s  {done} of {len(cells)} steps  {changes}")


def _rows(board: Board, size: tuple[int, int | None], tick: int, icons: Icons) -> Iterator[Text]:
    """`size`: columns, and how many layers there is room for."""
    width, rows = size
    layers, done, ahead = _fitting(list(board.layers.values()), rows)
    names = max(map(len, board.layers), default=0)
    room = width - 2 - names - 2
    cell = min(12, room // (len(board.nodes) + 1))
    if cell >= _CELL:
        yield _header(board, names, cell)
    if done:
        yield Text(f"  {done} more are done", "dim")
    for layer in layers:
        style = _STYLES[layer.state]
        row = Text.assemble((icons.of(layer.state, tick), style), " ", layer.name.ljust(names + 2))
        if cell >= _CELL:
            row.append_text(_full(layer, board, cell, tick, icons))
        elif room >= len(board.nodes) + 2 + _CELL:
            row.append_text(_icons_only(layer, board, tick, icons))
        else:
            row.append_text(_counts(layer))
        yield row
    if ahead:
        yield Text(f"  {ahead} more are to come", "dim")


def _fitting(layers: list[Layer], rows: int | None) -> tuple[list[Layer], int, int]:
    """The layers that there is room for; how many finished ones were left out, and how many that haven't begun."""
    if rows is None or len(layers) <= rows:
        return layers, 0, 0
    spare = len(layers) - rows + 2  # two lines say what is left out
    done = [layer.name for layer in layers if layer.state.good][:spare]
    ahead = [layer.name for layer in reversed(layers) if layer.state is State.WAITING][: spare - len(done)]
    left_out = {*done, *ahead}
    return [layer for layer in layers if layer.name not in left_out], len(done), len(ahead)


def _header(board: Board, names: int, cell: int) -> Text:
    heads = "".join(head[: cell - 1].ljust(cell) for head in (*board.nodes, "gate"))
    return Text(" " * (names + 4) + heads, style="dim")


def _full(layer: Layer, board: Board, width: int, tick: int, icons: Icons) -> Text:
    row = Text()
    for cell in (*(layer.hosts.get(node) for node in board.nodes), layer.gate):
        text = _cell(cell, board.now, tick, icons) if cell else ""
        row.append(text.ljust(width), _STYLES[cell.state] if cell else "")
    return row


def _icons_only(layer: Layer, board: Board, tick: int, icons: Icons) -> Text:
    row = Text()
    for node in board.nodes:
        cell = layer.hosts.get(node)
        row.append(icons.of(cell.state, tick) if cell else " ", _STYLES[cell.state] if cell else "")
    if layer.gate:
        row.append("  " + _cell(layer.gate, board.now, tick, icons), _STYLES[layer.gate.state])
    return row


def _counts(layer: Layer) -> Text:
    counts = Counter(cell.state for cell in layer.cells)
    return Text(" ").join(Text(f"{number} {state}", _STYLES[state]) for state, number in counts.items())


def _cell(cell: Cell, now: float, tick: int, icons: Icons) -> str:
    icon = icons.of(cell.state, tick)
    seconds = cell.elapsed(now)
    if cell.state in {State.WAITING, State.BLOCKED} or (cell.state is State.INTERRUPTED and not cell.started):
        return icon
    return f"{icon} {seconds:.1f}" if seconds < 99.95 else f"{icon} {seconds:.0f}"  # noqa: PLR2004  (four characters)


def _remarks(board: Board) -> list[Text]:
    """What is being waited for and the latest notes; afterwards the summary has them."""
    if board.over:
        return []
    waits = [Text(f"{step} waits: {one_line(what)}", "cyan") for step, what in board.waits.items()]
    notes = [Text(f"note: {one_line(note)}") for note in board.notes]
    return (notes[-_NOTES:] + waits)[-_NOTES:]


def _legend(board: Board, icons: Icons) -> list[Text]:
    """What the icons mean, for as long as the run lasts; afterwards the summary says it in words."""
    if board.over:
        return []
    known = ((icon, state) for state, icon in icons.states.items() if state is not State.INTERRUPTED)
    return [Text("  ".join(f"{icon} {state}" for icon, state in known), "dim")]
