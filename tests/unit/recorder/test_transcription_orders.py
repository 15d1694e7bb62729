from hypothesis import given
from hypothesis import strategies as st

from services.recorder.domain.transcript.job import next_tenants, served_after
from services.recorder.domain.transcript.masking import Mark, MarkKind, masked_ranges
from services.recorder.domain.transcript.policy import is_drawn, wishes_for
from services.recorder.domain.transcript.transcript import SPEAKERS, Speaker
from services.recorder.domain.transcript.words import Personal
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

ALL, NONE = tn.TRANSCRIPTION_MODE_ALL, tn.TRANSCRIPTION_MODE_NONE
START_US = 1_795_399_051_000_000


def tenant(**policy: object) -> tn.TenantDocument:
    return tn.TenantDocument(
        tenant_id="acme",
        languages=["uk", "en"],
        transcription=tn.TranscriptionPolicy(**policy),  # type: ignore[arg-type]
    )


def test_nothing_is_written_down_unless_the_tenant_says_so() -> None:
    assert wishes_for(tn.TenantDocument(tenant_id="acme"), "r", "") is None
    assert wishes_for(tenant(mode=NONE), "r", "") is None


def test_the_policy_says_who_in_which_language_and_what_is_kept() -> None:
    document = tenant(
        mode=ALL, sides=tn.TRANSCRIPTION_SIDES_AGENT, language="uk", keeps=[tn.PERSONAL_DATA_EMAIL], priority=2
    )
    wishes = wishes_for(document, "r", "")
    assert wishes is not None
    assert (wishes.sides, wishes.language, wishes.priority) == ((Speaker.AGENT,), "uk", 2)
    assert wishes.keeps == {Personal.EMAIL}


def test_both_sides_in_whichever_of_the_tenants_languages_by_default() -> None:
    wishes = wishes_for(tenant(mode=ALL), "r", "")
    assert wishes is not None
    assert (wishes.sides, wishes.language, wishes.languages, wishes.keeps) == (SPEAKERS, "", ("uk", "en"), frozenset())


def test_a_queue_may_wish_something_else() -> None:
    document = tenant(mode=ALL, priority=1)
    document.transcription.queues.add(queue_id="english", language="en", priority=3)
    document.transcription.queues.add(queue_id="private", mode=NONE)
    english = wishes_for(document, "r", "english")
    assert english is not None
    assert (english.language, english.priority, english.sides) == ("en", 4, SPEAKERS)
    assert wishes_for(document, "r", "private") is None
    only_one = tenant(mode=NONE)
    only_one.transcription.queues.add(queue_id="sales", mode=ALL)
    assert wishes_for(only_one, "r", "sales") is not None
    assert wishes_for(only_one, "r", "support") is None


def test_the_language_that_the_call_s_flow_has_chosen_goes_before_the_queue_s_and_the_company_s() -> None:
    document = tenant(mode=ALL, language="uk")
    document.transcription.queues.add(queue_id="english", language="en")
    wishes = [wishes_for(document, "r", queue, chosen) for queue in ("", "english") for chosen in ("", "ru")]
    assert [one.language for one in wishes if one] == ["uk", "ru", "en", "ru"]


def test_so_many_in_a_hundred_are_drawn_and_a_higher_share_holds_the_lower() -> None:
    ids = [f"recording-{number}" for number in range(5_000)]
    drawn = {percent: {one for one in ids if is_drawn(one, percent)} for percent in (1, 10, 50, 100)}
    assert drawn[1] < drawn[10] < drawn[50] < drawn[100] == set(ids)
    assert 400 < len(drawn[10]) < 600


def masked(*marks: tuple[float, MarkKind], started_us: int = START_US) -> list[tuple[int, int]]:
    told = [Mark(START_US + round(seconds * 1_000_000), kind) for seconds, kind in marks]
    return masked_ranges(started_us, told, 60_000)


def test_a_mask_lasts_until_the_recording_is_resumed() -> None:
    assert masked((5, MarkKind.MASKED), (9, MarkKind.RESUMED)) == [(5_000, 9_000)]
    assert masked((5, MarkKind.MASKED)) == [(5_000, 60_000)]
    assert masked() == []


def test_time_does_not_pass_in_a_recording_that_is_paused() -> None:
    marks = ((5, MarkKind.PAUSED), (25, MarkKind.RESUMED), (30, MarkKind.MASKED), (32, MarkKind.RESUMED))
    assert masked(*marks) == [(10_000, 12_000)]


def test_where_the_start_is_unknown_all_counts_as_masked() -> None:
    assert masked((5, MarkKind.MASKED), (9, MarkKind.RESUMED), started_us=0) == [(0, 60_000)]


@given(
    st.dictionaries(
        st.sampled_from("abcde"), st.lists(st.integers(1_000, 600_000), min_size=1, max_size=30), min_size=2
    )
)
def test_tenants_that_wait_are_served_alike(waiting: dict[str, list[int]]) -> None:
    served = dict.fromkeys(waiting, 0.0)
    given_ms = dict.fromkeys(waiting, 0)
    left = {tenant_id: list(jobs) for tenant_id, jobs in waiting.items()}
    longest = max(max(jobs) for jobs in waiting.values())
    now = 0.0
    while all(left.values()):
        chosen = next_tenants(served, now)[0]
        cost = left[chosen].pop(0)
        now, before = max(now, min(served.values())), served[chosen]
        served[chosen] = served_after(before, now, cost)
        given_ms[chosen] += cost
        # While all of them wait, nobody is ahead of another by more than one recording.
        assert max(given_ms.values()) - min(given_ms.values()) <= longest


def test_who_was_away_does_not_make_up_for_it() -> None:
    assert next_tenants({"new": 0.0, "old": 90_000.0}, 100_000.0) == ["new", "old"]
    assert served_after(0.0, 100_000.0, 5_000) == 105_000.0
