"""Every metric against an oracle, over weeks with duplicates, disorder, late events, restarts, clocks, midnights."""

import math
import random
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.stats.domain.profile import Profile
from tests.unit.stats import metrics_by_formula as formula
from tests.unit.stats.metrics_oracle import Oracle, Record
from tests.unit.stats.report_house import House
from tests.unit.stats.week import QUEUES, Week

ZONE = "Europe/Kyiv"
THRESHOLDS = dict.fromkeys(QUEUES, 20) | {"support": 30}


def local(text: str, zone: str = ZONE) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.fixture(scope="module", params=["2026-10-22", "2026-03-26"], ids=["autumn", "spring"])
def told(request: pytest.FixtureRequest) -> Iterator[tuple[House, Week, int, int]]:
    """A week around a change of clocks, told badly; the process is asked, killed and told again in between."""
    from_ms = local(request.param)
    until_ms = from_ms + 7 * 86_400_000
    week = Week(from_ms, 7, 1_500, seed=from_ms % 1_000)
    house = House(until_ms + 86_400_000, Profile("acme", "Acme", ZONE, thresholds=THRESHOLDS))
    events, dice = week.told_badly(), random.Random(5)
    at = 0
    while at < len(events):
        count = dice.randrange(300, 3_000)
        house.tell(events[at : at + count], batch=dice.choice((10, 100, 1_000)))
        house.run("summary", period="today")  # the tables follow now, not only at the end
        at += max(1, count - dice.randrange(200))  # a restart tells some again
    yield house, week, from_ms, until_ms
    house.columns.close()


@pytest.fixture(scope="module")
def oracles(told: tuple[House, Week, int, int]) -> Callable[[str], Oracle]:
    """Return the oracle of a time zone: it reads a whole week, so every report asks the same one."""
    house, week, from_ms, until_ms = told

    @cache
    def of(zone: str) -> Oracle:
        # Not at midnight: what is cut off at the edges is cut by both.
        return Oracle(week.events, zone, from_ms + 3_700_000, until_ms - 4_200_000, house.now_ms)

    return of


def simple(of: Callable[[list[Record]], dict[str, float | None]], take: Callable[[Oracle], list[Record]]) -> Any:
    return lambda it, names: {key: of(records) for key, records in it.groups(take(it), names).items()}


def talks(it: Oracle, names: list[str]) -> dict[tuple[Any, ...], dict[str, float | None]]:
    spoken, wrapped = it.groups(it.talks, names), it.groups(it.wraps, names)
    return {key: formula.of_talks(spoken.get(key, []), wrapped.get(key, [])) for key in spoken.keys() | wrapped.keys()}


TIMES = [[], ["day"], ["hour"], ["week"], ["month"], ["hour_of_day"], ["weekday", "hour_of_day"]]
# How a moment falls into periods is the same for every source; the first eight ask for all of them.
FEW_TIMES = [[], ["day"], ["weekday", "hour_of_day"]]
CASES = [
    (
        "summary",
        [*TIMES, ["queue"], ["line"], ["day", "queue"], ["queue", "agent"]],
        simple(formula.of_stays, lambda it: it.stays),
    ),
    ("hangup_causes", [*TIMES, ["queue"], ["agent"], ["line", "day"]], simple(formula.of_calls, lambda it: it.calls)),
    ("inbound", [[], ["line"]], simple(formula.of_calls, lambda it: [each for each in it.calls if each["is_in"]])),
    ("outbound", [[], ["line"]], simple(formula.of_calls, lambda it: [each for each in it.calls if not each["is_in"]])),
    ("handle_times", [*TIMES, ["agent"], ["queue", "day"]], talks),
    ("working_time", [*TIMES, ["agent"], ["agent", "day"]], simple(formula.of_spans, lambda it: it.cut())),
    (
        "agent_states",
        [*FEW_TIMES, ["state"], ["agent", "state"], ["state", "hour"], ["queue", "state", "day"]],
        simple(formula.of_one_state, lambda it: it.cut()),
    ),
    ("offers", [*TIMES, ["agent"], ["queue"]], simple(formula.of_offers, lambda it: it.offers)),
    ("callbacks", [*TIMES, ["queue"]], simple(formula.of_callbacks, lambda it: it.callbacks)),
    ("transfers", [*TIMES, ["agent"]], simple(formula.of_transfers, lambda it: it.transfers)),
    ("fcr", [*TIMES, ["queue"]], simple(formula.of_firsts, lambda it: it.first_calls(72))),
    ("queue_intervals", [*FEW_TIMES, ["queue"]], simple(formula.of_joins, lambda it: it.joins)),
    ("ivr_steps", [*FEW_TIMES, ["step", "exit"]], simple(formula.of_steps, lambda it: it.steps)),
    ("ivr_choices", [*FEW_TIMES, ["choice"]], simple(formula.of_choices, lambda it: it.choices)),
    ("recordings", [*FEW_TIMES, ["queue", "agent"]], simple(formula.of_recordings, lambda it: it.recordings)),
    ("rules", [*FEW_TIMES, ["rule"], ["queue", "agent"]], simple(formula.of_matches, lambda it: it.matches)),
    ("surveys", [*FEW_TIMES, ["field"]], simple(formula.of_answers, lambda it: it.answers)),
    ("agent_reasons", [*FEW_TIMES, ["agent", "reason"]], simple(formula.of_words, lambda it: it.words)),
    ("callback_attempts", [*FEW_TIMES, ["queue"]], simple(formula.of_attempts, lambda it: it.attempts)),
    ("kpi", [*FEW_TIMES, ["kind", "subject"]], simple(formula.of_happened, lambda it: it.happened)),
]


@pytest.mark.parametrize("zone", [ZONE, "America/New_York", "Asia/Kathmandu"])
@pytest.mark.parametrize(("report", "groupings", "expect"), CASES, ids=[case[0] for case in CASES])
def test_every_metric_agrees_with_the_oracle(
    told: tuple[House, Week, int, int],
    oracles: Callable[[str], Oracle],
    zone: str,
    report: str,
    groupings: list[list[str]],
    expect: Any,
) -> None:
    house, it = told[0], oracles(zone)
    for names in groupings:
        wanted = expect(it, names)
        metrics = sorted(next(iter(wanted.values())))
        shown = all_rows(
            house,
            report,
            groups=names,
            metrics=metrics,
            tz=zone,
            **{"from": it.from_ms, "until": it.until_ms},
            **OPTIONS,
        )
        found = {tuple(values[name] for name in names): {name: values[name] for name in metrics} for values in shown}
        wanted = {key: values for key, values in wanted.items() if not is_empty(values)}
        found = {key: values for key, values in found.items() if not is_empty(values)}
        assert found.keys() == wanted.keys(), names
        for key, values in wanted.items():
            assert differences(found[key], values) == {}, (names, key)


OPTIONS = {"tariff": "3/60/15", "resolved": ["resolved"], "unresolved": ["unresolved"]}


def differences(found: dict[str, Any], wanted: dict[str, float | None]) -> dict[str, tuple[Any, Any]]:
    """Metrics that differ by more than the rounding of an answer: five digits of a ratio, milliseconds."""
    return {
        name: (found[name], value)
        for name, value in wanted.items()
        if (found[name] is None) is not (value is None)
        or (value is not None and not math.isclose(found[name], value, rel_tol=1e-6, abs_tol=6e-4))
    }


def is_empty(values: dict[str, float | None]) -> bool:
    """A row of nothing but zeros: agents who were offline for an hour are not worth a row to one of the two."""
    return not any(values.values())


def all_rows(house: House, report: str, **options: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    offset: int | None = 0
    while offset is not None:
        page = house.run(report, limit=1_000, offset=offset, **options)
        rows += [row["values"] for row in page["rows"]]
        offset = page["next_offset"]
    return rows


def test_first_calls_of_queues_that_count_as_one_agree_with_the_oracle(told: tuple[House, Week, int, int]) -> None:
    house, week, from_ms, until_ms = told
    it = Oracle(week.events, ZONE, from_ms, until_ms, house.now_ms)
    wanted = formula.of_firsts([c for c in it.first_calls(24, ("sales", "night")) if from_ms <= c["at"] < until_ms])
    period: dict[str, Any] = {"from": from_ms, "until": until_ms, "fcr_hours": 24, "fcr_queues": "sales+night"}
    shown = house.run("fcr", groups=[], metrics=sorted(wanted), **(period | OPTIONS))
    assert differences(shown["totals"], wanted) == {}


def test_the_first_and_the_last_moment_at_work_agree_with_the_oracle(told: tuple[House, Week, int, int]) -> None:
    house, week, from_ms, until_ms = told
    it = Oracle(week.events, ZONE, from_ms, until_ms, house.now_ms)
    at_work = [span for span in it.cut() if span["state"] != "offline"]
    wanted = {
        key: (moment(min(s["at"] for s in spans)), moment(max(s["at"] + s["length"] * 1000 for s in spans)))
        for key, spans in it.groups(at_work, ["agent", "day"]).items()
    }
    period: dict[str, Any] = {"from": from_ms, "until": until_ms}
    period |= {"groups": ["agent", "day"], "metrics": ["first_in", "last_out"]}
    shown = all_rows(house, "working_time", **period)
    found = {(row["agent"], row["day"]): (row["first_in"], row["last_out"]) for row in shown if row["first_in"]}
    assert found == wanted


def moment(at_ms: float) -> str:
    return datetime.fromtimestamp(int(at_ms) / 1000, ZoneInfo(ZONE)).isoformat(timespec="seconds")


def test_the_totals_of_a_report_are_the_metrics_of_the_whole(told: tuple[House, Week, int, int]) -> None:
    house, week, from_ms, until_ms = told
    it = Oracle(week.events, ZONE, from_ms, until_ms, house.now_ms)
    wanted = formula.of_stays([stay for stay in it.stays if from_ms <= stay["at"] < until_ms])
    period: dict[str, Any] = {"from": from_ms, "until": until_ms}
    shown = house.run("summary", groups=["day"], metrics=sorted(wanted), **period)
    assert differences(shown["totals"], wanted) == {}


def test_the_same_events_in_any_order_make_equal_documents(told: tuple[House, Week, int, int]) -> None:
    house, week, _, _ = told
    other = House(house.now_ms, Profile("acme", "Acme", ZONE, thresholds=THRESHOLDS))
    events: list[ev.Event] = list(week.events)
    random.Random(9).shuffle(events)
    other.tell(events)
    assert bare(other.store.calls) == bare(house.store.calls)
    assert bare(other.store.facts) == bare(house.store.facts)
    other.columns.close()


def bare(documents: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Documents without the revision, which says when they changed and not what happened."""
    return {key: {name: value for name, value in each.items() if name != "rev"} for key, each in documents.items()}
