"""Rate limits with a clock that only the test moves."""

from __future__ import annotations

import pytest

from server_beta.domain.errors import Forbidden, TooManyRequests, Unauthorized, Unavailable
from server_beta.http.limits import Buckets, Limits


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def spend(buckets: Buckets, name: bytes = b"a") -> int:
    """Take tokens until there are none."""
    taken = 0
    while True:
        try:
            buckets.take(name)
        except TooManyRequests:
            return taken
        taken += 1


def authenticate(limits: Limits, key: str | None, address: str = "192.0.2.1", failure: Exception | None = None) -> bool:
    """Tell whether the key was looked up at all."""
    try:
        with limits.authenticating(address, key):
            if failure is not None:
                raise failure
    except TooManyRequests:
        return False
    except (Unauthorized, Forbidden, Unavailable):
        pass
    return True


def lookups(limits: Limits, key: str | None, failure: Exception | None = None, address: str = "192.0.2.1") -> int:
    """Count how many of ten attempts reach the lookup."""
    return sum(authenticate(limits, key, address, failure) for _ in range(10))


def test_a_minute_s_tokens_may_be_taken_at_once_and_come_back_evenly(clock: Clock) -> None:
    buckets = Buckets(120, now=clock)
    assert spend(buckets) == 120
    clock.seconds += 0.49
    assert spend(buckets) == 0
    clock.seconds += 0.01
    assert spend(buckets) == 1
    clock.seconds += 30
    assert spend(buckets) == 60
    clock.seconds += 3600
    assert spend(buckets) == 120


@pytest.mark.parametrize(("per_minute", "wait"), [(1, 60), (2, 30), (7, 9), (60, 1), (6000, 1)])
def test_a_refusal_says_when_the_next_token_is_there(clock: Clock, per_minute: int, wait: int) -> None:
    buckets = Buckets(per_minute, now=clock)
    spend(buckets)
    with pytest.raises(TooManyRequests) as refused:
        buckets.take(b"a")
    assert refused.value.retry_after_seconds == wait
    clock.seconds += wait
    buckets.take(b"a")


def test_asking_in_vain_costs_nothing(clock: Clock) -> None:
    buckets = Buckets(1, now=clock)
    spend(buckets)
    for _ in range(60):
        clock.seconds += 0.999
        assert spend(buckets) == 0
    clock.seconds += 0.1
    assert spend(buckets) == 1


def test_names_do_not_share_a_bucket(clock: Clock) -> None:
    buckets = Buckets(3, now=clock)
    assert spend(buckets, b"a") == spend(buckets, b"b") == 3


def test_there_are_never_more_buckets_than_allowed_and_the_latest_askers_keep_theirs(clock: Clock) -> None:
    buckets = Buckets(2, most=10, now=clock)
    spend(buckets, b"busy")
    for number in range(1000):
        buckets.take(str(number).encode())
        assert spend(buckets, b"busy") == 0
    assert len(buckets) == 10


def test_without_a_limit_nothing_is_counted(clock: Clock) -> None:
    limits = Limits(0, now=clock)
    assert lookups(limits, "good") == lookups(limits, "bad", Forbidden()) == 10
    for _ in range(100):
        limits.admit_stranger("192.0.2.1")


@pytest.mark.parametrize(("key", "failure"), [(None, Unauthorized()), ("guess", Forbidden())])
def test_who_shows_no_good_key_is_refused_before_the_lookup(clock: Clock, key: str, failure: Exception) -> None:
    limits = Limits(4, now=clock)
    assert lookups(limits, key, failure) == 4
    assert lookups(limits, key, failure, address="192.0.2.2") == 4
    with pytest.raises(TooManyRequests):
        limits.admit_stranger("192.0.2.1")


def test_each_wrong_key_counts_for_the_same_address(clock: Clock) -> None:
    limits = Limits(4, now=clock)
    assert sum(authenticate(limits, f"guess-{number}", failure=Forbidden()) for number in range(100)) == 4


def test_good_keys_are_counted_each_by_itself_wherever_they_come_from(clock: Clock) -> None:
    limits = Limits(4, now=clock)
    assert lookups(limits, "good") == 4
    assert lookups(limits, "good", address="192.0.2.9") == 0
    assert lookups(limits, "another") == 4


def test_a_good_key_is_not_locked_out_by_strangers_at_its_address(clock: Clock) -> None:
    limits = Limits(4, now=clock)
    assert authenticate(limits, "good")
    lookups(limits, "guess", Forbidden())
    assert lookups(limits, "good") == 3


def test_a_key_that_is_good_no_more_is_a_stranger_s(clock: Clock) -> None:
    limits = Limits(4, now=clock)
    assert authenticate(limits, "good")
    assert authenticate(limits, "good", failure=Forbidden())
    assert lookups(limits, "good", Forbidden()) == 4


def test_a_lookup_that_fails_for_our_own_reasons_counts_for_nobody(clock: Clock) -> None:
    limits = Limits(4, now=clock)
    assert lookups(limits, "good", Unavailable()) == 10
    assert lookups(limits, "guess", Forbidden()) == 4


def test_local_development_without_a_key_is_counted_by_address(clock: Clock) -> None:
    assert lookups(Limits(4, now=clock), None) == 4


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("", "192.0.2.1", False),
    ],
)
def test_which_addresses_are_one(clock: Clock, one: str, other: str, shared: bool) -> None:
    limits = Limits(1, now=clock)
    limits.admit_stranger(one)
    if shared:
        with pytest.raises(TooManyRequests):
            limits.admit_stranger(other)
    else:
        limits.admit_stranger(other)
