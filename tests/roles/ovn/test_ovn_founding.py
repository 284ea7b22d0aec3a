import pytest

from meshctl.errors import RefusedError
from meshctl.roles.ovn.founding import founders
from meshctl.roles.ovn.parse import Store
from tests.roles import golden

MESH = golden.topology("triangle")
ABSENT, EMPTY, DATA = Store("absent"), Store("standalone"), Store("standalone", rows=3)


def member(n: int, letter: str = "nb", cluster: str = "one") -> Store:
    return Store("clustered", f"ssl:10.50.1.{n}:{6643 if letter == 'nb' else 6644}", cluster)


def decide(*northbound: Store, southbound: tuple[Store, ...] = (EMPTY, EMPTY, EMPTY)) -> dict[str, str]:
    stores = {
        f"node{n}": {"nb": nb, "sb": sb} for n, (nb, sb) in enumerate(zip(northbound, southbound, strict=True), 1)
    }
    return founders(MESH, stores)


def test_first_host_founds() -> None:
    assert decide(EMPTY, ABSENT, EMPTY) == {"nb": "node1", "sb": "node1"}


def test_host_with_data_founds() -> None:
    assert decide(EMPTY, DATA, EMPTY) == {"nb": "node2", "sb": "node2"}


def test_existing_cluster_is_joined() -> None:
    southbound = (EMPTY, EMPTY, member(3, "sb"))
    assert decide(ABSENT, member(2), EMPTY, southbound=southbound) == {"nb": "node2", "sb": "node3"}


def test_southbound_is_founded_beside_the_northbound_member() -> None:
    assert decide(ABSENT, member(2), EMPTY) == {"nb": "node2", "sb": "node2"}


def test_host_that_was_never_let_in_founds_nothing() -> None:
    assert decide(member(1, cluster=""), member(2), EMPTY)["nb"] == "node2"


def test_data_on_two_hosts() -> None:
    with pytest.raises(RefusedError, match=r"node3: .* has logical networks of its own, which joining node2's"):
        decide(EMPTY, DATA, DATA)


def test_data_beside_a_cluster() -> None:
    with pytest.raises(RefusedError, match=r"node1: .* which joining node2's"):
        decide(DATA, member(2), EMPTY)


def test_two_clusters() -> None:
    with pytest.raises(RefusedError, match=r"different clusters \(node1: one, node3: two\)"):
        decide(member(1), EMPTY, member(3, cluster="two"))


@pytest.mark.parametrize("address", ["tcp:10.50.1.1:6643", "ssl:10.9.9.9:6643"])
def test_somebody_elses_cluster(address: str) -> None:
    with pytest.raises(RefusedError, match=f"at {address}; this topology has ssl:10.50.1.1:6643"):
        decide(Store("clustered", address, "one"), EMPTY, EMPTY)
