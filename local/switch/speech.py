"""What the phones say: real speech clips, spoken in turns, cut into the samples that a recording asks for.

Human English telephone speech is taken from the Debian package asterisk-core-sounds-en-wav where it is installed; it
is never copied into the project. Without it espeak-ng speaks a few sentences; without that there are only tones.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from local.switch.clock import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.switch.channel import Leg

SAMPLE_RATE = 8_000
Samples = np.ndarray

_HUMAN_FOLDERS = (Path("/usr/share/asterisk/sounds/en_US_f_Allison"), Path("/usr/share/asterisk/sounds/en"))
_MUSIC_FOLDERS = (Path("/usr/share/asterisk/moh"),)
# Long enough to be words, short enough for a turn of a talk.
_TURN_SECONDS = (1.2, 9.0)
_MOST_CLIPS = 120
_SENTENCES = (
    "Good morning, how can I help you today?",
    "I would like to know where my order is.",
    "Let me have a look, may I have your order number, please?",
    "Yes, of course, one moment, I have to find it.",
    "Thank you. It was sent yesterday and should arrive tomorrow.",
    "That is good news. Can you change the address of the delivery?",
    "I can do that for you. What is the new address?",
    "Thank you very much for your help. Goodbye.",
)


@dataclass(frozen=True, slots=True)
class Clip:
    """Something that is said; its name tells which file it is."""

    name: str
    samples: Samples


@dataclass(slots=True)
class Talk:
    """A conversation in turns, made up as far as somebody listens. Speaker 0 is the bridge's A leg."""

    voices: Voices
    dice: random.Random
    started_us: int
    turns: list[tuple[int, int, Clip]] = field(default_factory=list)
    _until: int = 0
    _speaker: int = 1

    def track(self, speaker: int, begin: int, count: int) -> Samples:
        """Return what one speaker says in `count` samples from sample `begin` of the talk."""
        while self._until < begin + count:
            clip = self.dice.choice(self.voices.clips_of(self._speaker))
            self.turns.append((self._until, self._speaker, clip))
            self._until += len(clip.samples) + int(self.dice.uniform(0.2, 0.7) * SAMPLE_RATE)
            self._speaker = 1 - self._speaker
        sound = np.zeros(count, dtype=np.int16)
        for start, who, clip in reversed(self.turns):
            end = start + len(clip.samples)
            if end <= begin:
                break
            if who == speaker and start < begin + count:
                first, last = max(start, begin), min(end, begin + count)
                sound[first - begin : last - begin] = clip.samples[first - start : last - start]
        return sound


class Voices:
    """Two voices and hold music. `source` says in one line where they come from."""

    def __init__(self, clips: list[Clip], music: Samples, source: str) -> None:
        self.source = source
        self._by_speaker = (clips[0::2] or clips, clips[1::2] or clips)
        self._music = music

    def clips_of(self, speaker: int) -> list[Clip]:
        """Return what one of the two speakers can say."""
        return self._by_speaker[speaker]

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
        bridge = leg.bridge
        if leg.playing is not None:
            return silence, self._music_at(begin_us, count)
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


def load_voices() -> Voices:
    """Find the best speech that this machine has."""
    music = _music()
    for folder in _HUMAN_FOLDERS:
        clips = list(_read_clips(sorted(folder.glob("*.wav"))))
        if clips:
            return Voices(clips, music, f"human English speech from {folder} ({len(clips)} clips)")
    clips = _spoken_by_espeak()
    if clips:
        return Voices(
            clips, music, "synthetic speech by espeak-ng (install asterisk-core-sounds-en-wav for human speech)"
        )
    return Voices(
        _tones(), music, "tones instead of speech (install the package asterisk-core-sounds-en-wav for human speech)"
    )


def _read_clips(paths: Iterable[Path]) -> Iterable[Clip]:
    shortest, longest = (int(seconds * SAMPLE_RATE) for seconds in _TURN_SECONDS)
    taken = 0
    for path in paths:
        samples = read_wave(path)
        if samples is not None and shortest <= len(samples) <= longest:
            yield Clip(path.name, samples)
            taken += 1
            if taken == _MOST_CLIPS:
                return


def read_wave(path: Path) -> Samples | None:
    """Read a one-channel 16-bit file at 8 kHz; another rate is brought to it."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2 or file.getnchannels() != 1:  # noqa: PLR2004 - 16 bit
                return None
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    except (OSError, EOFError, wave.Error):
        return None
    if rate == SAMPLE_RATE or not len(samples):
        return samples
    count = int(len(samples) * SAMPLE_RATE / rate)
    places = np.linspace(0, len(samples) - 1, count)
    resampled: Samples = np.interp(places, np.arange(len(samples)), samples).astype(np.int16)
    return resampled


def _spoken_by_espeak() -> list[Clip]:
    program = shutil.which("espeak-ng")
    if program is None:
        return []
    clips = []
    with tempfile.TemporaryDirectory() as folder:
        for number, sentence in enumerate(_SENTENCES):
            path = Path(folder) / f"{number}.wav"
            voice = "en+m3" if number % 2 else "en+f2"
            done = subprocess.run([program, "-v", voice, "-w", str(path), sentence], check=False, timeout=20)
            samples = read_wave(path) if done.returncode == 0 else None
            if samples is not None and len(samples):
                clips.append(Clip(sentence, samples))
    return clips


def _tones() -> list[Clip]:
    """Return warbling tones with pauses: not speech, but loud and quiet like it."""
    clips = []
    for number in range(8):
        time = np.arange(int((1.5 + 0.4 * number) * SAMPLE_RATE)) / SAMPLE_RATE
        warble = np.sin(2 * np.pi * (180 + 40 * number + 30 * np.sin(2 * np.pi * 3 * time)) * time)
        loudness = 5_000 * (0.5 + 0.5 * np.sin(2 * np.pi * 2.3 * time)) * (np.sin(2 * np.pi * 0.7 * time) > -0.6)  # noqa: PLR2004 - the pauses
        clips.append(Clip(f"tone-{number}", (warble * loudness).astype(np.int16)))
    return clips


def _music() -> Samples:
    for folder in _MUSIC_FOLDERS:
        for path in sorted(folder.glob("*.wav")):
            samples = read_wave(path)
            if samples is not None and len(samples):
                return samples[: 60 * SAMPLE_RATE]
    time = np.arange(16 * SAMPLE_RATE) / SAMPLE_RATE
    notes = (262, 330, 392, 523, 392, 330, 294, 349)
    pitch = np.array([notes[int(second * 2) % len(notes)] for second in time])
    chord = np.sin(2 * np.pi * pitch * time) + 0.4 * np.sin(2 * np.pi * pitch * 1.5 * time)
    return (chord * 2_500).astype(np.int16)
