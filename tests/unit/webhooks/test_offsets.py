from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.domain.offsets import ContiguousOffsets

PLACE = ("ringmaster.deliveries", 0)


@given(order=st.integers(1, 30).flatmap(lambda count: st.permutations(range(count))), gap=st.integers(1, 3))
def test_an_offset_is_ready_exactly_when_everything_before_it_is_done(order: list[int], gap: int) -> None:
    offsets = ContiguousOffsets()
    tickets = [offsets.begin(PLACE, 100 + number * gap) for number in range(len(order))]
    done: set[int] = set()
    committed = 100
    for number in order:
        offsets.finish(tickets[number])
        done.add(number)
        committed = offsets.take_ready().get(PLACE, committed)
        first_open = min((one for one in range(len(order)) if one not in done), default=len(order))
        # Up to the first that is open, over offsets that no record has; behind the last one when none is.
        assert committed == (100 + first_open * gap if first_open < len(order) else 100 + (len(order) - 1) * gap + 1)
    assert offsets.unfinished() == 0


def test_a_partition_that_was_taken_away_is_not_committed_by_late_ends() -> None:
    offsets = ContiguousOffsets()
    late = offsets.begin(PLACE, 7)
    offsets.forget(PLACE)
    again = offsets.begin(PLACE, 7)
    offsets.finish(late)
    assert offsets.take_ready() == {}
    offsets.finish(again)
    assert offsets.take_ready() == {PLACE: 8}


def test_partitions_do_not_hold_each_other_back() -> None:
    offsets = ContiguousOffsets()
    offsets.begin(PLACE, 1)
    offsets.finish(offsets.begin(("ringmaster.deliveries", 1), 5))
    assert offsets.take_ready() == {("ringmaster.deliveries", 1): 6}
    assert offsets.unfinished() == 1


def test_what_has_ended_is_not_remembered_however_long_the_one_before_it_waits() -> None:
    offsets, place = ContiguousOffsets(), ("ringmaster.deliveries", 0)
    first = offsets.begin(place, 10)
    for offset in range(11, 5_000):
        offsets.finish(offsets.begin(place, offset))
    assert offsets.take_ready() == {}
    assert (offsets.unfinished(), offsets.begun_to(place)) == (1, 5_000)
    assert len(offsets._progress[place].unfinished) == 1
    offsets.finish(first)
    offsets.finish(first)
    assert offsets.take_ready() == {place: 5_000}
