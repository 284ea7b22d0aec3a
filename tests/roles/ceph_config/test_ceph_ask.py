"""The program that hosts run for several Ceph commands at once, with a librados of our own beside it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meshctl.roles.ceph import CONF, MGR_DUMP, STATUS
from meshctl.roles.templates import environment

RADOS = """
import json, os
class Rados:
    def __init__(self, conffile, name, conf): pass
    def connect(self):
        with open(os.environ["SEEN"], "a") as seen:
            seen.write("connect\\n")
        if os.environ.get("REFUSE"):
            error = OSError("no quorum")
            error.errno = 110
            raise error
    def mon_command(self, line, data, timeout):
        command = json.loads(line)
        assert "keep" not in command and "to" not in command, command
        return 0, json.dumps({"asked": command["prefix"], "active_name": "a", "available_modules": [1]}).encode(), ""
"""


@pytest.fixture
def told(tmp_path: Path) -> Any:
    """Runs the program; returns its answers and how often it opened a session."""
    (tmp_path / "rados.py").write_text(RADOS)
    program = tmp_path / "ceph-ask"
    program.write_text(environment("meshctl.roles.ceph_config").get_template("ceph-ask.j2").render(conf=CONF))
    seen = tmp_path / "seen"

    def run(*rounds: object, refuse: bool = False) -> tuple[list[dict[str, Any]], int]:
        environ = {**os.environ, "PYTHONPATH": str(tmp_path), "SEEN": str(seen), "REFUSE": "1" if refuse else ""}
        argv = [sys.executable, str(program), "5", *(json.dumps(commands) for commands in rounds)]
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=True, timeout=30)
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers, len(seen.read_text().splitlines())

    return run


def test_a_round_is_one_session_and_answers_in_order(told: Any) -> None:
    answers, sessions = told([STATUS, MGR_DUMP], STATUS)
    assert [json.loads(answer["output"])["active_name"] for answer in answers] == ["a"] * 3
    assert json.loads(answers[0]["output"])["asked"] == "status"
    assert sessions == 1


def test_of_a_long_answer_only_what_is_wanted_travels(told: Any) -> None:
    (dump,), _ = told(MGR_DUMP)
    assert json.loads(dump["output"]) == {"active_name": "a"}


def test_without_quorum_it_waits_once_not_once_for_each_command(told: Any) -> None:
    answers, sessions = told([STATUS] * 8, refuse=True)
    assert [answer["status"] for answer in answers] == [-110] * 8
    assert "no quorum" in answers[7]["error"]
    assert sessions == 1
