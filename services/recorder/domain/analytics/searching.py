"""Finding talks by what was said in them: words in any form, "whole phrases", and where they were said."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.recorder.domain.analytics.morphology import languages_of, lemmas
from services.recorder.domain.analytics.phrases import find, heard, phrase_of
from services.recorder.domain.transcript.numerals import plain
from services.recorder.domain.transcript.transcript import Transcript, Turn

MOST_WORDS: Final = 12
MOST_CHARACTERS: Final = 200
MOST_PLACES: Final = 5
CONTEXT_WORDS: Final = 8
_PARTS: Final = re.compile(r'"([^"]*)"|(\S+)')


class BadQuery(ValueError):
    """What was typed can't be searched for; the sentence is for who typed it."""


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked: for each word its possible dictionary forms, and the phrases that must be there as they are."""

    groups: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was found: the turn's words around it, and which of them are what was asked for."""

    speaker: str
    at_ms: int
    text: str
    found: tuple[tuple[int, int], ...]
    """Begin and end of each hit in `text`, characters."""


def read_query(typed: str) -> Query:
    """Read what somebody typed. Raises BadQuery."""
    if len(typed) > MOST_CHARACTERS:
        raise BadQuery(f"at most {MOST_CHARACTERS} characters can be searched for")
    phrases: list[str] = []
    words: list[str] = []
    for phrase, word in _PARTS.findall(typed):
        parts = [part for part in map(plain, (phrase or word).split()) if any(map(str.isalnum, part))]
        words += parts
        if len(parts) > 1:
            phrases.append(" ".join(parts))
    if not words:
        raise BadQuery("type at least one word")
    if len(words) > MOST_WORDS:
        raise BadQuery(f"at most {MOST_WORDS} words can be searched for")
    return Query(tuple(_forms(word) for word in words), tuple(words), tuple(phrases))


def _forms(word: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(form for language in languages_of(word) for form in lemmas(word, language)))


def places_in(transcript: Transcript, query: Query) -> list[Place]:
    """Return where a talk has what was asked for; none when a phrase is not there as it was asked."""
    languages = {track.speaker: track.language for track in transcript.tracks}
    places: list[Place] = []
    missing = set(query.phrases)
    for turn in transcript.turns:
        hits, phrases = _hits(turn, query, languages.get(turn.speaker, ""))
        missing -= phrases
        if hits:
            places.append(_place(turn, hits))
    return [] if missing else places[:MOST_PLACES]


def _hits(turn: Turn, query: Query, language: str) -> tuple[set[int], set[str]]:
    said = heard(turn.words, language)
    forms = {form for group in query.groups for form in group}
    hits = {number for number, word in enumerate(said) if forms.intersection(word.lemmas)}
    phrases = {text for text in query.phrases if any(True for _ in find(phrase_of(text, language), said, 100))}
    return hits, phrases


def _place(turn: Turn, hits: set[int]) -> Place:
    first = max(0, min(hits) - CONTEXT_WORDS)
    shown: Sequence[tuple[int, str]] = [
        (number, word.text) for number, word in enumerate(turn.words) if first <= number < first + 4 * CONTEXT_WORDS
    ]
    found: list[tuple[int, int]] = []
    text = ""
    for number, word in shown:
        text += " " if text else ""
        if number in hits:
            found.append((len(text), len(text) + len(word)))
        text += word
    return Place(turn.speaker.value, turn.words[min(hits)].start_ms, text, tuple(found))


def to_documents(places: Iterable[Place]) -> list[dict[str, Any]]:
    """Return places as the API tells them."""
    return [
        {
            "speaker": place.speaker,
            "at_ms": place.at_ms,
            "text": place.text,
            "found": [list(hit) for hit in place.found],
        }
        for place in places
    ]
