"""How talks sound, in three languages: words, negation, speakers, thirds, rules, marks, events (SPEC 6.5)."""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.adapters.transcript_events import completed_event, matched_events
from services.recorder.domain.analytics.analysis import Analyst
from services.recorder.domain.analytics.phrases import heard
from services.recorder.domain.analytics.sentiment.talk import sentiment_of, to_document
from services.recorder.domain.analytics.sentiment.weighing import CLEAR, LEXICONS, METHOD, Weighed, weigh
from services.recorder.domain.transcript.redaction import redact
from services.recorder.domain.transcript.transcript import Speaker, Transcript
from services.recorder.domain.transcript.transcript import to_document as transcript_document
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.unit.recorder.transcripts import play, words

JUDGED = Path(__file__).parents[2] / "fixtures" / "sentiment"
CUSTOMER, AGENT = Speaker.CUSTOMER, Speaker.AGENT


def felt(text: str, language: str) -> Weighed:
    return weigh(heard(words(text), language), LEXICONS[language])


def sign(score: float) -> str:
    if abs(score) < CLEAR:
        return "0"
    return "+" if score > 0 else "-"


@pytest.mark.parametrize(("name", "least"), [("", 0.9), ("-implied", 0.5)])
@pytest.mark.parametrize("language", ["uk", "ru", "en"])
def test_what_people_say_on_the_telephone_is_judged_as_people_judge_it(
    language: str, name: str, least: float, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (JUDGED / f"{language}{name}.tsv").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("\t") for line in lines]
    judged = Counter((wanted, sign(felt(text, language).score)) for wanted, text in pairs)
    right = sum(count for (wanted, got), count in judged.items() if wanted == got)
    with capsys.disabled():
        sys.stdout.write(f"\n{language}{name}: {right} of {len(lines)} judged as by hand\n")
    assert right >= least * len(lines)
    assert judged["+", "-"] == judged["-", "+"] == 0  # what is not understood is taken for neither


@pytest.mark.parametrize(
    ("language", "said", "wanted"),
    [
        ("uk", "я задоволений", "+"),
        ("uk", "я не дуже задоволений", "-"),
        ("uk", "якість жахлива", "-"),
        ("uk", "нічого жахливого", "-"),
        ("uk", "проблем немає", "+"),
        ("uk", "усе непогано", "+"),
        ("uk", "ні, дякую", "0"),
        ("uk", "ні, чудово", "+"),
        ("uk", "він працює", "0"),
        ("uk", "він не працює", "-"),
        ("uk", "було погано але тепер чудово", "+"),
        ("ru", "претензий нет", "+"),
        ("ru", "это не ужасно", "+"),
        ("ru", "никогда не приходит вовремя", "-"),
        ("ru", "спасибо", "0"),
        ("ru", "огромное вам спасибо всё замечательно", "+"),
        ("en", "it isn't good", "-"),
        ("en", "it's not bad at all", "+"),
        ("en", "No, it is great", "+"),
        ("en", "no complaints", "+"),
        ("en", "i would like a word", "0"),
        ("en", "they fixed the problem", "+"),
        ("en", "a bit slow", "0"),
        ("en", "very slow", "-"),
    ],
)
def test_negation_politeness_and_strength_count(language: str, said: str, wanted: str) -> None:
    weighed = felt(said, language)
    assert sign(weighed.score) == wanted, weighed


TALK = play(
    ("agent", 0, "добрий день чим можу допомогти"),
    ("customer", 4_000, "інтернет не працює це жахливо."),
    ("customer", 10_000, "моя адреса київ"),
    ("agent", 25_000, "прикро чути зараз перевірю"),
    ("customer", 30_000, "довго чекати"),
    ("agent", 45_000, "все готово"),
    ("customer", 50_000, "чудово дуже вам дякую."),
    language="uk",
)


def test_a_talk_tells_how_each_speaker_sounded_and_how_it_went() -> None:
    felt_so = sentiment_of(TALK)
    customer = felt_so.sides[CUSTOMER]
    first, middle, last = (score or 0.0 for score in customer.thirds)
    assert [first, middle, last] == pytest.approx([-0.9, -0.38, 0.82], abs=0.03)
    assert customer.score == pytest.approx((first + middle + last) / 3)
    assert customer.change == pytest.approx(last - first)
    assert (customer.utterances, customer.negative, customer.positive) == (4, 2, 1)
    assert felt_so.sides[AGENT].thirds[0] is None
    told = to_document(felt_so)
    assert told["method"] == METHOD
    assert told["utterances"][0]["found"] == [["працювати", -2.0], ["жахливо", -3.0]]
    assert [one["speaker"] for one in told["utterances"]] == ["customer", "agent", "customer", "customer"]


def test_who_says_nothing_of_feeling_has_no_score_and_a_language_without_words_none_at_all() -> None:
    plain = sentiment_of(play(("customer", 0, "my order number is four"), ("agent", 5_000, "one moment")))
    assert (plain.sides[CUSTOMER].score, plain.sides[CUSTOMER].change) == (None, None)
    german = to_document(sentiment_of(play(("customer", 0, "das ist furchtbar"), language="de")))
    assert (german["customer"], german["agent"], german["utterances"]) == (None, None, [])


def test_what_was_taken_out_as_personal_says_nothing() -> None:
    said = heard(redact(words("terrible@example.com"), frozenset()), "en")
    assert weigh(said, LEXICONS["en"]) == Weighed(0.0, ())


@given(
    st.sampled_from(sorted(LEXICONS)),
    st.lists(
        st.sampled_from(
            [
                "не",
                "no",
                "not",
                "нет",
                "дуже",
                "very",
                "but",
                "але,",
                "жахливо",
                "terrible",
                "good.",
                "чудово",
                "спасибо",
                "please",
                "проблем",
                "never",
                "ні",
            ]
        ),
        max_size=12,
    ),
)
def test_a_score_lies_within_its_bounds_and_has_the_sign_of_what_was_found(language: str, texts: list[str]) -> None:
    weighed = felt(" ".join(texts), language)
    total = sum(weight for _, weight in weighed.found)
    assert -1 <= weighed.score <= 1
    assert (weighed.score > 0, weighed.score < 0) == (total > 1e-9, total < -1e-9)


def bounds(**fields: Any) -> tn.FeelingBounds:
    return tn.FeelingBounds(**fields)


def company(**rule: Any) -> tn.TenantDocument:
    made = tn.TenantDocument(tenant_id="acme")
    made.speech_rules.add(rule_id="r", **rule)
    return made


def matches(**rule: Any) -> list[tuple[str, int, float | None]]:
    found = Analyst().analyse(TALK, company(**rule))["matches"]
    return [(one["speaker"], one["at_ms"], one.get("sentiment")) for one in found]


def test_a_rule_may_be_about_how_a_speaker_sounded_in_a_part_of_the_talk() -> None:
    angry = bounds(part=tn.TALK_PART_FIRST_THIRD, at_most=-0.5)
    assert matches(speaker=tn.SPEAKER_CUSTOMER, feeling=angry) == [("customer", 0, -0.9)]
    assert matches(speaker=tn.SPEAKER_AGENT, feeling=angry) == []
    at_end = bounds(part=tn.TALK_PART_LAST_THIRD, at_most=-0.3)
    assert matches(speaker=tn.SPEAKER_CUSTOMER, feeling=at_end) == []
    happy = bounds(part=tn.TALK_PART_LAST_THIRD, at_least=0.5)
    assert [(who, at) for who, at, _ in matches(feeling=happy)] == [("customer", 40_000)]


def test_a_duty_about_feeling_is_missed_where_the_talk_did_not_end_so() -> None:
    duty = {"kind": tn.SPEECH_RULE_KIND_REQUIRED, "speaker": tn.SPEAKER_CUSTOMER}
    assert matches(**duty, feeling=bounds(part=tn.TALK_PART_LAST_THIRD, at_least=0.5)) == []
    assert matches(**duty, feeling=bounds(part=tn.TALK_PART_FIRST_THIRD, at_least=0.5)) == [("", 60_000, None)]


def test_a_rule_of_words_may_ask_how_they_were_said() -> None:
    phrases = {"phrases": ["інтернет", "дякую"]}
    assert len(matches(**phrases)) == 2
    assert [at for _, at, _ in matches(**phrases, feeling=bounds(at_most=-0.3))] == [4_000]
    assert matches(**phrases, feeling=bounds(part=tn.TALK_PART_MIDDLE_THIRD, at_most=1)) == []


def test_a_score_card_asks_how_the_customer_left() -> None:
    made = tn.TenantDocument(tenant_id="acme")
    card = made.score_cards.add(card_id="c")
    card.criteria.add(measure=tn.SPEECH_MEASURE_CUSTOMER_FEELING_AT_END_PERCENT, at_least=60, points=3)
    card.criteria.add(measure=tn.SPEECH_MEASURE_CUSTOMER_FEELING_PERCENT, at_least=60, points=1)
    (marked,) = Analyst().analyse(TALK, made)["scores"]
    assert [one["met"] for one in marked["criteria"]] == [True, False]
    silent = play(("customer", 0, "my order"))
    (marked,) = Analyst().analyse(silent, made)["scores"]
    assert [one["met"] for one in marked["criteria"]] == [None, None]


def test_the_events_tell_it_and_leave_out_what_there_is_no_score_of() -> None:
    rule = company(speaker=tn.SPEAKER_CUSTOMER, feeling=bounds(part=tn.TALK_PART_FIRST_THIRD, at_most=-0.5))
    told = completed_event(document(TALK, rule)).transcript_completed
    assert told.sentiment_method == METHOD
    assert told.customer_sentiment_at_end > 0.5 > told.customer_sentiment
    assert told.customer_sentiment_change == pytest.approx(1.72, abs=0.05)
    (matched,) = matched_events(document(TALK, rule))
    assert matched.analysis_rule_matched.sentiment == -0.9
    plain = completed_event(document(play(("customer", 0, "my order")), rule)).transcript_completed
    assert not plain.HasField("customer_sentiment")
    assert not plain.HasField("agent_sentiment")


def document(transcript: Transcript, tenant: tn.TenantDocument) -> dict[str, Any]:
    analysed = replace(transcript, analysis=Analyst().analyse(transcript, tenant))
    return transcript_document(analysed) | {"made_us": 1_795_399_100_000_000}
