# ruff: noqa: PLC0415  (imports happen where they are needed)
"""`meshctl completion SHELL`."""

import click


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that teaches SHELL to complete meshctl's words.

    For bash: meshctl completion bash > ~/.local/share/bash-completion/completions/meshctl
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:  # click has all three since 8.0
        raise click.UsageError(f"no completion for {shell}", ctx)
    click.echo(kind(ctx.find_root().command, {}, "meshctl", "_MESHCTL_COMPLETE").source())
