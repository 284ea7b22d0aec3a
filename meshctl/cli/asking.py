# ruff: noqa: PLC0415  (imports happen where they are needed)
"""One question after the other on a terminal, each until its answer is fine."""

from collections.abc import Callable
from typing import Protocol

import click

Check = Callable[[str], list[str]]
"""What is wrong with an answer, one sentence each."""


class Operator(Protocol):
    """Who answers."""

    def tell(self, text: str) -> None:
        """Show something."""

    def ask(self, question: str, default: str | None, check: Check) -> str:
        """Ask until the check finds nothing; an empty answer is the default, None has to be answered."""


class Terminal:
    """The operator at a terminal; standard output is left for data. Raises click.Abort on Ctrl-C and Ctrl-D."""

    def tell(self, text: str) -> None:
        """Show something."""
        click.echo(text, err=True)

    def ask(self, question: str, default: str | None, check: Check) -> str:
        """One line, or several until one is fine."""
        from meshctl.cli.printable import one_line

        def checked(text: str) -> str:
            if said := check(text.strip()):
                raise click.UsageError("\n  ".join(_wrapped(one_line(sentence)) for sentence in said))
            return text.strip()

        answer: str = click.prompt(question, default=default, show_default=bool(default), value_proc=checked, err=True)
        return answer


def _wrapped(sentence: str) -> str:
    import shutil
    import textwrap

    width = max(40, shutil.get_terminal_size().columns - len("Error: "))
    return textwrap.fill(sentence, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
