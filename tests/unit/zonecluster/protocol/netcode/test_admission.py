"""Rate limits and the history of tokens, bounded."""

from zonecluster.protocol.netcode.addresses import network_prefix
from zonecluster.protocol.netcode.admission import RequestLimiter, TokenBucket, TokenHistory
from zonecluster.protocol.netcode.drops import Drop

ALICE, MALLORY = ("198.51.100.7", 1), ("192.0.2.66", 1)


def test_a_bucket_gives_its_burst_and_then_its_rate():
    bucket = TokenBucket(rate=10, burst=3)
    assert [bucket.take(0.0) for _ in range(5)] == [True, True, True, False, False]
    assert [bucket.take(0.1) for _ in range(2)] == [True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_stands_still_or_goes_back_gives_nothing():
    bucket = TokenBucket(rate=10, burst=1)
    assert bucket.take(5.0)
    assert not bucket.take(4.0)


def test_networks():
    assert network_prefix("192.0.2.7") == network_prefix("192.0.2.250") != network_prefix("192.0.3.7")
    assert network_prefix("::ffff:192.0.2.7") == network_prefix("192.0.2.7")
    assert network_prefix("2001:db8:1::1") == network_prefix("2001:db8:1:ffff::2")
    assert network_prefix("2001:db8:1::1") != network_prefix("2001:db8:2::1")
    assert network_prefix("fe80::1%eth0") == network_prefix("fe80::2%eth1")
    assert network_prefix("no address") == "no address"


def test_memory_for_networks_is_bounded_and_the_oldest_goes_first():
    limiter = RequestLimiter(rate=0, burst=1, total_rate=0, total_burst=1000, max_prefixes=2)
    assert limiter.allow(("10.0.1.1", 1), 0.0)
    assert limiter.allow(("10.0.2.1", 1), 0.0)
    assert not limiter.allow(("10.0.1.2", 1), 0.0)
    assert limiter.allow(("10.0.3.1", 1), 0.0)  # 10.0.2 is forgotten, 10.0.1 was heard of since
    assert not limiter.allow(("10.0.1.3", 1), 0.0)


def test_a_network_over_its_limit_does_not_use_up_the_total():
    limiter = RequestLimiter(rate=0, burst=1, total_rate=0, total_burst=2, max_prefixes=10)
    allowed = [limiter.allow(("10.0.1.1", port), 0.0) for port in range(50)]
    assert allowed.count(True) == 1
    assert limiter.allow(("10.0.2.1", 1), 0.0)


def test_history():
    history = TokenHistory(size=2)
    assert history.admit(b"a", ALICE, 100, 50) is None
    assert history.admit(b"a", ALICE, 100, 50) is None
    assert history.admit(b"a", MALLORY, 100, 50) is Drop.TOKEN_USED_ELSEWHERE
    history.spend(b"a")
    assert history.admit(b"a", ALICE, 100, 50) is Drop.TOKEN_SPENT
    assert history.admit(b"b", ALICE, 200, 50) is None
    assert history.admit(b"c", ALICE, 200, 159) is Drop.HISTORY_FULL
    assert history.admit(b"c", ALICE, 200, 160) is None  # "a" expired a minute ago
    assert len(history) == 2
