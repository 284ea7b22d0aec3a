import io
import subprocess
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshctl.host.batch import LIMIT, Answer, FramingError, Question, Reader, can_carry, script
from meshctl.host.quoting import join


def group(answers: dict[int, Answer]) -> bytes:
    """What the script would send for these; tar's own writer as the reference."""
    files: dict[str, bytes] = {}
    for number, answer in answers.items():
        files |= {f"{number}.o": answer.stdout} if answer.stdout else {}
        files |= {f"{number}.e": answer.stderr} if answer.stderr else {}
    head = " ".join(f"{number} {answer.status}" for number, answer in answers.items())
    names = "".join(f" {name}" for name in files)
    return f"{head}\n{names}\n".encode() + (archive(files) if files else b"")


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    data = buffer.getvalue()
    used = sum(512 + -(-len(content) // 512) * 512 for content in files.values())
    return data[: used + 1024]  # tar -b 1 pads to 512, tarfile to 10240


def read(stream: bytes, piece: int) -> dict[int, Answer]:
    seen: dict[int, Answer] = {}
    reader = Reader(seen.__setitem__)
    for start in range(0, len(stream), piece):
        reader.feed(stream[start : start + piece])
    return seen


ANSWERS = st.dictionaries(
    st.integers(0, LIMIT - 1),
    st.builds(Answer, st.integers(0, 255), st.binary(max_size=2000), st.binary(max_size=50)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(ANSWERS, max_size=3), st.integers(1, 5000))
def test_any_output_in_any_pieces(groups: list[dict[int, Answer]], piece: int) -> None:
    expected: dict[int, Answer] = {}
    for answers in groups:
        expected |= answers
    assert read(b"".join(map(group, groups)), piece) == expected


@pytest.mark.parametrize(
    "stream",
    [
        b"Welcome to node1!\n",
        b"0\n\n",
        b"0 0 1\n\n",
        b"0 0\n 0.o\n" + b"x" * 2000,
        b"0 0\n 0.o\n" + archive({"1.o": b"x"}),
    ],
)
def test_anything_else_is_an_error(stream: bytes) -> None:
    with pytest.raises(FramingError):
        read(stream, 100)


def test_the_script_runs_in_the_shell_of_this_machine() -> None:
    commands = [Question(join(["printf", "%s", f"{number}\n\0"[:-1]]), 5.0) for number in range(LIMIT)]
    done = subprocess.run(["sh", "-s"], input=script(commands), capture_output=True, check=True, timeout=20)
    assert done.stderr == b""
    assert read(done.stdout, 65536) == {n: Answer(0, f"{n}\n".encode(), b"") for n in range(LIMIT)}


def test_a_batch_has_a_limit() -> None:
    with pytest.raises(ValueError, match="at most"):
        script([Question("true", 1.0)] * (LIMIT + 1))


@pytest.mark.parametrize("stdin", [b"", b"one\n", b"no end", b"'$(false)' %s \\n -n\n\n", b"\xff\xfe", b"x" * 200_000])
def test_input_arrives_as_it_is(stdin: bytes) -> None:
    assert can_carry(stdin)
    questions = [Question("cat", 5.0, stdin), Question("cat", 5.0), Question("wc -c", 5.0, stdin)]
    done = subprocess.run(["sh", "-s"], input=script(questions), capture_output=True, check=True, timeout=20)
    answers = read(done.stdout, 65536)
    assert (answers[0].stdout, answers[1].stdout) == (stdin, b"")
    assert int(answers[2].stdout) == len(stdin)


def test_a_shell_can_not_say_nul() -> None:
    assert not can_carry(b"a\0b")


def test_input_is_in_no_list_of_processes() -> None:
    questions = [Question("sh -c 'cat >/dev/null; ps axww -o args'", 5.0, b"hunter2")]
    done = subprocess.run(["sh", "-s"], input=script(questions), capture_output=True, check=True, timeout=20)
    listing = read(done.stdout, 65536)[0].stdout
    assert b"ps axww" in listing
    assert b"hunter2" not in listing
