"""Commands on their way into a shell: the only place where an argument becomes shell text.

What sshd runs is always one constant line, because sshd hands it to the user's login shell, which may be csh or fish
with quoting rules of their own. The line starts a POSIX shell that reads the real command from its stdin.
"""

import shlex
from collections.abc import Sequence

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Commands are looked up here. sshd's own default lacks the sbin folders for users other than root."""

ENVIRONMENT = (f"PATH={PATH}", "LC_ALL=C")
"""Messages are parsed, so they must not be translated."""

ONE_COMMAND = "/bin/sh -c 'IFS= read -r line; eval \"$line\"'"
"""Runs the first line of stdin and leaves the rest to it: `read` takes single bytes from what it can't seek (POSIX)."""

SUDO = ("sudo", "-n", "--")
"""Never asks; a host where it would have to is refused on connect."""

NEWLINE = 'n=$(printf "\\012_"); n=${n%_}; '
"""Defines $n in a line that can't hold a newline itself."""


def quote(argument: str) -> str:
    """An argument as a POSIX shell reads it back. Raises ValueError for a NUL, which no argument can hold."""
    if "\0" in argument:
        raise ValueError("an argument of a command holds a NUL byte")
    return shlex.quote(argument)


def join(argv: Sequence[str]) -> str:
    """A whole command as a POSIX shell reads it back."""
    if not argv:
        raise ValueError("a command needs at least its name")
    return " ".join(quote(argument) for argument in argv)


def one_line(argv: Sequence[str], seconds: float | None, *, sudo: bool, before: Sequence[str] = ()) -> bytes:
    """The line that ONE_COMMAND reads: the command as root in `/`, ended after `seconds` and killed 5 s later.

    None: no limit. `before` are the first words of another command that starts this one, limit and all.
    """
    limited = (*before, *(() if seconds is None else ("timeout", "-k", "5", f"{seconds:.3f}")), *argv)
    if sudo:
        body = f"cd /; exec {join((*SUDO, 'env', *ENVIRONMENT, *limited))}"
    else:
        body = f"cd /; export {join(ENVIRONMENT)}; exec {join(limited)}"
    if "\n" in body:
        body = NEWLINE + body.replace("\n", "'\"$n\"'")
    return body.encode(errors="surrogateescape") + b"\n"


def shell(*, sudo: bool) -> str:
    """The line that starts a shell as root, which reads a script from stdin."""
    return join((*(SUDO if sudo else ()), "/bin/sh", "-s"))
