"""Many queries in one channel: the script that runs them on the host, and the reader of what it sends back.

All commands start at once. Each writes to files of its own and then puts its number and status into a fifo; the
script sleeps in `dd` on that fifo, takes all that have finished by then, and sends them as one *group*:

    NUMBER STATUS NUMBER STATUS …        one line
    NUMBER.o NUMBER.e …                  one line: the outputs that are not empty
    a tar archive of these files         only if there are any

So nobody waits for a slower neighbour, nothing polls, and there is a single writer. tar because it frames by length,
sends exactly as many bytes as it announced even when a file still grows, and needs one process for the whole group.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from meshctl.host.quoting import ENVIRONMENT, join, quote

LIMIT = 128
"""Queries per batch. A fifo takes 4096 bytes at once and a number with its status needs up to 8; also PIPE_BUF."""

BLOCK = 512
"""What tar counts in."""

TIMED_OUT = (124, 137)
"""coreutils' timeout: it ended the command by TERM, or had to use KILL. A command may also end so by itself."""

FAILED = 75
"""The script's status when the host let it have no place to work in (EX_TEMPFAIL)."""

# `q` is for commands without input, `p` reads it from the pipe that it stands behind.
_HEAD = f"""\
umask 077
export {join(ENVIRONMENT)}
d=$(mktemp -d /run/meshctl.XXXXXX 2>/dev/null || mktemp -d) || exit {FAILED}
trap 'rm -rf "$d"' EXIT
trap 'exit {FAILED}' HUP INT TERM PIPE
mkfifo "$d/done" && exec 3<>"$d/done" && cd / || exit {FAILED}
hash timeout
q() {{
p "$@" </dev/null
}}
p() {{
i=$1 t=$2
shift 2
timeout -k 2 "$t" "$@" >"$d/$i.o" 2>"$d/$i.e" 3>&-
echo "$i $?" >&3
}}
"""

_TAIL = f"""
while [ "$left" -gt 0 ]; do
set -- $(dd bs=4096 count=1 2>/dev/null <&3)
[ $# -gt 0 ] || exit {FAILED}
echo "$*"
f=
while [ $# -gt 0 ]; do
[ -s "$d/$1.o" ] && f="$f $1.o"
[ -s "$d/$1.e" ] && f="$f $1.e"
left=$((left - 1))
shift 2
done
echo "$f"
[ -z "$f" ] || tar -b 1 -C "$d" -cf - $f 2>/dev/null
done
exit 0
"""
# Without `exit` the shell would wait for more script from a stdin that a proxy may keep open.


class Question(NamedTuple):
    """One command of a batch."""

    command: str
    """Quoted for a shell."""
    seconds: float
    stdin: bytes | None = None
    """See `can_carry`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command of a batch left behind."""

    status: int
    stdout: bytes
    stderr: bytes


class FramingError(ValueError):
    """The stream is not what the script sends."""


def can_carry(stdin: bytes | None) -> bool:
    """Whether a command with this input can be in a batch: a shell's text has no NUL."""
    return stdin is None or b"\0" not in stdin


def script(questions: Sequence[Question]) -> bytes:
    """The script that asks these. It wants a shell that has nothing else on stdin."""
    if len(questions) > LIMIT:
        raise ValueError(f"a batch holds at most {LIMIT} commands")
    calls = [_call(number, question) for number, question in enumerate(questions)]
    text = "\n".join([_HEAD, *calls, f"left={len(calls)}", _TAIL])
    return text.encode(errors="surrogateescape")


def _call(number: int, question: Question) -> str:
    command = f"{number} {question.seconds:.3f} {question.command} &"
    if question.stdin is None:
        return f"q {command}"
    # The shell's own printf: nothing of it shows in a list of processes.
    return f"printf %s {quote(question.stdin.decode(errors='surrogateescape'))} | p {command}"


class Reader:
    """Turns the script's output, in pieces of any size, into answers; `on_answer` gets each with its number."""

    def __init__(self, on_answer: Callable[[int, Answer], None]) -> None:
        self._on_answer = on_answer
        self._buffer = bytearray()
        self._statuses: dict[int, int] | None = None
        self._files: list[str] | None = None
        self._contents: dict[str, bytes] = {}

    def feed(self, data: bytes) -> None:
        """Take the next piece. Raises FramingError when it can't belong to a batch."""
        self._buffer += data
        try:
            while self._step():
                pass
        except (ValueError, IndexError) as error:
            raise FramingError(f"not the answer to a batch: {bytes(self._buffer[:80])!r}") from error

    def _step(self) -> bool:
        if self._statuses is None:
            return self._read_statuses()
        if self._files is None:
            return self._read_files()
        if self._files:
            return self._read_member()
        return self._finish_group()

    def _line(self) -> str | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            return None
        line = self._buffer[:end].decode("ascii")
        del self._buffer[: end + 1]
        return line

    def _read_statuses(self) -> bool:
        line = self._line()
        if line is None:
            return False
        words = [int(word) for word in line.split()]
        self._statuses = dict(zip(words[::2], words[1::2], strict=True))
        return True

    def _read_files(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self._files = line.split()
        self._contents = {}
        return True

    def _read_member(self) -> bool:
        if len(self._buffer) < BLOCK or self._files is None:
            return False
        size = int(bytes(self._buffer[124:136]).strip(b" \0"), 8)
        padded = BLOCK + (size + BLOCK - 1) // BLOCK * BLOCK
        last = len(self._files) == 1
        end = padded + 2 * BLOCK if last else padded  # an archive ends with two empty blocks
        if len(self._buffer) < end:
            return False
        name = bytes(self._buffer[:100]).split(b"\0", 1)[0].decode("ascii")
        if name != self._files[0]:
            raise FramingError(f"expected {self._files[0]}, not {name}")
        self._contents[name] = bytes(self._buffer[BLOCK : BLOCK + size])
        del self._buffer[:end]
        del self._files[0]
        return True

    def _finish_group(self) -> bool:
        statuses, self._statuses, self._files = self._statuses or {}, None, None
        for number, status in statuses.items():
            out, err = (self._contents.get(f"{number}.{kind}", b"") for kind in "oe")
            self._on_answer(number, Answer(status, out, err))
        return True
