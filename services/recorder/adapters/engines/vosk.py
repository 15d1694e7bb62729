"""Vosk's websocket server (alphacep/vosk-server, README "Websocket"): one server for each language."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.recorder.adapters.engines.port import (
    SAMPLE_RATE,
    EngineAway,
    EngineRefused,
    Sound,
    Spoken,
    in_order,
    length_ms,
    only,
    primary,
)
from services.recorder.domain.transcript.words import Word

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 60.0
MOST_ANSWER_BYTES: Final = 1024 * 1024
_BLOCK_SAMPLES: Final = SAMPLE_RATE // 4


class Vosk:
    """Sends a sound in quarter seconds and gathers the results; a connection for each sound, as the server wants."""

    def __init__(self, servers: Mapping[str, str]) -> None:
        """Take ws:// or wss:// addresses by language."""
        if not servers:
            raise EngineRefused("no Vosk server is named: vosk:uk=ws://host:2700,en=ws://host:2701")
        self._servers = {primary(language): address for language, address in servers.items()}

    @property
    def name(self) -> str:
        """Engine and model; which model it is only the server knows."""
        return "vosk/server"

    @property
    def at_once(self) -> int:
        """One: each sound is a question of its own."""
        return 1

    def detect(self, sound: Sound, among: Sequence[str]) -> Spoken | None:
        """Return the first of these that a server knows, with no certainty: a Vosk model knows one language."""
        del sound
        return only(among, self._servers)

    def recognise(self, sounds: Sequence[Sound], language: str, expected: Sequence[str] = ()) -> list[list[Word]]:
        """Return the words of the language's server."""
        del expected  # a phrase list turns Vosk into a recogniser of nothing else
        address = self._address(language)
        return [self._heard(sound, address) for sound in sounds]

    def _heard(self, sound: Sound, address: str) -> list[Word]:
        try:
            connection = _connect(address)
            try:
                results = _exchange(connection, sound)
            finally:
                connection.close()
        except (OSError, ValueError, _websocket_errors()) as error:
            raise EngineAway(f"the Vosk server at {address} fails: {type(error).__name__}") from error
        words = [_word(entry) for result in results for entry in result.get("result", ())]
        return in_order(words, length_ms(sound))

    def close(self) -> None:
        """Nothing stays open between sounds."""

    def _address(self, language: str) -> str:
        if not language and len(self._servers) == 1:
            return next(iter(self._servers.values()))
        try:
            return self._servers[primary(language)]
        except KeyError as error:
            raise EngineRefused(f"no Vosk server is named for the language {language or '(none)'}") from error


def _exchange(connection: Any, sound: Sound) -> list[dict[str, Any]]:
    results = []
    connection.send(json.dumps({"config": {"sample_rate": SAMPLE_RATE, "words": True}}))
    for begin in range(0, len(sound), _BLOCK_SAMPLES):
        connection.send_binary(sound[begin : begin + _BLOCK_SAMPLES].astype("<i2").tobytes())
        results.append(_answer(connection))
    connection.send(json.dumps({"eof": 1}))
    results.append(_answer(connection))
    # Partial guesses have no `result`; each final one tells the words since the last.
    return results


def _answer(connection: Any) -> dict[str, Any]:
    text = connection.recv()
    if not text or len(text) > MOST_ANSWER_BYTES:
        raise ValueError("no answer, or far too long a one")
    answer = json.loads(text)
    if not isinstance(answer, dict):
        raise ValueError("the answer is no object")  # noqa: TRY004 - a wrong value from outside, not a wrong call
    return answer


def _word(entry: Any) -> Word:
    try:
        start, end = round(float(entry["start"]) * 1000), round(float(entry["end"]) * 1000)
        return Word(str(entry["word"]), start, end, float(entry.get("conf", 0.0)))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise EngineAway("the Vosk server answers with words that can't be read") from error


def _connect(address: str) -> Any:
    import websocket  # noqa: PLC0415 - only this engine needs it

    connection = websocket.create_connection(address, timeout=CONNECT_SECONDS)
    connection.settimeout(ANSWER_SECONDS)
    return connection


def _websocket_errors() -> type[Exception]:
    import websocket  # noqa: PLC0415 - only this engine needs it

    errors: type[Exception] = websocket.WebSocketException
    return errors
