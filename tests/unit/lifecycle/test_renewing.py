"""In which order new certificates come to a cluster that goes on working."""

from meshctl.lifecycle.renewing import renewal_plan, takeover_plan
from tests.roles import golden

TRIANGLE = golden.topology("triangle")


def test_one_host_at_a_time_with_the_gate_in_between() -> None:
    plan = renewal_plan(TRIANGLE, ["node1", "node3"])
    order = [step.id for step in plan.order()]
    hosts = [step for step in order if step.startswith(("pki@", "ovn"))]
    assert hosts == ["ovn.verify", "pki@node1", "ovn.verify after node1", "pki@node3", "ovn.verify after node3"]
    assert plan.ancestors("incus_network@node1") >= set(hosts)
    assert plan.ancestors("pki@node1") == {"ovn.verify", "pki.prepare"}


def test_every_host_trusts_both_cas_before_any_has_a_certificate_of_the_new_one() -> None:
    plan = takeover_plan(TRIANGLE)
    for node in ("node1", "node2", "node3"):
        assert plan.ancestors(f"pki_cross@{node}") >= {f"pki_trust@node{n}" for n in (1, 2, 3)}
        assert f"ovn.verify before {node}" in plan.ancestors(f"pki_cross@{node}")
        assert plan.ancestors(f"pki@{node}") >= {f"pki_cross@node{n}" for n in (1, 2, 3)} | {
            "ovn.verify with new certificates"
        }
    order = [step.id for step in plan.order()]
    crossing = order.index("incus_network@node1 crosses over")
    assert order.index("pki_cross@node1") < crossing < order.index("pki_cross@node2")
    assert order[-1] == "pki.verify"
