"""In which form a recording is kept, and which forms its sound can take."""

from dataclasses import dataclass
from enum import Enum

from services.recorder.domain.wav import Format

_OPUS_RATES = frozenset({8_000, 12_000, 16_000, 24_000, 48_000})
_OPUS_CHANNELS = 2
_FLAC_RATE = 655_350


class Form(Enum):
    """A form; its value is what documents and plans say."""

    WAV = "wav"
    FLAC = "flac"
    OPUS = "opus"

    @property
    def suffix(self) -> str:
        """How the object's name ends."""
        return _DETAILS[self].suffix

    @property
    def media_type(self) -> str:
        """What readers are told that it is."""
        return _DETAILS[self].media_type


@dataclass(frozen=True, slots=True)
class _Detail:
    suffix: str
    media_type: str


_DETAILS = {
    Form.WAV: _Detail(".wav", "audio/wav"),
    Form.FLAC: _Detail(".flac", "audio/flac"),
    Form.OPUS: _Detail(".ogg", "audio/ogg"),
}


def possible_form(wanted: Form, sound: Format) -> Form:
    """Return the wanted form, or WAV where the sound can't take it: what FreeSWITCH writes always can."""
    if wanted is Form.FLAC and sound.is_pcm16 and sound.sample_rate <= _FLAC_RATE:
        return wanted
    if wanted is Form.OPUS and sound.is_pcm16 and _fits_opus(sound):
        return wanted
    return Form.WAV


def _fits_opus(sound: Format) -> bool:
    return sound.sample_rate in _OPUS_RATES and sound.channels <= _OPUS_CHANNELS
