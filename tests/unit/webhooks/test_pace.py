import pytest

from services.webhooks.domain.pace import SMALLEST_QUEUE, Pace


def worked(per_second: float, seconds: float = 1.0) -> Pace:
    pace = Pace()
    pace.begin(0.0)
    for number in range(int(per_second * seconds)):
        pace.complete((number + 1) / per_second)
    return pace


def test_an_endpoint_is_quick_until_it_is_measured() -> None:
    pace = Pace()
    pace.begin(10.0)
    assert pace.is_quick(10.1)
    assert not pace.is_quick(10.3)


def test_an_endpoint_that_takes_dozens_a_second_is_quick() -> None:
    assert worked(1000).is_quick(1.0)
    assert worked(40).is_quick(1.0)
    assert not worked(15).is_quick(1.0)


def test_a_rest_does_not_make_an_endpoint_slow() -> None:
    pace = worked(1000)
    pace.begin(3600.0)
    pace.complete(3600.001)
    assert pace.is_quick(3600.002)


def test_a_queue_holds_what_its_endpoint_takes_in_two_seconds() -> None:
    assert Pace().queue_limit(512) == 512
    assert worked(5000).queue_limit(512) == 512
    assert 180 <= worked(100).queue_limit(512) <= 210
    assert worked(2, 5.0).queue_limit(512) == SMALLEST_QUEUE


@pytest.mark.parametrize("at_a_time", [1, 8])
def test_who_was_slow_once_is_measured_anew_however_few_it_gets_at_a_time(at_a_time: int) -> None:
    pace = worked(2, 5.0)
    for burst in range(64):
        began = 100.0 + 5 * burst
        pace.begin(began)
        for number in range(at_a_time):
            pace.complete(began + (number + 1) / 1000)
    assert pace.queue_limit(512) == 512


def test_a_slow_endpoint_that_gets_one_at_a_time_is_no_quicker_for_its_rests() -> None:
    pace = Pace()
    for number in range(200):
        pace.begin(10.0 * number)
        pace.complete(10.0 * number + 0.1)
    assert pace.per_second is not None
    assert 9 < pace.per_second < 11
