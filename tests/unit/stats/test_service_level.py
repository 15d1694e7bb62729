"""Service levels and means beside SPEC 8.2, written out once more."""

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.stats.domain.tally import ServiceLevel, Tally, service_level, tally_of_exit, tally_of_list


@pytest.mark.parametrize(
    ("variant", "percent"),
    [(ServiceLevel.V1, 86), (ServiceLevel.V2, 81), (ServiceLevel.V3, 83), (ServiceLevel.V4, 83)],
)
def test_the_worked_example_of_the_reference_comes_out(variant: ServiceLevel, percent: int) -> None:
    tally = Tally(answered=1000, answered_in_time=860, abandoned=60, abandoned_in_time=20)
    level = service_level(tally, variant)
    assert level is not None
    assert round(100 * level) == percent


def test_short_abandons_count_for_the_caller_in_the_fifth_variant() -> None:
    tally = Tally(answered=8, answered_in_time=6, abandoned=2, abandoned_in_time=2, short_abandoned=1)
    assert service_level(tally, ServiceLevel.V5) == 0.7


def test_the_sixth_variant_counts_everybody_who_left_in_time() -> None:
    tally = Tally(answered=5, answered_in_time=4, abandoned=3, abandoned_in_time=1, other=2, other_in_time=1)
    assert service_level(tally, ServiceLevel.V6) == 0.6


@pytest.mark.parametrize("variant", list(ServiceLevel))
def test_without_callers_there_is_no_service_level(variant: ServiceLevel) -> None:
    assert service_level(Tally(), variant) is None


EXITS = {"A": "ANSWERED", "B": "ABANDONED", "s": "SHORT_ABANDONED", "O": "OVERFLOW", "T": "TIMEOUT"}
callers = st.lists(st.tuples(st.sampled_from(list(EXITS)), st.booleans(), st.integers(0, 90_000)), max_size=30)


@given(callers)
def test_every_number_of_callers_is_what_the_formulas_say_of_them(left: list[tuple[str, bool, int]]) -> None:
    whole = Tally()
    for name, is_in_time, wait_ms in left:
        exit_ = ev.QueueExit.Value(f"QUEUE_EXIT_{EXITS[name]}")
        whole.add(tally_of_exit(ev.QueueLeft(exit=exit_, wait_ms=wait_ms), is_in_time=is_in_time))
    answered, lost = (lambda n, _t: n == "A"), (lambda n, _t: n in "Bs")

    def count(of: Callable[[str, bool], bool]) -> int:
        return sum(of(name, is_in_time) for name, is_in_time, _ in left)

    a, b = count(answered), count(lost)
    a_t, b_t = count(lambda n, t: n == "A" and t), count(lambda n, t: n in "Bs" and t)
    b_s, in_time = count(lambda n, _t: n == "s"), count(lambda _n, t: t)
    wanted = {
        "V1": (a_t, a),
        "V2": (a_t, a + b),
        "V3": (a_t, a + b - b_t),
        "V4": (a_t + b_t, a + b),
        "V5": (a_t + b_s, a + b),
        "V6": (in_time, len(left)),
    }
    for name, (part, of) in wanted.items():
        assert service_level(whole, ServiceLevel[name]) == (float(Fraction(part, of)) if of else None)
    waits = [wait_ms for name, _, wait_ms in left if name == "A"]
    assert whole.mean_answered_wait_ms == (sum(waits) // a if a else None)
    assert whole.abandon_ratio == (b / len(left) if left else None)
    assert (whole.offered, whole.wait_ms) == (len(left), sum(wait_ms for _, _, wait_ms in left))
    assert tally_of_list(whole.as_list()) == whole
    whole.add(tally_of_list(whole.as_list()), -1)
    assert whole == Tally()
