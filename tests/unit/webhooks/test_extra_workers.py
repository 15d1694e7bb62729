"""Which endpoint may have more than one worker: whoever hangs, and whoever wants much, takes from nobody."""

from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.domain.extra_workers import LOOK_SECONDS, MOST_LOTS, SLOW_SECONDS, Crew, ExtraWorkers

QUICK, LONG = 0.1, 2 * SLOW_SECONDS


class Company:
    """Its endpoints, all of whose workers are busy, and who was roused. The clock stands unless a test moves it."""

    def __init__(self, limit: int, endpoints: int) -> None:
        self.roused: list[Crew] = []
        self.workers = ExtraWorkers[Crew](limit, self.roused.append)
        self.crews = [Crew() for _ in range(endpoints)]
        self.now = 1_000.0

    def want(self, crew: Crew, count: int = 1) -> int:
        """Let an endpoint want more workers; return how many it got."""
        return sum(self._begin(crew) for _ in range(count))

    def finish(self, crew: Crew, seconds: float = QUICK) -> bool:
        """End a try; return whether its worker has ended with it."""
        self.workers.note_try(crew, seconds)
        crew.pace.complete(self.now)
        if not crew.leaving:
            return False
        self.workers.end(crew)
        return True

    def beyond_first(self) -> int:
        return sum(max(0, crew.workers - 1) for crew in self.crews)

    def _begin(self, crew: Crew) -> bool:
        may = self.workers.begin(crew, self.now)
        if may:
            crew.pace.begin(self.now)
        return may


def test_who_is_alone_has_the_whole_lot() -> None:
    company = Company(5, 1)
    assert company.want(company.crews[0], 20) == 1 + 5


def test_who_hangs_takes_none_from_those_who_answer() -> None:
    company = Company(8, 30)
    *hanging, good = company.crews
    for crew in hanging:
        company.want(crew, 8)
    assert company.want(good, 8) == 1, "nobody knows yet that it answers"
    company.finish(good)
    assert company.want(good, 8) == 8


def test_who_was_quick_and_hangs_is_slow_after_a_while() -> None:
    company = Company(8, 30)
    *hanging, good = company.crews
    for crew in company.crews:
        company.want(crew)
        company.finish(crew)
    assert sum(company.want(crew, 8) for crew in hanging) >= 8
    company.now += SLOW_SECONDS
    company.finish(good)
    assert company.want(good, 8) == 8
    assert all(crew.is_slow for crew in hanging if crew.extra)
    assert not good.is_slow


def test_who_turns_slow_where_the_slow_have_all_theirs_gives_up_what_is_too_much() -> None:
    company = Company(8, 3)
    hanging, turning, _ = company.crews
    company.want(turning)
    company.finish(turning)
    company.want(turning, 5)
    company.want(hanging, 7)
    turning.idle = 2
    company.finish(turning, LONG)
    assert (turning.extra, turning.leaving) == (2, 2), "of six and five only eight are there for the slow"
    assert company.roused == [turning, turning]


def test_those_alike_come_to_equal_parts_however_late_they_come() -> None:
    company = Company(20, 6)
    for crew in company.crews:
        company.want(crew)
        company.finish(crew)
    for _ in range(50):
        company.now += LOOK_SECONDS
        for crew in company.crews:
            company.want(crew, 8)
        for crew in company.crews:
            company.finish(crew)
    parts = [crew.extra for crew in company.crews]
    assert sum(parts) == 20
    assert max(parts) - min(parts) <= 1
    assert company.beyond_first() == 20, "whoever gave a worker up is done with it"


def test_who_gives_one_up_does_so_at_once_where_it_is_idle_and_else_after_its_try() -> None:
    company = Company(4, 3)
    idle, busy, late = company.crews
    company.want(idle, 5)
    idle.idle = 5
    company.want(late, 2)
    assert company.roused == [idle]
    company.workers.end(idle)
    assert (idle.workers, idle.leaving, late.workers) == (4, 0, 2)
    idle.idle = 0
    company.want(busy, 2)
    assert company.roused == [idle]
    assert company.finish(idle), "the place is another's"
    assert not company.finish(idle)


def test_who_found_nothing_looks_again_later_and_keeps_nobody_else_from_it() -> None:
    company = Company(4, 3)
    first, second, third = company.crews
    assert company.want(first, 9) == 5
    assert company.want(second, 9) == 3
    for _ in range(3):
        company.workers.end(first)
    assert company.want(second) == 0
    assert company.want(third, 2) == 2
    company.workers.end(third)
    company.now += LOOK_SECONDS
    assert company.want(second) == 1


Doings = st.lists(
    st.tuples(
        st.sampled_from(["want", "want", "want", "quick", "long", "idle end"]),
        st.integers(0, 7),
        st.sampled_from([0.0, 0.01, LOOK_SECONDS, SLOW_SECONDS]),
    ),
    max_size=200,
)


@given(Doings, st.integers(1, 6))
def test_whatever_happens_nobody_is_without_and_there_are_never_too_many_and_none_is_lost(
    doings: list[tuple[str, int, float]], limit: int
) -> None:
    company = Company(limit, 8)
    for doing, which, seconds in doings:
        crew = company.crews[which]
        company.now += seconds
        if doing == "want":
            assert company.want(crew) or crew.workers
        elif not crew.workers:
            continue
        elif doing == "idle end":
            company.workers.end(crew)
        else:
            company.finish(crew, QUICK if doing == "quick" else LONG)
        assert company.beyond_first() <= MOST_LOTS * limit
        assert all(one.workers > one.leaving >= 0 for one in company.crews if one.workers)
    for crew in company.crews:
        while crew.workers:
            company.workers.end(crew)
    company.now += LOOK_SECONDS
    assert company.want(company.crews[0], limit + 3) == 1 + limit, "all of them are there again"
