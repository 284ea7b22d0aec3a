"""Errors are read by tired people."""

from meshctl.errors import CommandError, shown

SCRIPT = '\nset -eu\ndisk=$1\nrm -rf -- "$disk"\n'


def test_scripts_are_named_not_printed() -> None:
    argv = ["sh", "-c", SCRIPT, "sh", "/dev/sdb"]
    assert shown(argv) == "sh -c set -eu … sh /dev/sdb"
    assert str(CommandError("node1", argv, 1, "no")) == "node1: `sh -c set -eu … sh /dev/sdb` exited with 1: no"
    assert CommandError("node1", argv, 1, "no").argv == tuple(argv)


def test_other_commands_are_shown_as_they_are() -> None:
    assert shown(["incus", "query", "", " /1.0 "]) == "incus query   /1.0 "
