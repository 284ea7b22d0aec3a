"""Before something can't be undone, the operator names the cluster it is about."""

import sys

import click


async def refusal(cluster: str, yes: str | None, what: str) -> str:
    """Why it may not be done; "" when the operator has named the cluster, as an option or by typing it."""
    from meshctl.cli.reach import typed_line  # noqa: PLC0415  (imports happen where they are needed)

    if yes is None and not sys.stdin.isatty():
        return f"nothing was changed, and there is no terminal to ask on: pass --yes {cluster}"
    if yes is None:
        click.echo(f"Type the cluster's name to {what}: ", err=True, nl=False)
        yes = (await typed_line()).strip()
    return "" if yes == cluster else f"nothing was changed: the cluster is called {cluster}, not {yes!r}"
