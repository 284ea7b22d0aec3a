# ruff: noqa: PLC0415  (imports happen where they are needed)
"""The root command, and the one place where an outcome becomes an exit code."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from meshctl import __version__
from meshctl.cli import (
    add,
    backup,
    bootstrap,
    certify,
    certs,
    completion,
    destroy,
    discover,
    doctor,
    evacuate,
    init,
    lab,
    output,
    plan,
    reboot,
    recover,
    remove,
    replace,
    state,
    status,
    topology,
    unlock,
)
from meshctl.cli.options import Options, spell_out_lab


class _Root(click.Group):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, after `--lab` has been told apart from `--lab=NAME`; completion comes this way as well."""
        return super().parse_args(ctx, spell_out_lab(args))

    def invoke(self, ctx: click.Context) -> Any:
        """As click does; where JSON was asked for and none printed, an error is the one object on standard output."""
        try:
            return super().invoke(ctx)
        except click.exceptions.Exit:
            raise
        except Exception as error:
            if ctx.params["output"] == "json" and not output.emitted(ctx):
                from meshctl.cli import failures

                output.emit_json("error", failures.document(error))
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which an operator meets them."""
        return list(self.commands)


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--lab",
    metavar="[=NAME]",
    help="Reach the hosts inside the running lab of that topology.",
    shell_complete=lambda ctx, _param, begun: ctx.command.shell_complete(ctx, begun),  # after a bare --lab: commands
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For standard output.",
)
@click.option("-v", "--verbose", count=True, help="Show each change and what each gate waits for.")
@click.option("--log-file", type=click.Path(path_type=Path, dir_okay=False), help="Also write the run's log here.")
@click.option(
    "--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Folder of the CA, known hosts and run logs."
)
@click.option(
    "--age-identity",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="MESHCTL_AGE_IDENTITY",
    help="File that opens the CA's key where secrets.age_recipients encrypts it; also $MESHCTL_AGE_IDENTITY.",
)
@click.option(
    "--ssh-config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Reach the hosts as this SSH configuration says (`vagrant ssh-config`).",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def root(ctx: click.Context, /, **given: Any) -> None:
    """Directly wired Linux hosts become one hyperconverged cluster: OSPF, OVN, Ceph, Incus.

    TOPOLOGY is the file that describes the cluster, for example topologies/triangle.yaml.
    """
    ctx.obj = Options(**given)
    if given["lab"] is not None and given["ssh_config"]:
        from meshctl.errors import UsageError

        advice = "A lab has keys and addresses of its own: leave out one of the two."
        raise UsageError("--lab and --ssh-config are two ways to the hosts", advice=advice)


for _command in (
    *(init.init, discover.discover, topology.validate, topology.schema, topology.render),
    *(plan.plan, bootstrap.bootstrap, bootstrap.verify, status.status, doctor.doctor, unlock.unlock),
    *(evacuate.evacuate, evacuate.restore, reboot.reboot, replace.replace, add.add, remove.remove),
    *(backup.backup, recover.recover, destroy.destroy),
    *(certify.certify, certs.group, state.group, lab.group, completion.completion),
):
    root.add_command(_command)


def run(argv: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code and never raises, SystemExit aside."""
    try:
        code = root.main(args=list(argv), prog_name="meshctl", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (this is where every one ends as a sentence)
        from meshctl.cli import failures

        return failures.report(error, sys.stderr)
    return code if isinstance(code, int) else 0
