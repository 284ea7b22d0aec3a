# ruff: noqa: PLC0415  (imports happen where they are needed)
"""Before something can't be undone, the operator names the cluster or host it is about."""

import sys

import click


async def insist(name: str, yes: str | None, what: str, thing: str = "cluster") -> None:
    """Raise UsageError unless the operator has named the thing, as an option or by typing it."""
    from meshctl.errors import UsageError

    if why_not := await refusal(name, yes, what, thing):
        raise UsageError(why_not)


async def refusal(name: str, yes: str | None, what: str, thing: str = "cluster") -> str:
    """Why it may not be done; "" when the operator has named the thing, as an option or by typing it."""
    from meshctl.cli.reach import typed_line

    if yes is None and not sys.stdin.isatty():
        return f"nothing was changed, and there is no terminal to ask on: pass --yes {name}"
    if yes is None:
        click.echo(f"Type the {thing}'s name to {what}: ", err=True, nl=False)
        yes = (await typed_line()).strip()
    return "" if yes == name else f"nothing was changed: the {thing} is called {name}, not {yes!r}"
