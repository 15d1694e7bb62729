"""How long a sound lasts: files, streams, tones and phrases, as the switch names them."""

from __future__ import annotations

import wave
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

# A prompt that is not on this machine lasts this long when its folder is declared.
_WORDS_PER_SECOND = 2.5


@dataclass(frozen=True, slots=True)
class Sound:
    """Something to play. `seconds` is None for what never ends."""

    path: str
    seconds: float | None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class SoundLibrary:
    """Knows the sounds of this machine, and folders of prompts that exist only on a real switch.

    `declared` maps a path prefix to the seconds that any file below it lasts; a name that starts with `nosuch` is
    missing everywhere, so that missing prompts can be tested.
    """

    base: str = "/usr/share/freeswitch/sounds"
    declared: dict[str, float] = field(default_factory=dict)

    def find(self, path: str) -> Sound | None:
        """Return the sound, or None when the file is not there."""
        scheme, separator, rest = path.partition("://")
        if separator:
            return self._stream(path, scheme, rest)
        if path.startswith("say:"):
            return Sound(path, max(0.5, len(path.split()) / _WORDS_PER_SECOND))
        return self._file(path)

    def _stream(self, path: str, scheme: str, rest: str) -> Sound | None:
        if scheme == "local_stream":
            return Sound(path, None, "local_stream")
        if scheme == "silence_stream":
            milliseconds = rest.split(",", maxsplit=1)[0]
            return Sound(path, None if milliseconds == "-1" else int(milliseconds or 0) / 1000)
        if scheme == "tone_stream":
            return Sound(path, None if "loops=-1" in rest else 1.0)
        if scheme == "file_string":
            parts = [self.find(part) for part in rest.split("!")]
            known = [part.seconds for part in parts if part is not None]
            return Sound(path, sum(seconds or 0.0 for seconds in known)) if known else None
        if scheme in {"say", "phrase", "tts"}:
            return Sound(path, max(0.5, len(rest.split()) / _WORDS_PER_SECOND))
        return None

    def _file(self, path: str) -> Sound | None:
        full = path if path.startswith("/") else f"{self.base}/{path}"
        for candidate in dict.fromkeys((path, full)):
            seconds = wave_seconds(candidate)
            if seconds is not None:
                return Sound(path, seconds)
        if Path(path).name.startswith("nosuch"):
            return None
        for prefix, declared in self.declared.items():
            if path.startswith(prefix) or full.startswith(prefix):
                return Sound(path, declared)
        return None


@lru_cache(maxsize=1_024)
def wave_seconds(path: str) -> float | None:
    """Return the length of a WAV file, or None when there is none to read."""
    try:
        with wave.open(path, "rb") as file:
            return file.getnframes() / file.getframerate()
    except (OSError, EOFError, wave.Error):
        return None
