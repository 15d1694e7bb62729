"""The live numbers beside an oracle that counts over the list of events, written from SPEC 8.1 and 8.2 alone."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.stats.domain.live import LATE_MS, MOST_SEQUENCE, Outcome, TenantLive
from services.stats.domain.profile import Profile
from services.stats.domain.snapshot import from_document, to_document
from services.stats.domain.view import MOST_CALLS_SHOWN, view_of
from tests.unit.stats.events import LINE, TENANT, abandoned_call, answered_call, call_taken_back, ended, event, state

NOON_MS = 1_795_435_200_000  # 2026-11-23 12:00 UTC
PROFILE = Profile(TENANT, thresholds={"sales": 20, "support": 20})


def fold(events: list[ev.Event], now_ms: int = NOON_MS) -> TenantLive:
    live = TenantLive()
    live.advance(now_ms)
    for each in events:
        live.fold(each, PROFILE)
    return live


def view(live: TenantLive, now_ms: int = NOON_MS) -> dict[str, Any]:
    return view_of(live, PROFILE, now_ms)


calls = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(0, 3 * 3600),  # seconds ago that it began
        st.integers(0, 90_000),  # wait
        st.integers(0, 600_000),  # talk
        st.sampled_from(["sales", "support"]),
    ),
    max_size=25,
)


def events_of(drawn: list[tuple[bool, int, int, int, str]]) -> list[ev.Event]:
    """Return the calls' events up to noon, in the order of their time."""
    found: list[ev.Event] = []
    for number, (is_answered, ago, wait, talk, queue) in enumerate(drawn):
        at = NOON_MS - ago * 1000
        call_id = f"c{number}"
        life = (
            answered_call(call_id, at, wait, talk, queue) if is_answered else abandoned_call(call_id, at, wait, queue)
        )
        found += [each for each in life if each.time.ToMilliseconds() <= NOON_MS]
    return sorted(found, key=lambda each: each.time.ToMilliseconds())


def oracle(events: list[ev.Event], now_ms: int) -> dict[str, Any]:
    """Count by looking at everything, slowly."""
    by_call: dict[str, dict[str, ev.Event]] = {}
    for each in events:
        by_call.setdefault(each.call_id, {})[each.WhichOneof("body") or ""] = each
    waiting = {
        call_id: (found["queue_joined"].queue_joined.queue_id, found["queue_joined"].time.ToMilliseconds())
        for call_id, found in by_call.items()
        if "queue_joined" in found and "queue_left" not in found and "call_ended" not in found
    }
    lefts = [each for each in events if each.WhichOneof("body") == "queue_left"]
    ends = [each for each in events if each.WhichOneof("body") == "call_ended"]
    return {
        "waiting": len(waiting),
        "since": min((since for _, since in waiting.values()), default=None),
        "by_queue": {name: sum(queue == name for queue, _ in waiting.values()) for name in ("sales", "support")},
        "talking": sum("call_answered" in found and "call_ended" not in found for found in by_call.values()),
        "started": sum("call_started" in found for found in by_call.values()),
        "exits": sorted(ev.CallExit.Name(each.call_ended.exit) for each in ends),
        "windows": {seconds: oracle_window(lefts, now_ms // 1000 - seconds, None) for seconds in (300, 900)},
        "sales_today": oracle_window(lefts, 0, "sales"),
        "talk": [each.call_ended.talk_ms for each in ends if each.call_ended.HasField("answered_at")],
    }


def oracle_window(lefts: list[ev.Event], after_second: int, queue: str | None) -> tuple[int, int, int, float | None]:
    inside = [
        each.queue_left
        for each in lefts
        if each.time.ToMilliseconds() // 1000 > after_second and queue in (None, each.queue_left.queue_id)
    ]
    answered = [each for each in inside if each.exit == ev.QUEUE_EXIT_ANSWERED]
    lost = [each for each in inside if each.exit != ev.QUEUE_EXIT_ANSWERED]
    whole = len(answered) + sum(each.wait_ms > 20_000 for each in lost)
    good = sum(each.wait_ms <= 20_000 for each in answered)
    return len(inside), len(answered), len(lost), good / whole if whole else None


def numbers(shown: dict[str, Any]) -> dict[str, Any]:
    """Return what the oracle counts, from a view."""
    queues = {queue["id"]: queue for queue in shown["queues"]}
    exits = [f"CALL_EXIT_{name.upper()}" for name, n in shown["today"]["calls"]["by_exit"].items() for _ in range(n)]
    totals = shown["queue_totals"]

    def window(sums: dict[str, Any]) -> tuple[int, int, int, float | None]:
        return sums["offered"], sums["answered"], sums["abandoned"], sums["service_level"]

    return {
        "waiting": shown["calls"]["waiting"],
        "since": shown["calls"]["longest_waiting_since_ms"],
        "by_queue": {name: queues[name]["waiting"] if name in queues else 0 for name in ("sales", "support")},
        "talking": shown["calls"]["talking"],
        "started": shown["today"]["calls"]["started"],
        "exits": sorted(exits),
        "windows": {300: window(totals["last_5_min"]), 900: window(totals["last_15_min"])},
        "sales_today": window(queues["sales"]["today"]) if "sales" in queues else (0, 0, 0, None),
        "mean_talk": totals["today"]["mean_talk_ms"],
    }


def expected(events: list[ev.Event], now_ms: int) -> dict[str, Any]:
    found = oracle(events, now_ms)
    talk = found.pop("talk")
    return {**found, "mean_talk": sum(talk) // len(talk) if talk else None}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calls, st.integers(0, 1200))
def test_the_numbers_are_the_oracles_at_every_later_second(
    drawn: list[tuple[bool, int, int, int, str]], later: int
) -> None:
    events = events_of(drawn)
    live = fold(events)
    for now_ms in (NOON_MS, NOON_MS + later * 1000):
        assert numbers(view(live, now_ms)) == expected(events, now_ms)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calls, st.randoms(use_true_random=False))
def test_repeats_and_any_order_change_nothing(
    drawn: list[tuple[bool, int, int, int, str]], dice: random.Random
) -> None:
    events = events_of(drawn)
    mixed = events + dice.choices(events, k=len(events)) if events else []
    dice.shuffle(mixed)
    assert numbers(view(fold(mixed))) == expected(events, NOON_MS)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calls, st.integers(0, 200), st.integers(0, 200))
def test_a_restart_from_a_snapshot_ends_where_no_restart_does(
    drawn: list[tuple[bool, int, int, int, str]], cut: int, back: int
) -> None:
    events = events_of(drawn)
    cut = min(cut, len(events))
    restored = from_document(to_document(fold(events[:cut])))
    assert restored is not None
    restored.advance(NOON_MS)
    for each in events[max(0, cut - back) :]:  # what the offset did not cover comes again
        restored.fold(each, PROFILE)
    assert view(restored) == view(fold(events))


def test_a_repeat_of_a_call_that_was_forgotten_is_not_counted_again() -> None:
    old = answered_call("old", NOON_MS - 3_600_000, 5_000, 60_000)
    live = fold([*old, *answered_call("new", NOON_MS - 60_000, 5_000, 1_000)])
    live.advance(NOON_MS + 60_000)
    assert "old" not in live.calls
    assert {live.fold(each, PROFILE) for each in old} == {Outcome.LATE}
    shown = view(live, NOON_MS + 60_000)
    assert shown["today"]["calls"]["started"] == 2
    assert not shown["completeness"]["is_complete"]
    restored = from_document(to_document(live))
    assert restored is not None
    assert not view(restored, NOON_MS + 120_000)["completeness"]["is_complete"]
    assert view(restored, NOON_MS + 86_400_000)["completeness"]["is_complete"]


def test_a_call_that_told_thousands_of_offers_is_over_when_it_is() -> None:
    life = answered_call("c", NOON_MS - 600_000, 300_000, 1_000)
    for each in life[2:]:
        each.sequence += 20_000
    shown = view(fold(life))
    assert (shown["calls"]["in_progress"], shown["today"]["calls"]["answered"]) == (0, 1)


def test_a_late_event_within_a_quarter_of_an_hour_is_counted_in_its_own_second() -> None:
    life = answered_call("c", NOON_MS - 600_000, 5_000, 1_000)
    left = life.pop(2)
    live = fold([*life, *abandoned_call("d", NOON_MS - LATE_MS // 2, 6_000)])
    assert live.fold(left, PROFILE) is Outcome.TAKEN
    shown = view(live)
    assert shown["queue_totals"]["last_15_min"]["answered"] == 1
    assert shown["queue_totals"]["last_5_min"]["answered"] == 0


def test_calls_that_started_always_balance() -> None:
    events = [*answered_call("a", NOON_MS - 60_000, 5_000, 1_000), *abandoned_call("b", NOON_MS - 50_000, 9_000)]
    events += answered_call("c", NOON_MS - 40_000, 5_000, 1_000)[:4]
    shown = view(fold(events))
    counted = shown["today"]["calls"]
    assert counted["started"] == counted["answered"] + counted["abandoned"] + counted["other"] + 1
    assert shown["calls"]["in_progress"] == 1


@pytest.mark.parametrize("is_older", [True, False])
def test_whom_the_switch_took_back_after_the_talk_was_answered(*, is_older: bool) -> None:
    """Also in a log from before routers said so themselves."""
    shown = view(fold(call_taken_back("c", NOON_MS - 60_000, is_older=is_older)))
    assert shown["today"]["calls"]["by_exit"] == {"answered": 1}
    assert (shown["today"]["calls"]["answered"], shown["today"]["calls"]["other"]) == (1, 0)
    assert shown["queue_totals"]["today"]["service_level"] == 1.0


def test_what_the_newest_word_says_of_an_agent_counts() -> None:
    talking = state("olena", NOON_MS - 5_000, 7, ev.AGENT_STATE_TALKING)
    live = fold([talking, state("olena", NOON_MS - 9_000, 6, ev.AGENT_STATE_IDLE), talking])
    (agent,) = view(live)["agents"]
    assert (agent["state"], agent["since_ms"]) == ("talking", NOON_MS - 5_000)


def test_a_document_s_agents_are_shown_before_they_did_anything() -> None:
    profile = Profile(TENANT, "Acme", agents={"olena": "Olena"}, queues={"sales": ("olena",)})
    shown = view_of(TenantLive(), profile, NOON_MS)
    assert shown["agents"][0]["state"] == "offline"
    assert shown["queues"][0]["agents_by_state"] == {"offline": 1}
    assert shown["completeness"]["is_complete"]


def test_a_gap_of_today_marks_the_numbers_and_yesterdays_does_not() -> None:
    def gap(from_ms: int) -> ev.Event:
        body = ev.SwitchGapEvent(node="fs-1")
        getattr(body, "from").FromMilliseconds(from_ms)
        body.until.FromMilliseconds(from_ms + 1000)
        return event(from_ms, 1, switch_gap=body)

    assert view(fold([gap(NOON_MS - 86_400_000)]))["completeness"]["is_complete"]
    marks = view(fold([gap(NOON_MS - 5_000)] * 2))["completeness"]["marks"]
    assert [(mark["kind"], mark["node"]) for mark in marks] == [("switch_gap", "fs-1")]


def test_a_switch_out_of_contact_is_said_until_it_is_back() -> None:
    away = event(NOON_MS - 9_000, 1, switch_disconnected=ev.SwitchDisconnectedEvent(node="fs-1"))
    back = event(NOON_MS - 2_000, 2, switch_connected=ev.SwitchConnectedEvent(node="fs-1"))
    assert not view(fold([away]))["completeness"]["is_complete"]
    assert view(fold([back, away]))["completeness"]["is_complete"]


def test_a_sequence_that_no_call_reaches_is_refused() -> None:
    live = TenantLive()
    for sequence in (0, MOST_SEQUENCE + 1):
        assert live.fold(event(NOON_MS, sequence, "c", call_started=ev.CallStarted()), PROFILE) is Outcome.WRONG
    assert not live.calls


def test_a_replay_of_old_days_leaves_nothing_behind() -> None:
    live = fold(answered_call("old", NOON_MS - 10 * 86_400_000, 5_000, 1_000))
    assert not live.calls_by_start.quarters
    assert not list(live.total.book.quarters())


def test_waiting_callers_of_the_last_hour_are_drawn_by_minute() -> None:
    joined = answered_call("a", NOON_MS - 10 * 60_000, 120_000, 1_000)
    series = view(fold(joined))["series"]["waiting_by_minute"]
    assert len(series) == 60
    assert series[-11:-7] == [1, 1, 1, 0]
    assert sum(series) == 3


def test_calls_that_ended_are_forgotten_after_a_restart_too() -> None:
    restored = from_document(to_document(fold(answered_call("old", NOON_MS - 3_600_000, 5_000, 60_000))))
    assert restored is not None
    for each in answered_call("new", NOON_MS - 60_000, 5_000, 1_000):
        restored.fold(each, PROFILE)
    restored.advance(NOON_MS + 60_000)
    assert list(restored.calls) == ["new"]


def test_handle_time_has_the_wrap_up_in_it_for_queue_and_agent() -> None:
    life = answered_call("c", NOON_MS - 60_000, 5_000, 20_000)
    life[2].queue_left.agent_id = life[4].call_ended.agent_id = "olena"
    body = ev.AgentWrapupEnded(agent_id="olena", queue_id="sales", duration_ms=10_000)
    wrapped = event(NOON_MS - 20_000, 9, agent_wrapup_ended=body)
    missed = event(NOON_MS - 58_000, 6, "c", offer_missed=ev.OfferMissed(agent_id="taras", queue_id="sales"))
    shown = view(fold([*life, wrapped, wrapped, missed]))
    assert shown["queues"][0]["last_15_min"]["mean_handle_ms"] == 30_000
    agents = {agent["id"]: agent["today"] for agent in shown["agents"]}
    assert agents == {}  # both are offline and the document does not name them
    profile = Profile(TENANT, agents={"olena": "Olena", "taras": "Taras"}, queues={"sales": ("olena",)})
    agents = {
        agent["id"]: agent["today"] for agent in view_of(fold([*life, wrapped, missed]), profile, NOON_MS)["agents"]
    }
    assert (agents["olena"]["answered"], agents["olena"]["mean_handle_ms"]) == (1, 30_000)
    assert (agents["taras"]["answered"], agents["taras"]["missed"]) == (0, 1)


def test_an_offer_that_rings_out_leaves_the_caller_waiting() -> None:
    events = answered_call("c", NOON_MS - 60_000, 50_000, 1_000)[:2]
    events.append(event(NOON_MS - 30_000, 4, "c", offer_missed=ev.OfferMissed(agent_id="olena")))
    assert view(fold(events))["calls"]["waiting"] == 1


def test_a_lines_calls_balance_and_are_counted_once() -> None:
    events = [*answered_call("a", NOON_MS - 60_000, 5_000, 1_000), *abandoned_call("b", NOON_MS - 50_000, 9_000)]
    events += answered_call("c", NOON_MS - 10_000, 5_000, 1_000)[:2]
    (line,) = view(fold([*events, *reversed(events)]))["lines"]
    assert (line["number"], line["in_progress"]) == (LINE, 1)
    assert line["today"] == {"started": 3, "answered": 1, "abandoned": 1, "other": 0}


def test_the_calls_that_are_shown_are_those_that_wait_longest_first_then_talks() -> None:
    events = []
    for number in range(MOST_CALLS_SHOWN + 10):
        life = answered_call(f"c{number:03}", NOON_MS - 300_000 + number, 1_000, 1_000)
        life[0].call_started.caller.name = "x" * 5_000
        events += life[: 4 if number % 2 else 2]
    shown = view(fold(events))["calls_now"]
    assert len(shown) == MOST_CALLS_SHOWN
    assert [call["stage"] for call in shown] == ["waiting"] * 30 + ["talking"] * 20
    assert shown[0]["id"] == "c000"
    assert shown[30]["agent_id"] == "olena"
    assert all(len(call["name"]) <= 60 for call in shown)


def test_the_estimate_is_what_the_newest_caller_was_told_until_it_is_old_or_somebody_is_free() -> None:
    def joined(call_id: str, at_ms: int, estimate_ms: int) -> ev.Event:
        return event(at_ms, 2, call_id, queue_joined=ev.QueueJoined(queue_id="sales", estimated_wait_ms=estimate_ms))

    events = [joined("a", NOON_MS - 60_000, 90_000), joined("b", NOON_MS - 30_000, 120_000)]
    profile = Profile(TENANT, queues={"sales": ("olena",)})

    def estimate(events: list[ev.Event], now_ms: int = NOON_MS) -> int | None:
        (queue,) = view_of(fold(events), profile, now_ms)["queues"]
        found: int | None = queue["estimated_wait_ms"]
        return found

    assert estimate(events) == estimate(events[::-1]) == 120_000
    assert estimate(events, NOON_MS + 3_600_000) is None
    gone = [event(NOON_MS - 5_000, 3, each, call_ended=ended(ev.CALL_EXIT_ABANDONED, NOON_MS)) for each in "ab"]
    free = state("olena", NOON_MS - 1_000, 1, ev.AGENT_STATE_IDLE)
    assert estimate([*events, *gone, free]) == 0


def test_a_call_whose_end_was_lost_is_not_in_progress_for_ever_and_its_late_end_is_counted_once() -> None:
    lost, began = answered_call("lost", NOON_MS, 5_000, 60_000), NOON_MS + 25 * 3_600_000
    live = fold(lost[:4])
    live.advance(began)
    live.fold(event(began, 1, "next", call_started=ev.CallStarted(line=LINE)), PROFILE)
    live.advance(began + 120_000)
    shown = view(live, began + 120_000)
    assert (shown["calls"]["in_progress"], shown["completeness"]["dropped_calls"]) == (1, 1)
    again = from_document(to_document(live))
    assert again is not None
    assert view(again, began + 120_000) == shown
    assert live.fold(lost[4], PROFILE) is Outcome.TAKEN
    assert live.fold(lost[4], PROFILE) is Outcome.REPEATED
    assert view(live, began + 120_000)["calls"]["in_progress"] == 1
