"""Who shares a thing fairly: nobody who wants it gets far more than another, and who comes new waits for one turn."""

from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.domain.fair_share import FairShare

Amounts = st.lists(st.integers(1, 10), min_size=1, max_size=60)


@given(Amounts, st.integers(2, 5))
def test_who_wants_all_the_time_gets_as_much_as_anybody_but_for_one_turn(amounts: list[int], count: int) -> None:
    share, had = FairShare(), dict.fromkeys(map(str, range(count)), 0)
    for who in had:
        share.join(who)
    for amount in amounts:
        chosen = share.choose() or ""
        share.charge(chosen, amount, has_enough=False)
        had[chosen] += amount
        assert max(had.values()) - min(had.values()) <= 10


@given(Amounts, st.integers(1, 5))
def test_who_comes_new_goes_after_one_turn_of_each_other_at_most(amounts: list[int], count: int) -> None:
    share = FairShare()
    for who in range(count):
        share.join(str(who))
    for amount in amounts:
        share.charge(share.choose() or "", amount, has_enough=False)
    share.join("new")
    order = []
    for _ in range(count + 1):
        order.append(share.choose())
        share.charge(order[-1] or "", 10, has_enough=False)
    assert "new" in order
    others = order[: order.index("new")]
    assert len(others) == len(set(others))


def test_beside_one_that_has_had_much_a_new_one_is_next() -> None:
    share = FairShare()
    share.join("costly")
    for _ in range(100):
        share.charge(share.choose() or "", 4, has_enough=False)
    share.join("light")
    assert share.choose() == "light"
    share.charge("light", 1, has_enough=True)
    assert share.choose() == "costly"


def test_who_comes_and_goes_has_not_more_than_its_share() -> None:
    """Else whoever hands in one piece at a time would always be first."""
    share, had = FairShare(), {"steady": 0, "comes and goes": 0}
    share.join("steady")
    for _ in range(200):
        share.join("comes and goes")
        who = share.choose()
        assert who is not None
        share.charge(who, 5, has_enough=who == "comes and goes")
        had[who] += 5
    assert abs(had["steady"] - had["comes and goes"]) <= 10


def test_when_all_have_enough_nothing_is_remembered() -> None:
    share = FairShare()
    share.join("a")
    share.charge(share.choose() or "", 1_000, has_enough=True)
    assert share.choose() is None
    share.join("b")
    share.join("a")
    assert [share.choose(), share.choose()] == ["b", "a"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_nobody_who_wants_it_is_passed_over_for_ever(steps: list[tuple[str, bool]]) -> None:
    share, wanting = FairShare(), set[str]()
    for who, has_enough in steps:
        share.join(who)
        wanting.add(who)
        chosen = share.choose()
        assert chosen in wanting
        share.charge(chosen or "", 1, has_enough=has_enough)
        if has_enough:
            wanting.discard(chosen or "")
    left = set()
    while (chosen := share.choose()) is not None:
        left.add(chosen)
        share.charge(chosen, 1, has_enough=True)
    assert left == wanting
