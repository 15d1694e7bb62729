"""Recordings made by the standard library's own WAV writer: an oracle that shares no code with the recorder."""

import io
import random
import struct
import wave


def sound(frames: int, seed: int = 1, channels: int = 2, peak: int = 20_000) -> bytes:
    """Return 16-bit noise, reproducible by its seed."""
    dice = random.Random(seed)
    block = [dice.randint(-peak, peak) for _ in range(min(frames * channels, 4096))]
    samples = (block * (frames * channels // max(1, len(block)) + 1))[: frames * channels]
    return struct.pack(f"<{len(samples)}h", *samples)


def wav(data: bytes, channels: int = 2, rate: int = 8000) -> bytes:
    """Return a finished WAV file."""
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(data)
    return target.getvalue()


def cut(whole: bytes) -> bytes:
    """Return a file as a killed FreeSWITCH leaves it: both sizes in the header are 0 (wire truth 25)."""
    return whole[:4] + b"\0\0\0\0" + whole[8:40] + b"\0\0\0\0" + whole[44:]


def frames_of(file: bytes) -> tuple[int, int, bytes]:
    """Read a file with the standard library: channels, rate, sound."""
    with wave.open(io.BytesIO(file)) as reader:
        return reader.getnchannels(), reader.getframerate(), reader.readframes(reader.getnframes())
