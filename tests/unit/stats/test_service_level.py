import pytest

from services.stats.domain.tally import ServiceLevel, Tally, service_level


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
