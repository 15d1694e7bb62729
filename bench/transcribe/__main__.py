"""Word errors and speed of transcription through the whole path: `make bench-transcribe` (three minutes).

Calls are put together of clips of known text, written as the switch writes them, encoded as they are stored (Opus, each
channel 16 kb/s), decoded, searched for voice, packed, recognised and told. BENCH_CLIPS (40) is how many clips of each
language, BENCH_CALLS (20,10) how many a call has: a minute of speech, and half a minute; BENCH_ENGINE
(embedded:base) is the recogniser; BENCH_DIFFERENCES=1 shows every wrong word. The peer is faster-whisper alone, with
its own voice filter and no packing, on the same channels from WAV, in the same process: it has AVX-512 too.

Seen with embedded:base and 40 clips a language, one thread, nothing else running (0.08 s and 4, 15, 18 % wanted):

                          a minute of speech a call          half a minute
                          errors   CPU a second of speech    errors   CPU a second of speech
human English 131 s        1.5 %   0.054 s                    1.8 %   0.062 s
  peer                     1.8 %   0.062 s                    1.5 %   0.062 s
human Russian 109 s       14.8 %   0.073 s                   14.0 %   0.076 s
synthetic Ukrainian 159 s 10.7 %   0.074 s                   10.7 %   0.075 s

A call of half a minute fills two or three windows, and the decoder is given up to six at once. Tried and left out,
Russian word errors in brackets: the encoder on the chunk alone instead of 30 s (15.3 to 16.2), chunks of 20 s (16.6),
no timestamps (17.5), Intel's MKL (three times slower here); both speakers in one window (12.7 to 16.6, in English 2.4
to 7.2 for 1.5), shorter pauses between the pieces of a window (Ukrainian 13.4 for 11.3, and no quicker: the model stops
earlier, and the rest is heard again).
"""

import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import jiwer
import numpy as np

from bench.report import Row, Target, show, write
from bench.transcribe.corpus import Call, call_of, clips, write_wav
from bench.transcribe.normal import normal
from local.voices.clips import SAMPLE_RATE
from services.recorder.adapters.engines.choice import choose
from services.recorder.adapters.engines.port import Engine, EngineRefused
from services.recorder.adapters.engines.whisper import Whisper
from services.recorder.adapters.recogniser_process import environment
from services.recorder.scribe import Order, Side, write_down

CACHE = Path(os.environ.get("RINGMASTER_TRANSCRIBE_MODELS", "build/models"))
CLIPS_A_CALL = tuple(map(int, os.environ.get("BENCH_CALLS", "20,10").split(",")))
LANGUAGES = {"en": ("human English", 4.0), "ru": ("human Russian", 15.0), "uk": ("synthetic Ukrainian", 18.0)}
MOST_RTF = 0.08
CHANNEL_BITS = 16_000


@dataclass
class Sum:
    """What one way of transcribing adds up to."""

    said: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0
    speech_seconds: float = 0.0

    def wer(self) -> float:
        """Return wrong words in a hundred."""
        return 100 * float(jiwer.wer(self.said, self.heard))

    def rtf(self) -> float:
        """Return CPU seconds for a second of speech."""
        return self.cpu_seconds / self.speech_seconds


def encode(source: Path, target: Path) -> None:
    """Encode as recordings are stored: Opus, each channel by itself (mapping family 255)."""
    with av.open(str(source)) as wav, av.open(str(target), "w", format="ogg") as ogg:
        stream: Any = ogg.add_stream("libopus", rate=48_000)
        stream.layout = "stereo"
        stream.bit_rate = 2 * CHANNEL_BITS
        stream.options = {"application": "voip", "mapping_family": "255"}
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=48_000)
        for frame in wav.decode(audio=0):
            for ready in resampler.resample(frame):
                ogg.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            ogg.mux(stream.encode(ready))
        ogg.mux(stream.encode(None))


def ours(call: Call, language: str, engine: Engine, path: Path, media_type: str, total: Sum) -> None:
    """Transcribe as the recorder does."""
    words: dict[int, list[str]] = {0: [], 1: []}

    def tell(step: dict[str, Any]) -> None:
        if step["told"] == "chunk":
            words[step["channel"]] += [word[0] for word in step["words"]]

    began = time.process_time()
    write_down(Order(path, media_type, (Side(0, language), Side(1, language)), 10**9), engine, tell)
    total.cpu_seconds += time.process_time() - began
    total.speech_seconds += call.speech_seconds
    for channel, heard in words.items():
        total.said.append(normal(call.texts[channel], language))
        total.heard.append(normal(" ".join(heard), language))


def peer(call: Call, language: str, engine: Whisper, total: Sum) -> None:
    """Transcribe each channel whole by faster-whisper's own means."""
    for channel, text in enumerate(call.texts):
        places = np.arange(2 * call.sound.shape[1]) / 2
        sound = np.interp(places, np.arange(call.sound.shape[1]), call.sound[channel]).astype(np.float32) / 32_768
        began = time.process_time()
        segments, _ = engine._model.transcribe(  # noqa: SLF001 - the peer is the library itself
            sound, language=language, temperature=0.0, condition_on_previous_text=False, vad_filter=True
        )
        heard = " ".join(segment.text for segment in segments)
        total.cpu_seconds += time.process_time() - began
        total.said.append(normal(text, language))
        total.heard.append(normal(heard, language))
    total.speech_seconds += call.speech_seconds


def calls_of(language: str, count: int, clips_a_call: int) -> list[Call]:
    """Return calls of so many of `count` clips, the same ones for each length."""
    dice = random.Random(7)
    found = clips(language)
    chosen = dice.sample(found, min(count, len(found)))
    return [call_of(chosen[at : at + clips_a_call], dice) for at in range(0, len(chosen), clips_a_call)]


def measure(language: str, engine: Engine, count: int, clips_a_call: int) -> dict[str, Sum]:
    sums = {"ringmaster, stored as Opus": Sum(), "faster-whisper alone": Sum()}
    with tempfile.TemporaryDirectory() as folder:
        for number, call in enumerate(calls_of(language, count, clips_a_call)):
            print(f"  {language}: call {number + 1}, {call.speech_seconds:.0f} s of speech …", flush=True)
            wav, opus = Path(folder) / "call.wav", Path(folder) / "call.ogg"
            write_wav(call, wav)
            encode(wav, opus)
            ours(call, language, engine, opus, "audio/ogg", sums["ringmaster, stored as Opus"])
            if language == "en" and isinstance(engine, Whisper):
                peer(call, language, engine, sums["faster-whisper alone"])
    return {who: total for who, total in sums.items() if total.said}


def tell(sums: dict[str, Sum], name: str, most: float, rows: list[Row], targets: list[Target]) -> None:
    """Add a language's rows and targets; without its clips the target is not measured."""
    if not sums:
        print(f"  {name} is not on this machine: left out")
        targets.append(Target(f"word errors, {name}", f"<= {most:g} %", 0.0, None))
        return
    for who, total in sums.items():
        rows.append(Row(who, f"word errors, {name} ({total.speech_seconds:.0f} s)", total.wer(), "%"))
        rows.append(Row(who, f"CPU a second of speech, {name}", total.rtf(), "s"))
        if os.environ.get("BENCH_DIFFERENCES"):
            print(jiwer.visualize_alignment(jiwer.process_words(total.said, total.heard), show_measures=False))
    mine = next(iter(sums.values()))
    targets.append(Target(f"word errors, {name}", f"<= {most:g} %", mine.wer(), mine.wer() <= most))
    targets.append(Target(f"real-time factor, {name}", f"<= {MOST_RTF}", mine.rtf(), mine.rtf() <= MOST_RTF))


def main() -> int:
    if os.environ.items() != environment().items():  # a scribe is started with them too
        os.execve(sys.executable, [sys.executable, "-m", "bench.transcribe"], environment())  # noqa: S606 - ourselves
    try:
        engine = choose(os.environ.get("BENCH_ENGINE", "embedded:base"), CACHE, threads=1)
    except EngineRefused as error:
        print(error)
        return 1
    count = int(os.environ.get("BENCH_CLIPS", "40"))
    rows: list[Row] = []
    targets: list[Target] = []
    for clips_a_call in CLIPS_A_CALL:
        for language, (name, most) in LANGUAGES.items():
            tell(
                measure(language, engine, count, clips_a_call),
                f"{name}, {clips_a_call} clips a call",
                most,
                rows,
                targets,
            )
    print()
    show(rows, targets)
    print(f"\n{write('transcribe', rows, targets)}  ({engine.name}, one thread, {SAMPLE_RATE} Hz)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
