"""How long nothing was answered, from what ping prints."""

import pytest

from meshctl.certify.probes import Loss, Reply, loss, percentile, ping_replies, replies

PING = """\
PING 10.50.1.2 (10.50.1.2) from 10.50.1.1 : 56(84) bytes of data.
[1795182412.368937] 64 bytes from 10.50.1.2: icmp_seq=1 ttl=64 time=12.0 ms
[1795182412.384597] no answer yet for icmp_seq=2
[1795182412.416630] 64 bytes from 10.50.1.2: icmp_seq=3 ttl=64 time=15.5 ms
[1795182412.416611] 64 bytes from 10.50.1.2: icmp_seq=2 ttl=64 time=31.1 ms
[1795182412.416640] 64 bytes from 10.50.1.2: icmp_seq=2 ttl=64 time=31.2 ms (DUP!)
[1795182412.433551] From 10.50.1.1 icmp_seq=4 Destination Host Unreachable
[1795182412.633551] 64 bytes from 10.50.1.2: icmp_seq=24 ttl=63 time=113 ms

--- 10.50.1.2 ping statistics ---
24 packets transmitted, 4 received, 83% packet loss, time 90ms
"""


def test_answers_in_the_order_of_their_numbers() -> None:
    found = ping_replies(PING)
    assert [(reply.seq, reply.ttl, reply.rtt) for reply in found] == [
        (1, 64, 12.0), (2, 64, 31.1), (3, 64, 15.5), (24, 63, 113.0),
    ]  # fmt: skip
    assert found[0].sent == pytest.approx(1795182412.356937)


def test_loss_counts_from_what_was_sent_not_from_what_came_back_late() -> None:
    answers = tuple(Reply(seq, seq / 100, 64, 0.1) for seq in range(100) if not 40 <= seq < 57)
    found = loss(answers)
    assert (found.lost, found.ttl) == (17, 64)
    assert found.ms == pytest.approx(170)
    late = tuple(Reply(seq, seq / 100, 63, 900.0) for seq in range(100))
    assert loss(late) == Loss(0, 0, 63)


def test_two_losses_add_up() -> None:
    answers = tuple(Reply(seq, seq / 100, 64, 0.1) for seq in range(100) if seq not in {10, 11, 50})
    assert loss(answers).lost == 3
    assert loss(answers).ms == pytest.approx(30)


def test_no_answer_at_all() -> None:
    with pytest.raises(ValueError, match="no packet was answered"):
        loss(())


def test_output_of_several_targets() -> None:
    found = replies(f"@@ 10.50.1.2\n{PING}@@ 10.50.1.3\n\n")
    assert {target: len(answers) for target, answers in found.items()} == {"10.50.1.2": 4, "10.50.1.3": 0}


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_percentiles(share: float, value: int) -> None:
    assert percentile(range(1, 101), share) == value
    assert percentile([7], share) == 7
