"""A talk in a few of its own sentences: why somebody called, in three languages, and never a greeting (SPEC 7.5)."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.adapters.transcript_events import completed_event
from services.recorder.domain.analytics.analysis import Analyst
from services.recorder.domain.analytics.gist import MOST_SENTENCES, MOST_SIGNS, gist_of
from services.recorder.domain.transcript.redaction import redact
from services.recorder.domain.transcript.transcript import Speaker, Transcript
from services.recorder.domain.transcript.transcript import to_document as transcript_document
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from tests.unit.recorder.transcripts import SUBJECT, WORD_MS
from tests.unit.recorder.transcripts import play as played

CUSTOMER, AGENT = Speaker.CUSTOMER, Speaker.AGENT
TALKS = {
    "uk": [
        (AGENT, "Добрий день, компанія Акме, слухаю вас."),
        (CUSTOMER, "Добрий день. Мені привезли холодильник із подряпаними дверцятами, хочу повернути гроші."),
        (AGENT, "Зрозуміла. Назвіть, будь ласка, номер замовлення."),
        (CUSTOMER, "Так, зараз, хвилинку."),
        (AGENT, "Дякую. Ми заберемо холодильник у середу і повернемо гроші на картку протягом трьох днів."),
        (CUSTOMER, "Добре, дякую вам, до побачення."),
    ],
    "ru": [
        (AGENT, "Здравствуйте, чем могу помочь?"),
        (CUSTOMER, "Здравствуйте. У меня третий день не работает интернет, роутер мигает красным."),
        (AGENT, "Понятно. Сейчас посмотрю. Минуту, пожалуйста."),
        (AGENT, "На вашем доме авария, интернет восстановят сегодня вечером, мастер уже заменяет оборудование."),
        (CUSTOMER, "Хорошо, спасибо."),
    ],
    "en": [
        (AGENT, "Good morning, thank you for calling Acme."),
        (CUSTOMER, "Hello. My invoice for March charges the delivery twice and I want the second delivery refunded."),
        (AGENT, "Right. Let me have a look. One moment please."),
        (AGENT, "I have cancelled the second delivery charge, the corrected invoice arrives by mail tomorrow."),
        (CUSTOMER, "Thank you, that is fine."),
    ],
}
MATTERS = {
    "uk": (("подряпаними", "повернути гроші"), ("заберемо холодильник у середу",)),
    "ru": (("не работает интернет",), ("восстановят сегодня вечером",)),
    "en": (("charges the delivery twice",), ("cancelled the second delivery charge",)),
}


def play(lines: Sequence[tuple[Speaker, str]], language: str) -> Transcript:
    """Return a talk in which one waits for the other to end."""
    begins, at_ms = list[tuple[str, int, str]](), 0
    for speaker, text in lines:
        begins.append((speaker.value, at_ms, text))
        at_ms += len(text.split()) * WORD_MS + 2_000
    return played(*begins, language=language, subject=replace(SUBJECT, duration_ms=at_ms))


@pytest.mark.parametrize("language", TALKS)
def test_why_somebody_called_and_what_was_agreed_are_told_and_no_greeting(language: str) -> None:
    told = gist_of(play(TALKS[language], language)).split(" | ")
    assert 2 <= len(told) <= MOST_SENTENCES
    matter, agreed = MATTERS[language]
    assert told[0].startswith("customer: ")
    assert all(words in told[0] for words in matter)
    assert any(one.startswith("agent: ") and all(words in one for words in agreed) for one in told)
    assert not any(
        polite in one for one in told for polite in ("слухаю вас", "чем могу помочь", "thank you for", "дякую")
    )


def test_what_policy_takes_out_is_not_told() -> None:
    said = "Моя картка 4111 1111 1111 1111, поверніть гроші за замовлення на картку сьогодні."
    transcript = play([(CUSTOMER, said)], "uk")
    taken = tuple(replace(turn, words=tuple(redact(turn.words, frozenset(), ()))) for turn in transcript.turns)
    told = gist_of(replace(transcript, turns=taken))
    assert "поверніть гроші" in told
    assert "4111" not in told


def test_it_is_told_in_the_event_where_the_company_asks_for_it_alone() -> None:
    transcript = play(TALKS["en"], "en")
    for wish, is_told in ((tn.TranscriptionPolicy(), False), (tn.TranscriptionPolicy(gist=True), True)):
        analysis = Analyst().analyse(transcript, tn.TenantDocument(tenant_id="acme", transcription=wish))
        document = transcript_document(replace(transcript, analysis=analysis)) | {"made_us": 1}
        assert bool(completed_event(document).transcript_completed.gist) is is_told


def test_a_talk_that_says_nothing_has_none() -> None:
    assert gist_of(play([], "uk")) == ""
    assert gist_of(play([(AGENT, "Алло?"), (CUSTOMER, "Так. Добре. Дякую."), (AGENT, "До побачення.")], "uk")) == ""


def test_nothing_is_told_twice() -> None:
    said = "Мені привезли холодильник із подряпаними дверцятами."
    assert gist_of(play([(CUSTOMER, said)] * 5, "uk")) == f"customer: {said}"


@given(
    st.lists(st.tuples(st.sampled_from([CUSTOMER, AGENT]), st.text("абвг дежз.?! їєіґ", min_size=1)), max_size=12),
    st.sampled_from(["uk", "ru", "en", "und", ""]),
)
def test_of_any_talk_it_is_bounded_in_the_talks_own_words_and_order(
    talk: list[tuple[Speaker, str]], language: str
) -> None:
    transcript: Transcript = play([(who, text) for who, text in talk if text.split()], language)
    told = gist_of(transcript)
    assert told == gist_of(transcript)
    assert len(told) <= MOST_SIGNS
    heard = " ".join(turn.text for turn in transcript.turns)
    for one in filter(None, told.split(" | ")):
        assert one.partition(": ")[2].removesuffix("…") in heard


def test_a_turn_without_full_stops_is_cut() -> None:
    told = gist_of(play([(CUSTOMER, " ".join(f"замовлення{number}" for number in range(500)))], "uk"))
    assert 0 < len(told) <= MOST_SIGNS
