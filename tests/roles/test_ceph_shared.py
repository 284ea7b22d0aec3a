"""What the Ceph roles share: asking, telling, and keeping units running."""

import json

import pytest

from meshctl.errors import CommandError, ParseError
from meshctl.host.fake import FakeHost
from meshctl.roles import ceph
from tests.roles.cephworld import CephHost, World


@pytest.fixture
def host() -> CephHost:
    return CephHost(world=World(config={("osd", "x"): "1"}))


async def test_questions_travel_together(host: CephHost) -> None:
    config, osds = await ceph.ask(host, {"prefix": "config dump"}, {"prefix": "osd dump"})
    assert json.loads(config.output)[0]["name"] == "x"
    assert json.loads(osds.output)["osds"] == []
    assert len(host.queried) == 1
    assert host.ran == []


async def test_a_refusal_reads_as_an_operator_would_have_typed_it(host: CephHost) -> None:
    host.world.refused["config dump"] = 13
    with pytest.raises(CommandError, match=r"`ceph config dump` exited with 13: no such thing"):
        await ceph.ask(host, {"prefix": "osd dump"}, {"prefix": "config dump"})
    dump, key = await ceph.ask(host, {"prefix": "osd dump"}, {"prefix": "config-key get", "key": "k"}, ok=None)
    assert (dump.status, key.status) == (0, -2)


def test_commands_as_operators_type_them() -> None:
    assert ceph.Setting("osd/host:a", "b", "1").set
    assert ceph.shown(ceph.Setting("mon", "b", "1").set) == ("ceph", "config set", "mon", "b", "1")
    asked = {"prefix": "mon_status", "to": "/run/x.asok", "format": "json"}
    assert ceph.shown(asked) == ("ceph", "daemon", "/run/x.asok", "mon_status")


async def test_rounds_of_changes_are_one_command_and_empty_ones_none(host: CephHost) -> None:
    setting = ceph.Setting("mon", "a", "1")
    await ceph.tell(host, [], [setting.set, ceph.Setting("mgr", "b", "2").set], [setting.remove], reason="why")
    assert host.world.config == {("osd", "x"): "1", ("mgr", "b"): "2"}
    assert len(host.ran) == 1


async def test_a_refused_change_is_an_error(host: CephHost) -> None:
    host.world.refused["config set"] = 22
    with pytest.raises(CommandError, match="ceph config set mon a 1"):
        await ceph.tell(host, [ceph.Setting("mon", "a", "1").set], reason="why")


async def test_a_dry_run_says_nothing() -> None:
    host = FakeHost().on(f"{ceph.ASK} *", "")
    await ceph.tell(host, [ceph.Setting("mon", "a", "1").set], reason="why")


async def test_nonsense_is_a_parse_error() -> None:
    host = FakeHost().on(f"{ceph.ASK} *", "Traceback")
    with pytest.raises(ParseError):
        await ceph.ask(host, {"prefix": "status"})


async def test_a_stopped_unit_is_linked_without_a_reload_and_started(host: CephHost) -> None:
    host.enabled.discard("ceph-mon.target")
    await ceph.keep_running(host, "ceph-mon@a.service", "ceph-mon.target")
    assert host.ran == [
        "systemctl --root=/ enable -- ceph-mon@a.service ceph-mon.target",
        "systemctl start -- ceph-mon@a.service",
    ]


async def test_a_running_unit_stays_and_is_enabled(host: CephHost) -> None:
    host.active.add("ceph-mon@a.service")
    await ceph.keep_running(host, "ceph-mon@a.service")
    assert host.ran == ["systemctl enable -- ceph-mon@a.service"]
    host.ran.clear()
    await ceph.keep_running(host, "ceph-mon@a.service")
    assert host.ran == []


async def test_a_failed_unit_is_forgiven_first(host: CephHost) -> None:
    host.failed.add("ceph-mon@a.service")
    host.enabled.add("ceph-mon@a.service")
    await ceph.keep_running(host, "ceph-mon@a.service")
    assert host.ran == ["systemctl reset-failed -- ceph-mon@a.service", "systemctl start -- ceph-mon@a.service"]


async def test_every_survey_is_the_same_question_so_that_one_answer_serves_all(host: CephHost) -> None:
    (osds,) = await ceph.survey(host, ceph.OSD_DUMP)
    config, health = await ceph.survey(host, ceph.CONFIG_DUMP, ceph.HEALTH)
    assert json.loads(osds.output)["osds"] == []
    assert json.loads(config.output)[0]["name"] == "x"
    assert json.loads(health.output)["status"] == "HEALTH_OK"
    assert len(set(host.queried)) == 1


async def test_a_survey_fails_for_what_was_wanted_of_it_alone(host: CephHost) -> None:
    host.world.refused["config dump"] = 13
    await ceph.survey(host, ceph.OSD_DUMP)
    with pytest.raises(CommandError, match=r"`ceph config dump` exited with 13"):
        await ceph.survey(host, ceph.CONFIG_DUMP)
