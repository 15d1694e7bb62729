"""What the phones say: clips spoken in turns, cut into the samples that a recording asks for."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from local.switch.clock import MICROSECONDS
from local.voices.clips import SAMPLE_RATE, Clip, Samples, Speech, spoken

if TYPE_CHECKING:
    from local.switch.channel import Leg

# What lies between two turns of a talk.
_PAUSE_SECONDS = (0.2, 0.7)


@dataclass(slots=True)
class Talk:
    """A conversation in turns, made up as far as somebody listens. Speaker 0 is the bridge's A leg."""

    voices: Voices
    dice: random.Random
    started_us: int
    turns: list[tuple[int, int, Clip]] = field(default_factory=list)
    _until: int = 0
    _next_speaker: int = 1

    def track(self, speaker: int, begin: int, count: int) -> Samples:
        """Return what one speaker says in `count` samples from sample `begin` of the talk."""
        while self._until < begin + count:
            self._add_turn()
        sound = np.zeros(count, dtype=np.int16)
        for start, who, clip in reversed(self.turns):
            end = start + len(clip.samples)
            if end <= begin:
                break
            if who == speaker and start < begin + count:
                first, last = max(start, begin), min(end, begin + count)
                sound[first - begin : last - begin] = clip.samples[first - start : last - start]
        return sound

    def _add_turn(self) -> None:
        clip = self.dice.choice(self.voices.clips_of(self._next_speaker))
        self.turns.append((self._until, self._next_speaker, clip))
        self._until += len(clip.samples) + int(self.dice.uniform(*_PAUSE_SECONDS) * SAMPLE_RATE)
        self._next_speaker = 1 - self._next_speaker

    def said_until(self, when_us: int) -> list[dict[str, object]]:
        """Return what was said to its end by an instant: the true text for a transcription to be measured by."""
        samples = (when_us - self.started_us) * SAMPLE_RATE // MICROSECONDS
        return [
            {"speaker": who, "at": start / SAMPLE_RATE, "clip": clip.name, "text": clip.text}
            for start, who, clip in self.turns
            if start + len(clip.samples) <= samples
        ]


class Voices:
    """Two voices and hold music."""

    def __init__(self, speech: Speech) -> None:
        self.source = speech.source
        clips = self._clips = list(speech.clips)
        self._by_speaker = (clips[0::2] or clips, clips[1::2] or clips)
        self._music = speech.music

    def clips_of(self, speaker: int) -> list[Clip]:
        """Return what one of the two speakers can say."""
        return self._by_speaker[speaker]

    def saying(self, text: str) -> Samples:
        """Return a sentence as the first speaker says it, after the moment that it takes to begin."""
        pause = np.zeros(int(_PAUSE_SECONDS[0] * SAMPLE_RATE), dtype=np.int16)
        known = next((clip.samples for clip in self._clips if clip.text.casefold() == text.casefold()), None)
        return np.concatenate([pause, spoken(text) if known is None else known])

    def talk_of(self, leg: Leg) -> Talk:
        """Return the conversation that a bridged leg is in; it is the same for both legs."""
        bridge = leg.bridge
        if bridge.talk is None:
            bridge.talk = Talk(self, random.Random(crc32(bridge.a.uuid.encode())), bridge.started_us)
        talk: Talk = bridge.talk
        return talk

    def heard(self, leg: Leg, begin_us: int, count: int) -> tuple[Samples, Samples]:
        """Return (own voice, what the leg hears) for `count` samples from a simulated instant."""
        silence = np.zeros(count, dtype=np.int16)
        if leg.playing is not None:
            return silence, self._music_at(begin_us, count)
        bridge = leg.bridge
        if bridge is None or bridge.is_over:
            return silence, silence
        talk = self.talk_of(leg)
        begin = max(0, (begin_us - talk.started_us) * SAMPLE_RATE // MICROSECONDS)
        me = 0 if bridge.a is leg else 1
        other = bridge.other(leg)
        own = silence if leg.muted or leg.held else talk.track(me, begin, count)
        return own, silence if other.muted or leg.held else talk.track(1 - me, begin, count)

    def _music_at(self, begin_us: int, count: int) -> Samples:
        begin = begin_us * SAMPLE_RATE // MICROSECONDS % len(self._music)
        repeats = (begin + count) // len(self._music) + 1
        return np.tile(self._music, repeats)[begin : begin + count]
