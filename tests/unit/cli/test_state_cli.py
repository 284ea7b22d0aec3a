"""`state`: what is shown of what the cluster keeps, and what gets into another machine's folder."""

import json
from pathlib import Path

import pyrage
import pytest

from meshctl.ca import CA_FILE, Authority
from meshctl.cli import history
from meshctl.cli.state import Kept, as_json, lines, store
from meshctl.errors import SecretsError
from meshctl.host.holder import Holder
from meshctl.roles.handover import history as kept_history
from meshctl.roles.handover.bundle import Bundle
from meshctl.roles.handover.history import LENGTH, Run, encode, runs
from meshctl.secrets import Seal
from meshctl.state import StateFolder
from tests.roles.cephworld import CephHost, World
from tests.unit.cli.recorded import finished
from tests.unit.cli.schemas import check

RUN = Run("2026-11-20 11:40:51 UTC", "anna on laptop7", "bootstrap", ok=False, changed=3, wall_s=12.5, problems=("x",))
HEAD = "BEGUN                    BY               COMMAND    CHANGES  SECONDS"
BUNDLE = Bundle("cluster: a\n", "192.0.2.1 ssh-ed25519 AAAA\n", {CA_FILE: "sealed"}, "anna on laptop7", "today")


def test_people_see_what_is_kept_and_who_ran_what() -> None:
    assert list(lines(Kept(BUNDLE, (RUN,)), "cluster: a\n")) == [
        "topology  the same as here; kept by anna on laptop7, today",
        "CA        ca.pem",
        "SSH keys  of 1 hosts",
        "",
        HEAD + "\n2026-11-20 11:40:51 UTC  anna on laptop7  bootstrap  3        12.5     failed; x",
    ]
    assert "not the one that is here" in next(lines(Kept(BUNDLE, ()), "cluster: b\n"))
    assert "keeps nothing" in next(lines(Kept(None, ()), ""))


def test_json_is_what_its_schema_says() -> None:
    for kept in (Kept(None, ()), Kept(BUNDLE, (RUN,))):
        check(json.dumps({"schema": "meshctl/state/1", **as_json(kept, "")}), "meshctl/state/1")


def test_a_fetched_ca_is_the_one_that_was_kept(tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    file = tmp_path / "identity"
    file.touch(mode=0o600)
    file.write_text(str(identity))
    seal = Seal((str(identity.to_public()),), file)
    theirs, mine, other = (StateFolder(tmp_path / name, seal) for name in ("theirs", "mine", "other"))
    certificate = Authority.create(theirs, "triangle").certificate
    content = (theirs.read_secret(CA_FILE) or b"").decode()
    kept = Bundle("t", "b k2\n", {CA_FILE: content})
    assert store(kept, mine, "a k1\n") == [str(mine.path / CA_FILE), str(mine.known_hosts)]
    found = Authority.load(mine)
    assert found
    assert found.certificate == certificate
    assert found.unlock()
    assert mine.read_secret("known_hosts") == b"a k1\nb k2\n"
    assert store(kept, mine, "") == []
    Authority.create(other, "triangle")
    before = other.read_secret(CA_FILE)
    with pytest.raises(SecretsError, match="is another CA than the cluster keeps"):
        store(kept, other, "a k1\n")
    assert other.read_secret(CA_FILE) == before
    assert other.read_secret("known_hosts") is None


def test_only_the_last_runs_are_kept_and_never_more_than_fit() -> None:
    long = Run(
        "t" * 23, "b" * 60, "certs renew", ok=False, changed=1, wall_s=1.0, problems=("p" * 999,) * 9, log="l" * 60
    )
    encoded = encode([RUN, *[long] * (LENGTH + 7)])
    assert len(encoded) < 65_536
    found = runs(encoded.decode())
    assert len(found) == LENGTH
    assert found[0] == long.short()


async def test_a_run_adds_a_line_and_a_dead_cluster_says_why_not() -> None:
    world, holder = World(), Holder("anna", "laptop7", "now", "20261120T114051Z-bootstrap")
    host = CephHost(name="node1", world=world)
    command = "ceph --connect-timeout 10 config-key set meshctl/runs -i -"
    host.on(command, then=lambda: world.keys.update({kept_history.KEY: host.stdins[-1].decode()}))
    for _ in range(2):
        assert await history.keep({"node1": host}, "bootstrap", holder, finished()) == ""
    kept = await kept_history.look(host)
    assert [run.by for run in kept] == ["anna on laptop7"] * 2
    assert kept[0].log == "20261120T114051Z-bootstrap"
    world.refused["config-key get"] = 110
    assert "config-key get" in await history.keep({"node1": host}, "bootstrap", holder, finished())
    assert await history.keep({}, "destroy", holder, finished()) == ""
