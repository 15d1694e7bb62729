"""What is taken for a recogniser's going round in a circle, in every script alike; and what it leaves unheard."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from services.recorder.adapters.engines.port import SAMPLE_RATE, Sound
from services.recorder.adapters.engines.whisper import MOST_COMPRESSION, WINDOW_SECONDS, Whisper, compression

HONEST = {
    "three prompts": (
        " Этот оператор уже зарегистрирован. Введите номер оператора и нажмите решетку. Регистрация оператора удалена."
        " Наберите новый номер и нажмите решетку. Регистрация оператора. Введите номер оператора и нажмите решетку."
    ),
    "a sentence said twice": (
        " Пользователь присоединится к конференции. Конференция начнется, когда подключится наш славный руководитель."
        " Конференция начнется, когда подключится наш славный руководитель. Конференция сейчас начнется."
    ),
    "nothing": "",
}


@pytest.mark.parametrize("what", HONEST)
def test_what_people_say_is_kept(what: str) -> None:
    assert compression(HONEST[what]) <= MOST_COMPRESSION


@pytest.mark.parametrize(
    "said", [" Дякую за перегляд!", " Thanks for watching.", " так так", " ご視聴ありがとうございました"]
)
def test_what_goes_round_in_a_circle_is_not_kept(said: str) -> None:
    assert compression(said * 12) > MOST_COMPRESSION


class Stopping:
    """A pipeline that stops before half of what it is given, after one word a second."""

    def __init__(self) -> None:
        self.given: list[list[float]] = []

    def transcribe(self, sound: Any, clip_timestamps: list[dict[str, float]], **_how: Any) -> tuple[list[Any], None]:
        places = [(clip["start"], clip["end"] - clip["start"]) for clip in clip_timestamps]
        lengths = [length for _, length in places]
        assert len(sound) == len(lengths) * WINDOW_SECONDS * SAMPLE_RATE
        self.given.append(lengths)
        return [self._segment(start, length) for start, length in places], None

    def _segment(self, start: float, length: float) -> Any:
        ends = range(1, int(length / 2) + 1)
        words = [SimpleNamespace(word=f" {e}", start=start + e - 1, end=start + e, probability=0.9) for e in ends]
        return SimpleNamespace(text="", words=words, seek=int(start * 100), no_speech_prob=0.1, avg_logprob=-0.2)


def test_what_a_model_stops_before_is_heard_by_itself() -> None:
    engine, stopping = Whisper.__new__(Whisper), Stopping()
    engine._model = SimpleNamespace(supported_languages=["en"])
    engine._together, engine._beam = stopping, 5
    sounds: list[Sound] = [np.zeros(seconds * SAMPLE_RATE, dtype=np.int16) for seconds in (12, 3, 3, 3, 3, 0)]
    found = engine.recognise(sounds, "en")
    assert [[word.end_ms for word in words] for words in found] == [
        [second * 1000 for second in range(1, 12)],
        *[[1000, 2000]] * 4,
        [],
    ]
    # Whatever is left of several sounds is heard together.
    assert stopping.given == [[12, 3, 3, 3, 3], [6, 2, 2, 2, 2], [3], [2]]
