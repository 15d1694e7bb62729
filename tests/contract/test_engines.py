"""One suite for every recogniser: embedded models where they are installed, network engines by their protocol."""

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.recorder.adapters.engines import choice
from services.recorder.adapters.engines.embedded import is_present, model_folder
from services.recorder.adapters.engines.port import SAMPLE_RATE, Engine, EngineAway, EngineRefused, Sound, length_ms
from tests.contract.speech_servers import Script, openai_server, vosk_server

CLIP = "vm-intro"
SAID = "please leave your message after the tone when done hang up or press the pound key"
FOLDERS = (Path("/usr/share/asterisk/sounds/en_US_f_Allison"), Path("/usr/share/asterisk/sounds/en"))
NOT_INSTALLED = "the package asterisk-core-sounds-en-wav is not installed"
GARBAGE = (
    b"",
    b"[]",
    b'"text"',
    b"{",
    b'{"words": [{"word": 1}]}',
    b'{"result": [{"word": "a"}]}',
    b'{"words": [{"word": "a", "start": "NaN", "end": 1}]}',
    b'{"result": [{"word": "a", "start": 1e999, "end": 1}]}',
    b'{"words": 5}',
    b'{"result": ["a"]}',
)


@pytest.fixture(scope="module")
def speech() -> Sound:
    """Return a human voice at 16 kHz, as any caller's."""
    path = next((folder / f"{CLIP}.wav" for folder in FOLDERS if (folder / f"{CLIP}.wav").exists()), None)
    if path is None:
        pytest.skip(NOT_INSTALLED)
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    assert file.getframerate() * 2 == SAMPLE_RATE
    places = np.arange(2 * len(samples)) / 2
    doubled: Sound = np.interp(places, np.arange(len(samples)), samples).astype(np.int16)
    return doubled


@pytest.fixture(scope="module", params=["embedded:tiny.en", "embedded:base", "vosk", "openai"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    kind, _, model = request.param.partition(":")
    script = Script(SAID.split())
    cache = tmp_path_factory.getbasetemp().parent / "models"
    if kind == "embedded":
        if not is_present(model):
            pytest.skip(f"the packages of the model {model} are not installed: make models")
        yield choice.choose(request.param, cache, threads=1)
    elif kind == "vosk":
        with vosk_server(script) as address:
            yield choice.choose(f"vosk:en={address}", cache, threads=1)
    else:
        with openai_server(script) as base:
            yield choice.choose(f"openai:{base}#whisper-1", cache, threads=1)


def plain(text: str) -> list[str]:
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter == " ").split()


def test_an_engine_hears_what_is_said_with_times_and_confidence(engine: Engine, speech: Sound) -> None:
    (words,) = engine.recognise([speech], "en")
    assert plain(" ".join(word.text for word in words)) == SAID.split()
    assert [word.start_ms for word in words] == sorted(word.start_ms for word in words)
    assert all(0 <= word.start_ms <= word.end_ms <= length_ms(speech) for word in words)
    assert all(0 < word.confidence <= 1 for word in words)
    assert words[-1].end_ms > length_ms(speech) // 2
    assert all(not word.text.startswith(" ") and word.personal is None for word in words)


def test_an_engine_hears_nothing_in_silence(engine: Engine) -> None:
    assert engine.recognise([np.zeros(3 * SAMPLE_RATE, dtype=np.int16)], "en") == [[]]


def test_sounds_that_are_heard_together_keep_their_own_words(engine: Engine, speech: Sound) -> None:
    assert engine.at_once >= 1
    silence, click = np.zeros(3 * SAMPLE_RATE, dtype=np.int16), speech[: SAMPLE_RATE // 20]
    half = speech[: len(speech) // 2]
    sounds = [silence, speech, click, speech, half, speech, speech]
    alone = [engine.recognise([sound], "en")[0] for sound in (speech, half)]
    together = engine.recognise(sounds, "en")
    assert [bool(words) for words in together] == [False, True, False, True, True, True, True]
    for words, sound in zip(together, sounds, strict=True):
        wanted = alone[0] if sound is speech else alone[1] if sound is half else []
        assert [word.text for word in words] == [word.text for word in wanted]
        for word, same in zip(words, wanted, strict=True):
            assert abs(word.start_ms - same.start_ms) <= 100
            assert abs(word.end_ms - same.end_ms) <= 100
    assert engine.recognise([], "en") == []


def test_a_click_is_no_word(engine: Engine, speech: Sound) -> None:
    assert engine.recognise([speech[: SAMPLE_RATE // 20]], "en") == [[]]


def test_a_language_that_an_engine_does_not_know_is_refused(engine: Engine, speech: Sound) -> None:
    with pytest.raises(EngineRefused):
        engine.recognise([speech], "xx")


def test_a_region_is_no_other_language(engine: Engine, speech: Sound) -> None:
    assert engine.recognise([speech], "en-GB")[0]


def test_an_engine_tells_one_of_the_languages_or_says_that_it_cannot(engine: Engine, speech: Sound) -> None:
    spoken = engine.detect(speech, ["uk", "en"])
    assert spoken is None or (spoken.language == "en" and (spoken.certainty == 0 or 0.5 < spoken.certainty <= 1))


def test_phrases_that_may_come_do_no_harm(engine: Engine, speech: Sound) -> None:
    assert len(engine.recognise([speech], "en", ["pound key", "message"])[0]) >= len(SAID.split()) - 2


def test_an_engine_has_a_name_for_the_transcript(engine: Engine) -> None:
    assert "/" in engine.name


@pytest.mark.parametrize("kind", ["vosk", "openai"])
def test_a_server_that_is_away_is_asked_again(kind: str, speech: Sound, tmp_path: Path) -> None:
    named = "vosk:en=ws://127.0.0.1:9" if kind == "vosk" else "openai:http://127.0.0.1:9/v1#m"
    with pytest.raises(EngineAway):
        choice.choose(named, tmp_path, threads=1).recognise([speech], "en")


@pytest.mark.parametrize("garbage", GARBAGE)
def test_an_answer_that_cannot_be_read_is_a_failure_or_no_words_and_never_a_crash(
    garbage: bytes, speech: Sound, tmp_path: Path
) -> None:
    script = Script(answer=garbage.decode())
    with vosk_server(script) as vosk, openai_server(script) as openai:
        for named in (f"vosk:en={vosk}", f"openai:{openai}#m"):
            try:
                (words,) = choice.choose(named, tmp_path, threads=1).recognise([speech], "en")
            except EngineAway:
                continue
            assert words == []


@pytest.mark.parametrize(("status", "error"), [(500, EngineAway), (429, EngineAway), (401, EngineRefused)])
def test_an_endpoint_that_refuses_is_told_from_one_that_fails(
    status: int, error: type[Exception], speech: Sound, tmp_path: Path
) -> None:
    with openai_server(Script(status=status)) as base, pytest.raises(error):
        choice.choose(f"openai:{base}#m", tmp_path, threads=1).recognise([speech], "en")


def test_an_endpoint_without_word_times_shares_a_segment_out(speech: Sound, tmp_path: Path) -> None:
    answer = '{"text": "so be it", "segments": [{"text": " so be it", "start": 1, "end": 4, "avg_logprob": -0.1}]}'
    with openai_server(Script(answer=answer)) as base:
        (words,) = choice.choose(f"openai:{base}#m", tmp_path, threads=1).recognise([speech], "en")
    assert [(word.text, word.start_ms, word.end_ms) for word in words] == [
        ("so", 1000, 2000),
        ("be", 2000, 3000),
        ("it", 3000, 4000),
    ]


def test_any_folder_of_a_faster_whisper_model_is_an_engine(
    speech: Sound, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if not is_present("tiny.en"):
        pytest.skip("the packages of the model tiny.en are not installed: make models")
    folder = model_folder("tiny.en", tmp_path_factory.getbasetemp().parent / "models")
    engine = choice.choose(f"folder:{folder}", Path("/nowhere"), threads=1)
    (words,) = engine.recognise([speech], "en")
    assert engine.name == f"faster-whisper/{folder.name}"
    assert len(words) >= len(SAID.split()) - 2


@pytest.mark.parametrize("named", ["", "whisper", "embedded:huge", "folder:/nowhere", "vosk:", "openai:x"])
def test_an_engine_that_cannot_be_had_is_refused_in_one_sentence(named: str, tmp_path: Path) -> None:
    with pytest.raises(EngineRefused):
        choice.choose(named, tmp_path, threads=1)
