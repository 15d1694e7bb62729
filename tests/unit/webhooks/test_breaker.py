from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.webhooks.domain.breaker import Breaker, BreakerRules

RULES = BreakerRules(failures=3, first_rest_ms=1_000, longest_rest_ms=4_000)


def opened() -> Breaker:
    breaker = Breaker(RULES)
    assert [breaker.fail(0, 0.5) for _ in range(3)] == [False, False, True]
    return breaker


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not() -> None:
    breaker = Breaker(RULES)
    for _ in range(10):
        breaker.fail(0, 0.5)
        breaker.fail(0, 0.5)
        assert breaker.admits(0)
        breaker.succeed()


def test_after_its_rest_one_delivery_goes_and_no_other_until_that_has_ended() -> None:
    breaker = opened()
    assert not breaker.admits(999)
    assert breaker.admits(1_000)
    assert not breaker.admits(1_000)
    assert breaker.succeed()
    assert breaker.admits(1_000)
    assert breaker.admits(1_000)


def test_each_rest_is_twice_as_long_up_to_the_longest() -> None:
    breaker, now_ms, rests = opened(), 0, []
    for _ in range(4):
        rests.append(breaker.until_ms - now_ms)
        now_ms = breaker.until_ms
        assert breaker.admits(now_ms)
        assert breaker.fail(now_ms, 0.5)
    assert rests == [1_000, 2_000, 4_000, 4_000]


def test_what_was_under_way_when_it_opened_changes_nothing() -> None:
    breaker = opened()
    assert not breaker.fail(500, 0.5)
    assert breaker.until_ms == 1_000


def test_what_a_receiver_asks_for_rests_it_at_once_and_so_long() -> None:
    breaker = Breaker(RULES)
    assert breaker.fail(0, 0.5, asked_ms=60_000)
    assert not breaker.admits(59_999)
    assert breaker.admits(60_000)


class Endpoint(RuleBasedStateMachine):
    """Whatever comes in whatever order: never two probes, never a rest beyond the longest, always a way back."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(RULES)
        self.now_ms = 0
        self.under_way: list[bool] = []

    @rule(passes=st.integers(0, 5_000))
    def time_passes(self, passes: int) -> None:
        self.now_ms += passes

    @rule()
    def a_delivery_asks(self) -> None:
        was_closed = self.breaker.is_closed
        if self.breaker.admits(self.now_ms):
            self.under_way.append(not was_closed)

    @precondition(lambda self: self.under_way)
    @rule(ok=st.booleans(), chance=st.floats(0, 0.999), data=st.data())
    def one_ends(self, ok: bool, chance: float, data: st.DataObject) -> None:  # noqa: FBT001 - Hypothesis names arguments
        self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        if ok:
            self.breaker.succeed()
            assert self.breaker.admits(self.now_ms)
        else:
            self.breaker.fail(self.now_ms, chance)

    @invariant()
    def a_rest_ends(self) -> None:
        assert self.breaker.until_ms - self.now_ms <= RULES.longest_rest_ms * 1.1

    @invariant()
    def who_must_wait_is_told_a_later_moment(self) -> None:
        if self.breaker.holds(self.now_ms):
            assert self.breaker.retry_at_ms(self.now_ms) > self.now_ms


TestEndpoint = Endpoint.TestCase


def test_while_one_delivery_finds_out_nothing_else_is_taken_for_the_endpoint() -> None:
    breaker = Breaker(BreakerRules(1, 1_000, 8_000))
    breaker.fail(0, 0.5)
    assert breaker.holds(500)
    assert not breaker.holds(2_000)
    assert breaker.admits(2_000)
    assert breaker.holds(2_000)
    breaker.succeed()
    assert not breaker.holds(2_000)


def test_a_success_begins_the_rests_anew_and_they_double_until_the_longest() -> None:
    breaker = Breaker(BreakerRules(1, 1_000, 1_000_000))
    for _ in range(2):
        now_ms, rests = 0, []
        for _ in range(6):
            assert breaker.fail(now_ms, 0.5)
            rests.append(breaker.until_ms - now_ms)
            now_ms = breaker.until_ms
            assert breaker.admits(now_ms)
        assert rests == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000]
        breaker.succeed()


def test_what_a_receiver_asks_for_is_the_rest_and_a_probe_that_fails_after_it_opens_again() -> None:
    breaker = Breaker(BreakerRules(5, 10_000, 80_000))
    assert breaker.fail(0, 0.5, asked_ms=300)
    assert breaker.until_ms == 300
    assert breaker.admits(300)
    assert breaker.fail(300, 0.5), "one failure of five, and yet it rests: it was asked whether it is back"
    assert not breaker.admits(301)
