import shlex
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshctl.host.quoting import ONE_COMMAND, SUDO, join, one_line, shell

ARGUMENTS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), max_size=5)


@settings(max_examples=25, deadline=None)
@example(["a'\nb", "\n"], b"\n")
@given(ARGUMENTS, st.binary(max_size=100))
def test_a_shell_reads_back_what_was_given(arguments: list[str], stdin: bytes) -> None:
    argv = ["sh", "-c", r"""printf '%s\0' "$@"; cat""", "sh", *arguments]
    line = one_line(argv, 5, sudo=False)
    assert line.count(b"\n") == 1
    done = subprocess.run(shlex.split(ONE_COMMAND), input=line + stdin, capture_output=True, check=True, timeout=10)
    shown = [argument.encode() + b"\0" for argument in arguments or [""]]
    assert done.stdout == b"".join(shown) + stdin


def test_what_sshd_sees_means_the_same_to_every_shell() -> None:
    for line in (ONE_COMMAND, shell(sudo=False), shell(sudo=True)):
        assert not set(line) & set("\\\n!")
        assert line.count("'") % 2 == 0


def test_sudo_comes_before_everything_else() -> None:
    assert f"exec {join(SUDO)} env PATH=" in one_line(["true"], 5, sudo=True).decode()


def test_a_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        join(["a\0b"])
