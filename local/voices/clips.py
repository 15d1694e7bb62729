"""Speech clips at 8 kHz with what is said in them.

Human English telephone speech is taken from the Debian packages asterisk-core-sounds-en-wav (sound) and
asterisk-core-sounds-en (text), CC-BY-SA-3.0, where they are installed; nothing of them is copied into the project.
Without them espeak-ng speaks a few sentences; without that there are only tones, which have no text.
"""

import gzip
import re
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SAMPLE_RATE = 8_000
Samples = np.ndarray

_HUMAN_FOLDERS = (Path("/usr/share/asterisk/sounds/en_US_f_Allison"), Path("/usr/share/asterisk/sounds/en"))
_HUMAN_TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
_MUSIC_FOLDER = Path("/usr/share/asterisk/moh")
# Long enough to be words, short enough for a turn of a talk.
_TURN_SECONDS = (1.2, 9.0)
_MOST_CLIPS = 120
_MUSIC_SECONDS = 60
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
    """Something that is said: which file it is, its samples, and its text where that is known."""

    name: str
    samples: Samples
    text: str = ""


@dataclass(frozen=True, slots=True)
class Speech:
    """All clips, hold music, and one line that says where they come from."""

    clips: tuple[Clip, ...]
    music: Samples
    source: str


def find_speech() -> Speech:
    """Find the best speech that this machine has; takes about 0.1 s for human speech."""
    music = _music()
    for folder in _HUMAN_FOLDERS:
        clips = tuple(_human_clips(folder, _human_texts()))
        if clips:
            return Speech(clips, music, f"human English speech from {folder} ({len(clips)} clips)")
    clips = tuple(_spoken_by_espeak())
    if clips:
        source = "synthetic speech by espeak-ng (install asterisk-core-sounds-en-wav for human speech)"
        return Speech(clips, music, source)
    source = "tones instead of speech (install the package asterisk-core-sounds-en-wav for human speech)"
    return Speech(tuple(_tones()), music, source)


def read_wave(path: Path) -> Samples | None:
    """Read a one-channel 16-bit file and bring it to 8 kHz; None when it is not one."""
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getsampwidth(), file.getnchannels()) != (2, 1):
                return None
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    except (OSError, EOFError, wave.Error):
        return None
    if rate == SAMPLE_RATE or not len(samples):
        return samples
    places = np.linspace(0, len(samples) - 1, int(len(samples) * SAMPLE_RATE / rate))
    resampled: Samples = np.interp(places, np.arange(len(samples)), samples).astype(np.int16)
    return resampled


def _human_clips(folder: Path, texts: dict[str, str]) -> Iterator[Clip]:
    """Yield clips of words; a text in brackets means that the file is a sound and no speech."""
    shortest, longest = (int(seconds * SAMPLE_RATE) for seconds in _TURN_SECONDS)
    taken = 0
    for path in sorted(folder.glob("*.wav")):
        text = texts.get(path.stem, "")
        samples = None if texts and not text else read_wave(path)
        if samples is None or not shortest <= len(samples) <= longest:
            continue
        yield Clip(path.name, samples, text)
        taken += 1
        if taken == _MOST_CLIPS:
            return


def _human_texts() -> dict[str, str]:
    try:
        with gzip.open(_HUMAN_TEXTS, "rt", encoding="utf-8", errors="replace") as file:
            return dict(_parse_texts(file))
    except OSError:
        return {}


def _parse_texts(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Read lines `name: what is said`; comments begin with a semicolon."""
    for line in lines:
        name, colon, text = line.partition(":")
        words = re.sub(r"[\[(].*?[\])]", "", text).strip()
        if colon and words and not name.startswith(";"):
            yield name.strip(), words


def spoken(text: str) -> Samples:
    """Return a sentence spoken by espeak-ng; a tone as long as the sentence where that is not installed."""
    samples = _by_espeak(text, "en+f2")
    if samples is not None:
        return samples
    time = np.arange(int(0.08 * max(5, len(text)) * SAMPLE_RATE)) / SAMPLE_RATE
    tone: Samples = (np.sin(2 * np.pi * 300 * time) * 5_000).astype(np.int16)
    return tone


def _spoken_by_espeak() -> Iterator[Clip]:
    for number, sentence in enumerate(_SENTENCES):
        samples = _by_espeak(sentence, "en+m3" if number % 2 else "en+f2")
        if samples is not None:
            yield Clip(f"sentence-{number}", samples, sentence)


def _by_espeak(text: str, voice: str) -> Samples | None:
    program = shutil.which("espeak-ng")
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        done = subprocess.run([program, "-v", voice, "-w", str(path), "--", text], check=False, timeout=20)
        samples = read_wave(path) if done.returncode == 0 else None
    return samples if samples is not None and len(samples) else None


def _tones() -> Iterator[Clip]:
    """Yield warbling tones with pauses: not speech, but loud and quiet like it."""
    for number in range(8):
        time = np.arange(int((1.5 + 0.4 * number) * SAMPLE_RATE)) / SAMPLE_RATE
        warble = np.sin(2 * np.pi * (180 + 40 * number + 30 * np.sin(2 * np.pi * 3 * time)) * time)
        speaks = np.sin(2 * np.pi * 0.7 * time) > -0.6  # noqa: PLR2004 - seven tenths of the time
        loudness = 5_000 * (0.5 + 0.5 * np.sin(2 * np.pi * 2.3 * time)) * speaks
        yield Clip(f"tone-{number}", (warble * loudness).astype(np.int16))


def _music() -> Samples:
    for path in sorted(_MUSIC_FOLDER.glob("*.wav")):
        samples = read_wave(path)
        if samples is not None and len(samples):
            return samples[: _MUSIC_SECONDS * SAMPLE_RATE]
    time = np.arange(16 * SAMPLE_RATE) / SAMPLE_RATE
    notes = np.array((262, 330, 392, 523, 392, 330, 294, 349))
    pitch = notes[(time * 2).astype(int) % len(notes)]
    chord = np.sin(2 * np.pi * pitch * time) + 0.4 * np.sin(2 * np.pi * pitch * 1.5 * time)
    melody: Samples = (chord * 2_500).astype(np.int16)
    return melody
