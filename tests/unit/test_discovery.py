from typing import ClassVar

import pytest

from meshctl.cluster import Cluster
from meshctl.errors import UsageError
from meshctl.roles import discovery
from meshctl.roles.base import Problem, Role


class Lonely(Role):
    name = "lonely"
    summary = "Needs somebody who is not there."
    needs: ClassVar[frozenset[str]] = frozenset({"nobody"})

    async def verify(self, cluster: Cluster) -> list[Problem]:
        return []


def test_every_role_is_found_and_every_need_is_met() -> None:
    found = discovery.discover()
    assert {"preflight", "system", "links", "time"} <= found.keys()
    assert all(role.name == name for name, role in found.items())


def test_unmet_need_is_named() -> None:
    with pytest.raises(UsageError, match="lonely needs nobody"):
        discovery.check({"lonely": Lonely})


def test_two_roles_of_one_name() -> None:
    found: dict[str, type[Role]] = {"lonely": Lonely}
    with pytest.raises(UsageError, match="two roles are called 'lonely'"):
        discovery._add(found, Lonely)


def test_folder_without_a_role() -> None:
    with pytest.raises(UsageError, match=r"no role\.py"):
        discovery.load("nothing_here")
