"""What an error is in a report."""

from meshctl.errors import CommandError, RefusedError
from meshctl.roles.base import problem_of


def test_a_failed_script_is_one_line_for_people() -> None:
    failed = CommandError("node1", ["sh", "-c", "set -eu\nrm $1\n", "sh", "/x"], 2, "no such file")
    problem = problem_of(failed, "node2")
    assert (problem.host, problem.command, problem.seen) == ("node1", "sh -c set -eu … sh /x", "no such file")
    assert not problem.refused


def test_a_refusal_is_marked_as_one() -> None:
    problem = problem_of(RefusedError("node1", "is in use", advice="Free it."), "")
    assert (problem.what, problem.command, problem.advice, problem.refused) == ("is in use", "", "Free it.", True)
