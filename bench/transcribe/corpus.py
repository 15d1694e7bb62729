"""Speech with what is said in it, put together as calls: two voices in turns on the channels of one stereo file.

Human telephone speech comes from Debian's packages asterisk-core-sounds-en-wav (CC-BY-SA-3.0, Digium) and -ru-wav
(CC-BY-3.0, IVRvoice.ru), synthetic Ukrainian from the folder that SPEECH_UK names (texts.tsv and wav files). Nothing of
them is copied into the project.
"""

import gzip
import os
import random
import re
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from local.voices.clips import SAMPLE_RATE, Clip, Samples, read_wave

SHORTEST_SECONDS, LONGEST_SECONDS = 1.5, 14.0
PAUSE_SECONDS: Final = (0.3, 1.2)
_BRACKETS: Final = re.compile(r"[\[(<]")
_ASTERISK: Final = {
    "en": ("/usr/share/asterisk/sounds/en_US_f_Allison", "asterisk-core-sounds-en/core-sounds-en.txt.gz"),
    "ru": ("/usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU", "asterisk-core-sounds-ru/core-sounds-ru.txt.gz"),
}
UKRAINIAN_FOLDER: Final = Path(os.environ.get("SPEECH_UK", "speech/uk"))


@dataclass(frozen=True, slots=True)
class Call:
    """A stereo recording at 8 kHz, and what is said on each channel."""

    sound: "np.ndarray[tuple[int, int], np.dtype[np.int16]]"
    texts: tuple[str, str]
    speech_seconds: float


def clips(language: str) -> list[Clip]:
    """Return the clips of a language with their texts; none where they are not installed."""
    if language == "uk":
        return _ukrainian()
    folder, texts = _ASTERISK[language]
    path = Path("/usr/share/doc") / texts
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        pairs = [line.partition(":")[::2] for line in lines if not line.startswith(";")]
    return [clip for name, text in pairs if (clip := _clip(Path(folder) / f"{name.strip()}.wav", text.strip()))]


def _ukrainian() -> list[Clip]:
    listed = UKRAINIAN_FOLDER / "texts.tsv"
    if not listed.exists():
        return []
    pairs = [line.split("\t") for line in listed.read_text(encoding="utf-8").splitlines() if "\t" in line]
    return [clip for name, text in pairs if (clip := _clip(UKRAINIAN_FOLDER / name, text))]


def _clip(path: Path, text: str) -> Clip | None:
    """Return a clip of speech; a text in brackets stands for a sound."""
    if not text or _BRACKETS.search(text) or not path.exists():
        return None
    samples = read_wave(path)
    if samples is None or not SHORTEST_SECONDS * SAMPLE_RATE <= len(samples) <= LONGEST_SECONDS * SAMPLE_RATE:
        return None
    return Clip(path.stem, samples, text)


def call_of(chosen: list[Clip], dice: random.Random) -> Call:
    """Let two voices say the clips in turns, with pauses as in a talk."""
    sides: tuple[list[Samples], list[Samples]] = ([], [])
    texts: tuple[list[str], list[str]] = ([], [])
    for number, clip in enumerate(chosen):
        mine, other = number % 2, 1 - number % 2
        pause = np.zeros(int(dice.uniform(*PAUSE_SECONDS) * SAMPLE_RATE), dtype=np.int16)
        sides[mine].extend((clip.samples, pause))
        sides[other].append(np.zeros(len(clip.samples) + len(pause), dtype=np.int16))
        texts[mine].append(clip.text)
    sound = np.stack([np.concatenate(side) for side in sides])
    seconds = sum(len(clip.samples) for clip in chosen) / SAMPLE_RATE
    return Call(sound, (" ".join(texts[0]), " ".join(texts[1])), seconds)


def write_wav(call: Call, path: Path) -> None:
    """Write the file that the switch would have written."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(call.sound.T.astype("<i2").tobytes())
