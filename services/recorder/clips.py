"""Recognises short sounds of menus while their callers wait: from ringmaster.clips back to the tenant's inputs."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from gevent.event import Event as Flag
from google.protobuf.message import DecodeError

from services.recorder import metrics
from services.recorder.adapters.announcer import Producing
from services.recorder.adapters.scribes import NoScribe, ScribeFailed
from services.recorder.domain.analytics.phrases import closest
from services.recorder.scribe import Order, Side
from services.shared.bus.errors import BusError, Rebalancing
from services.shared.bus.ports import Sender
from services.shared.bus.record import Record
from services.shared.bus.topics import INPUTS
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.contracts.ringmaster.v1.recognition_pb2 import ClipRecognised, RecogniseClip, RecognitionOutcome

POLL_SECONDS: Final = 0.5
RECONNECT_SECONDS: Final = 3.0
ACKNOWLEDGE_SECONDS: Final = 10.0
MOST_BYTES: Final = 900_000
LONGEST_MS: Final = 30_000

log = structlog.get_logger()


class Reading(Protocol):
    """What is read of the bus."""

    def poll(self, timeout_seconds: float) -> list[Record]:
        """Return the next records."""

    def commit(self, positions: dict[tuple[str, int], int]) -> None:
        """Say that everything before these offsets has had its effect."""

    def close(self) -> None:
        """Leave."""


class Scribes(Protocol):
    """What writes sounds down."""

    def start(self) -> None:
        """Be ready: a caller who waits is not to wait for a model too. Raises NoScribe, ScribeFailed."""

    def write_down(self, order: Order) -> Iterator[dict[str, Any]]:
        """Yield steps. Raises ScribeFailed, NoScribe."""


class Clips:
    """Answers each clip once, in the order of their arrival; one that nobody waits for any more is not even heard."""

    def __init__(
        self, connect: Callable[[], Reading], producer: Callable[[], Producing], scribe: Scribes, clock: Clock
    ) -> None:
        self._connect = connect
        self._producer = producer
        self._scribe = scribe
        self._clock = clock

    def run(self, stopping: Flag) -> None:
        """Serve until the service stops."""
        try:
            self._scribe.start()
        except (ScribeFailed, NoScribe) as error:
            log.error("clips_have_no_recogniser", reason=str(error), advice="menus by speech will ask again")  # noqa: TRY400 - the reason is the whole story
        while not stopping.is_set():
            try:
                self._read(stopping)
            except BusError as error:
                log.warning("clips_interrupted", reason=str(error))
                stopping.wait(RECONNECT_SECONDS)

    def _read(self, stopping: Flag) -> None:
        with closing(self._connect()) as reader, closing(self._producer()) as producer:
            while not stopping.is_set():
                for record in reader.poll(POLL_SECONDS):
                    self._serve(record, producer)
                    try:
                        # Each by itself: a clip takes a second, and a kill must not let the next one's caller wait.
                        reader.commit({(record.topic, record.partition): record.offset + 1})
                    except Rebalancing:
                        break

    def _serve(self, record: Record, producer: Sender) -> None:
        started = time.monotonic()
        try:
            clip = RecogniseClip.FromString(record.value)
        except DecodeError:
            metrics.CLIPS.labels("unreadable").inc()
            log.warning("clip_unreadable", partition=record.partition, offset=record.offset)
            return
        if clip.tenant_id != record.key:
            metrics.CLIPS.labels("unreadable").inc()
            log.warning("clip_of_another_tenant", partition=record.partition, offset=record.offset)
            return
        answer = self.answer(clip)
        given = Input(tenant_id=clip.tenant_id, clip_recognised=answer)
        producer.send(INPUTS, clip.tenant_id, given.SerializeToString(), timestamp_ms=self._clock.now_ms()).wait(
            ACKNOWLEDGE_SECONDS
        )
        outcome = RecognitionOutcome.Name(answer.outcome).removeprefix("RECOGNITION_OUTCOME_").lower()
        metrics.CLIPS.labels(outcome).inc()
        metrics.CLIP_SECONDS.observe(time.monotonic() - started)

    def answer(self, clip: RecogniseClip) -> ClipRecognised:
        """Recognise one clip."""
        answer = ClipRecognised(clip_id=clip.clip_id, call_id=clip.call_id, leg_id=clip.leg_id)
        if clip.deadline_ms and self._clock.now_ms() >= clip.deadline_ms:
            answer.outcome = RecognitionOutcome.RECOGNITION_OUTCOME_LATE
            return answer
        try:
            words, answer.language = self._heard(clip)
        except (ScribeFailed, NoScribe) as error:
            log.warning("clip_failed", call_id=clip.call_id, reason=str(error))
            answer.outcome = RecognitionOutcome.RECOGNITION_OUTCOME_FAILED
            return answer
        if not words:
            answer.outcome = RecognitionOutcome.RECOGNITION_OUTCOME_SILENT
            return answer
        answer.outcome = RecognitionOutcome.RECOGNITION_OUTCOME_HEARD
        answer.text = " ".join(text for text, _, _, _ in words)
        answer.confidence = sum(confidence for _, _, _, confidence in words) / len(words)
        best = closest(answer.text, answer.language, clip.phrases)
        if best is not None:
            answer.phrase, answer.phrase_likeness = best
        return answer

    def _heard(self, clip: RecogniseClip) -> tuple[list[Any], str]:
        if not clip.sound or len(clip.sound) > MOST_BYTES:
            raise ScribeFailed("the clip is empty or too large", is_final=True)
        with tempfile.TemporaryDirectory(prefix="clip-") as folder:
            path = Path(folder) / "clip.wav"
            path.write_bytes(clip.sound)
            side = Side(0, clip.language, tuple(clip.languages))
            order = Order(path, "audio/wav", (side,), LONGEST_MS, tuple(clip.phrases))
            words: list[Any] = []
            language = ""
            for step in self._scribe.write_down(order):
                if step["told"] == "plan":
                    language = step["sides"][0]["language"] if step["sides"] else ""
                else:
                    words += step["words"]
        return words, language
