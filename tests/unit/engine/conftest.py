from pathlib import Path

import pytest

from meshctl.cluster import Cluster
from meshctl.host.fake import FakeHost
from meshctl.roles.base import Rollout
from meshctl.state import StateFolder
from meshctl.topology import Topology, load
from tests.unit.engine.toys import Diary, MakeRole, ToyRole

TRIANGLE = Path(__file__).parents[3] / "topologies" / "triangle.yaml"


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def make_role(diary: Diary) -> MakeRole:
    def make(name: str, *needs: str, rollout: Rollout = Rollout.PARALLEL) -> type[ToyRole]:
        body = {"name": name, "needs": frozenset(needs), "rollout": rollout, "diary": diary}
        return type(f"Toy_{name}", (ToyRole,), body)

    return make


@pytest.fixture
def topology() -> Topology:
    return load(TRIANGLE)


@pytest.fixture
def cluster(topology: Topology, tmp_path: Path) -> Cluster:
    hosts = {node.name: FakeHost(node.name).on("touch *") for node in topology.nodes}
    return Cluster(topology, hosts, StateFolder(tmp_path / "state"))
