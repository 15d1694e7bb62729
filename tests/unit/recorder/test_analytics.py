import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.domain.analytics.analysis import Analyst
from services.recorder.domain.analytics.measures import alone, joined, longest_monologue, measure
from services.recorder.domain.analytics.morphology import lemmas
from services.recorder.domain.analytics.phrases import closest, find, heard, phrase_of
from services.recorder.domain.analytics.rules import Match, matches_of, said_in
from services.recorder.domain.analytics.searching import BadQuery, places_in, read_query
from services.recorder.domain.analytics.sentiment.talk import sentiment_of
from services.recorder.domain.transcript.redaction import redact
from services.recorder.domain.transcript.transcript import Speaker, Transcript
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.unit.recorder.transcripts import SUBJECT, play, words

FORBIDDEN, REQUIRED = tn.SPEECH_RULE_KIND_FORBIDDEN, tn.SPEECH_RULE_KIND_REQUIRED
STRETCHES = st.lists(st.tuples(st.integers(0, 90), st.integers(1, 30)), max_size=6).map(
    lambda pairs: joined((start * 100, (start + length) * 100) for start, length in pairs)
)
TALK = play(
    ("agent", 0, "доброго дня мене звати Оксана"),
    ("customer", 3_000, "я хочу повернути гроші за замовлення"),
    ("agent", 7_000, "повернення грошей неможливе"),
    language="uk",
)


def found(phrase: str, said: str, language: str, least: int = 85) -> bool:
    return any(True for _ in find(phrase_of(phrase, language), heard(words(said), language), least))


@pytest.mark.parametrize(
    ("phrase", "said", "language", "is_there"),
    [
        ("скасувати підписку", "я хотів би скасувати мою підписку", "uk", True),
        ("скасувати підписку", "як скасувати підписки", "uk", True),
        ("скасувати підписку", "підписку не скасовуйте", "uk", False),
        ("служба підтримки", "до служби підтримки", "uk", True),
        ("служба підтримки", "до службі підтримкі", "uk", True),
        ("вернуть деньги", "верните мне деньги", "ru", True),
        ("вернуть деньги", "вернёте деньги", "ru", True),
        ("вернуть деньги", "деньги", "ru", False),
        ("refund", "I want refunds", "en", True),
        ("cancel my order", "please cancel my orders now", "en", True),
        ("cancel order", "cancel that old dusty order", "en", False),
        ("yes", "yet", "en", False),
        ("приват банк", "приватбанк", "uk", False),
    ],
)
def test_a_phrase_is_found_in_any_form_of_its_words(phrase: str, said: str, language: str, is_there: bool) -> None:  # noqa: FBT001
    assert found(phrase, said, language) is is_there


def test_a_word_may_be_a_form_of_several() -> None:
    assert set(lemmas("грошей", "uk")) & set(lemmas("гроші", "uk"))
    assert "замовлення" in lemmas("замовленням", "uk")
    assert "стать" in lemmas("стали", "ru")
    assert "сталь" in lemmas("стали", "ru")
    assert lemmas("...", "uk") == ()


def rule(**fields: object) -> tn.SpeechRule:
    return tn.SpeechRule(rule_id="r", **fields)  # type: ignore[arg-type]


def matched(transcript: Transcript, **fields: object) -> list[Match]:
    return matches_of(rule(**fields), said_in(transcript), sentiment_of(transcript))


def test_a_rule_says_where_who_said_it() -> None:
    (one,) = matched(TALK, phrases=["повернути гроші"])
    assert (one.speaker, one.at_ms, one.end_ms, one.kind, one.likeness) == ("customer", 3_600, 4_200, "said", 100)


def test_a_rule_for_the_agent_does_not_hear_the_customer() -> None:
    assert matched(TALK, phrases=["замовлення"], speaker=tn.SPEAKER_AGENT) == []
    assert matched(TALK, phrases=["замовлення"], speaker=tn.SPEAKER_CUSTOMER)


def test_what_must_not_be_said_is_told_as_forbidden() -> None:
    (one,) = matched(TALK, phrases=["неможливий"], kind=FORBIDDEN, speaker=tn.SPEAKER_AGENT)
    assert (one.kind, one.at_ms) == ("forbidden", 7_600)


def test_a_duty_matches_only_when_it_was_not_done() -> None:
    assert matched(TALK, phrases=["добрий день"], kind=REQUIRED, speaker=tn.SPEAKER_AGENT, first_seconds=5) == []
    (missed,) = matched(TALK, phrases=["дякую за дзвінок"], kind=REQUIRED, speaker=tn.SPEAKER_AGENT, first_seconds=5)
    assert (missed.kind, missed.speaker, missed.at_ms) == ("required", "", 5_000)


def test_nobody_is_blamed_who_was_not_written_down() -> None:
    only_customer = Transcript(SUBJECT, "e/1", TALK.tracks[:1], TALK.turns[1:2])
    assert (
        matches_of(
            rule(phrases=["дякую"], kind=REQUIRED, speaker=tn.SPEAKER_AGENT),
            said_in(only_customer),
            sentiment_of(only_customer),
        )
        == []
    )


def test_a_rule_may_want_other_words_near_or_not_near() -> None:
    talk = play(("agent", 0, "I can not promise a refund but a voucher comes soon"))
    assert matched(talk, phrases=["refund"], near=["promise"], near_words=3)
    assert not matched(talk, phrases=["refund"], near=["soon"], near_words=3)
    assert not matched(talk, phrases=["refund"], unless_near=["not promise"], near_words=4)
    assert matched(talk, phrases=["voucher"], unless_near=["not promise"], near_words=4)


def test_a_rule_may_look_at_the_beginning_or_the_end_alone() -> None:
    talk = play(("agent", 1_000, "goodbye"), ("agent", 55_000, "goodbye"))
    assert [one.at_ms for one in matched(talk, phrases=["goodbye"], first_seconds=10)] == [1_000]
    assert [one.at_ms for one in matched(talk, phrases=["goodbye"], last_seconds=10)] == [55_000]


def test_what_was_taken_out_matches_nothing() -> None:
    (taken,) = redact(words("1234 5678"), frozenset())
    assert not any(True for _ in find(phrase_of("digits", "en"), heard([taken], "en"), 60))


def test_a_score_card_counts_rules_and_measures() -> None:
    tenant = tn.TenantDocument(tenant_id="acme")
    tenant.speech_rules.add(rule_id="greets", kind=REQUIRED, phrases=["добрий день"], speaker=tn.SPEAKER_AGENT)
    tenant.speech_rules.add(rule_id="refuses", kind=FORBIDDEN, phrases=["неможливо"], speaker=tn.SPEAKER_AGENT)
    tenant.speech_rules.add(rule_id="names", phrases=["мене звати"], speaker=tn.SPEAKER_AGENT)
    card = tenant.score_cards.add(card_id="polite")
    for rule_id, points in (("greets", 5), ("refuses", 3), ("names", 2), ("gone", 50)):
        card.criteria.add(rule_id=rule_id, points=points)
    card.criteria.add(measure=tn.SPEECH_MEASURE_AGENT_TALK_PERCENT, at_least=50, at_most=70, points=2)
    tenant.score_cards.add(card_id="support_only", queue_ids=["support"]).criteria.add(rule_id="greets", points=1)
    (score,) = Analyst().analyse(TALK, tenant)["scores"]
    assert (score["card_id"], score["earned"], score["possible"], score["percent"]) == ("polite", 9, 12, 75.0)
    assert [one["met"] for one in score["criteria"]] == [True, False, True, None, True]


def test_the_measures_of_a_talk_that_can_be_counted_by_hand() -> None:
    talk = play(("agent", 0, "a " * 10), ("customer", 2_000, "b " * 5), ("agent", 20_000, "c " * 20))
    told = measure(talk)
    agent, customer = told.sides[Speaker.AGENT], told.sides[Speaker.CUSTOMER]
    assert (agent.speech_ms, customer.speech_ms, told.overlap_ms) == (9_000, 1_500, 1_000)
    assert (customer.interruptions, agent.interruptions) == (1, 0)
    assert told.silence_ms == (20_000 - 3_500) + (60_000 - 26_000)
    assert told.longest_silence_ms == 34_000
    assert agent.longest_monologue_ms == 6_000
    assert round(agent.words_per_minute) == 200
    assert told.talk_percent is not None
    assert round(told.talk_percent, 2) == 85.71


@given(STRETCHES, STRETCHES)
def test_who_speaks_alone_is_what_a_count_of_every_moment_says(
    mine: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    def speaks(stretches: list[tuple[int, int]], at: int) -> bool:
        return any(start <= at < end for start, end in stretches)

    counted = [at for at in range(0, 13_000, 100) if speaks(mine, at) and not speaks(others, at)]
    assert counted == [at for start, end in alone(mine, others) for at in range(start, end, 100)]
    spans = alone(mine, others)
    longest = longest_monologue(mine, others)
    assert (
        max((end - start for start, end in spans), default=0)
        <= longest
        <= sum(end - start for start, end in spans) + 2_000 * len(spans)
    )
    assert longest_monologue(mine, []) >= longest


def test_a_talk_is_found_by_any_form_of_its_words() -> None:
    query = read_query("замовленнями повернув")
    terms = set(Analyst().terms(TALK))
    assert all(terms.intersection(group) for group in query.groups)
    (place,) = places_in(TALK, query)
    assert (place.speaker, place.at_ms) == ("customer", 3_600)
    assert [place.text[a:b] for a, b in place.found] == ["повернути", "замовлення"]


def test_a_quoted_phrase_has_to_be_there_as_a_phrase() -> None:
    assert places_in(TALK, read_query('"повернути гроші"'))
    assert places_in(TALK, read_query('"гроші повернути"')) == []


@pytest.mark.parametrize("typed", ["", "  ", '""', "!?", "a " * 13, "x" * 201])
def test_a_query_that_asks_for_nothing_is_refused(typed: str) -> None:
    with pytest.raises(BadQuery):
        read_query(typed)


@given(st.text(max_size=200))
def test_any_text_is_a_query_or_refused(typed: str) -> None:
    try:
        query = read_query(typed)
    except BadQuery:
        return
    assert all(query.groups)
    places_in(TALK, query)


@pytest.mark.parametrize(
    ("text", "language", "phrases", "chosen"),
    [
        ("підтримку, будь ласка", "uk", ["відділ продажу", "підтримка"], 1),
        ("я хочу відділ продажів", "uk", ["відділ продажу", "підтримка"], 0),
        ("sales please", "en", ["sales", "support"], 0),
        ("suport", "en", ["sales", "support"], 1),
        ("good morning", "en", ["sales", "support"], None),
        ("sales or support", "en", ["sales", "support"], None),
        ("yes", "en", [], None),
    ],
)
def test_a_short_answer_is_the_phrase_that_it_says(
    text: str, language: str, phrases: list[str], chosen: int | None
) -> None:
    best = closest(text, language, phrases)
    assert (best[0] if best else None) == chosen
