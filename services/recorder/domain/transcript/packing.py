"""Packs speech into chunks. A recogniser of Whisper's kind pays for 30 seconds whatever a chunk holds."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from services.recorder.domain.transcript.voice import Stretch
from services.recorder.domain.transcript.words import Word

LONGEST_CHUNK_MS: Final = 28_000
LEAD_MS: Final = 1_000
"""Silence before the first piece: a recogniser that is thrown into a word mishears it: 4.2 % wrong words without it,
1.8 % with half a second, of 65 s of telephone English; 16.0 % with half a second here and in GAP_MS, 13.6 % with one,
of 413 s of Russian."""
GAP_MS: Final = 1_000
"""Silence between two pieces of a chunk, so that their words are not run together."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of the recording, from `start_ms` to `end_ms`, that stands at `at_ms` of its chunk."""

    start_ms: int
    end_ms: int
    at_ms: int

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the recogniser hears at once: pieces of one channel, LEAD_MS of silence before and GAP_MS between them."""

    pieces: tuple[Piece, ...]

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.pieces[-1].at_ms + self.pieces[-1].length_ms

    @property
    def speech_ms(self) -> int:
        """How much of it is speech."""
        return sum(piece.length_ms for piece in self.pieces)


def pack(stretches: Iterable[Stretch], longest_ms: int = LONGEST_CHUNK_MS) -> list[Chunk]:
    """Pack stretches of speech, in order, into chunks of at most `longest_ms`; a longer one is cut."""
    chunks: list[Chunk] = []
    pieces: list[Piece] = []
    at_ms = LEAD_MS
    for start, end in _cut(stretches, longest_ms - LEAD_MS):
        if pieces and at_ms + end - start > longest_ms:
            chunks.append(Chunk(tuple(pieces)))
            pieces, at_ms = [], LEAD_MS
        pieces.append(Piece(start, end, at_ms))
        at_ms += end - start + GAP_MS
    return [*chunks, Chunk(tuple(pieces))] if pieces else chunks


def _cut(stretches: Iterable[Stretch], longest_ms: int) -> Iterator[Stretch]:
    """Cut what is too long into parts of one length."""
    for start, end in stretches:
        parts = -(-(end - start) // longest_ms)
        edges = [start + (end - start) * number // parts for number in range(parts + 1)]
        yield from pairwise(edges)


def unpack(chunk: Chunk, words: Iterable[Word]) -> list[Word]:
    """Return a chunk's words at their times in the recording, each within the piece that it was said in."""
    return [_moved(word, _piece_of(chunk.pieces, word)) for word in words]


def _piece_of(pieces: Sequence[Piece], word: Word) -> Piece:
    """Return the piece that most of a word lies in; the nearest for one that lies in the silence between."""
    middle = (word.start_ms + word.end_ms) / 2
    return min(pieces, key=lambda piece: max(piece.at_ms - middle, middle - piece.at_ms - piece.length_ms, 0))


def _moved(word: Word, piece: Piece) -> Word:
    by_ms = piece.start_ms - piece.at_ms
    start = min(max(word.start_ms + by_ms, piece.start_ms), piece.end_ms)
    end = min(max(word.end_ms + by_ms, start), piece.end_ms)
    return Word(word.text, start, end, word.confidence, word.personal)
