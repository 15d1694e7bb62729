"""The bytes that a bench replays: whole captured runs of a real FreeSWITCH, kept compressed with the tests."""

import lzma
from functools import cache
from pathlib import Path

from services.shared.esl.decoder import Decoder, Event

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures" / "esl"
RUNS = (
    "02-inbound-call",
    "04a-agent-leg-failures",
    "04b-caller-abandons",
    "04c-hangup-after-answer",
    "05a-attended-transfer-esl",
    "05c-sip-refer",
)

CALL_LIFE = frozenset(
    {
        "CHANNEL_CREATE",
        "CHANNEL_PROGRESS",
        "CHANNEL_PROGRESS_MEDIA",
        "CHANNEL_ANSWER",
        "CHANNEL_BRIDGE",
        "CHANNEL_UNBRIDGE",
        "CHANNEL_HANGUP",
        "CHANNEL_HANGUP_COMPLETE",
        "CHANNEL_EXECUTE",
        "CHANNEL_EXECUTE_COMPLETE",
        "CHANNEL_HOLD",
        "CHANNEL_UNHOLD",
        "CHANNEL_PARK",
        "CHANNEL_UNPARK",
        "CHANNEL_DESTROY",
        "DTMF",
        "RECORD_START",
        "RECORD_STOP",
        "BACKGROUND_JOB",
        "HEARTBEAT",
        "CUSTOM",
    }
)
"""What a listener subscribes to. The other half of the captures is small internal events that nobody asks for."""


@cache
def frames(form: str) -> tuple[bytes, ...]:
    """Every event of the life of a call in the runs, each with its frame header, in the order of the captures."""
    return tuple(
        b"Content-Length: %d\nContent-Type: text/event-%s\n\n%s" % (len(body), form.encode(), body)
        for run in RUNS
        for body in _bodies(FIXTURES / f"{run}.{form}.esl.xz", form)
    )


def _bodies(path: Path, form: str) -> list[bytes]:
    events = Decoder().feed(lzma.decompress(path.read_bytes()))
    skip = 1 if form == "plain" else 0  # a plain event keeps the line feed before its first header
    return [event.raw[skip:] for event in events if isinstance(event, Event) and event.name in CALL_LIFE]
