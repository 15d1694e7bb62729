"""Recordings kept as FLAC or Opus: every sample, or two voices that stay apart; as written where that can't be."""

import errno
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import gevent
import numpy as np
import pytest
from gevent.monkey import get_original
from numpy.typing import NDArray

from services.recorder.adapters import payload
from services.recorder.adapters.encoding import encode
from services.recorder.domain.form import Form
from services.recorder.domain.location import Location, location_of
from services.recorder.domain.policy import Policy
from services.recorder.storing import Outcome
from tests.unit.recorder.conftest import PLACE, Node
from tests.unit.recorder.sounds import cut, frames_of, sound, wav

RATE = 8_000


def talk(seconds: int = 6) -> NDArray[np.int16]:
    """Return two voices that take turns each second: noise like speech, never both at once."""
    time = np.arange(seconds * RATE) / RATE
    dice = np.random.default_rng(7)
    voices = []
    for pitch, turn in ((120, 0), (210, 1)):
        harmonics = sum(np.sin(2 * np.pi * pitch * k * time + dice.random() * 6) / k for k in range(1, 12))
        voices.append(harmonics * 4_000 * (np.floor(time) % 2 == turn))
    return np.stack(voices, axis=1).astype(np.int16)


def decoded(body: bytes) -> NDArray[np.int16]:
    """Decode an object as any player would."""
    blocks = []
    with av.open(io.BytesIO(body), "r") as container:
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=RATE)
        for frame in container.decode(audio=0):
            blocks += [block.to_ndarray() for block in resampler.resample(frame)]
        blocks += [block.to_ndarray() for block in resampler.resample(None)]
    return np.concatenate(blocks, axis=1).reshape(-1, 2).astype(np.int16)


def isolation_db(heard: NDArray[np.int16]) -> float:
    """Return how much louder each voice is in its own channel, the worse of the two, away from the turns' edges."""
    time = np.arange(len(heard)) / RATE
    steady = (time % 1 > 0.3) & (time % 1 < 0.9)
    worst = np.inf
    for turn in (0, 1):
        part = heard[steady & (np.floor(time) % 2 == turn)].astype(float)
        own, other = (part[:, turn] ** 2).mean(), (part[:, 1 - turn] ** 2).mean()
        worst = min(worst, 10 * np.log10(own / max(other, 1e-9)))
    return float(worst)


def kept(node: Node, form: Form, content: bytes) -> tuple[str, bytes]:
    """Store one recording and return its key and object."""
    node.policies.policy = Policy(form=form)
    node.put(content)
    assert node.store_it() is Outcome.STORED
    ((key, body),) = node.store.objects.items()
    return key, body


def test_flac_keeps_every_sample(node: Node) -> None:
    whole = wav(sound(100_001))
    key, body = kept(node, Form.FLAC, cut(whole))
    assert key.endswith(".flac")
    assert body[:4] == b"fLaC"
    assert decoded(body).tobytes() == frames_of(whole)[2]
    document = node.documents.rows["rec-1"]
    assert document.media_type == "audio/flac"
    assert document.source_bytes == len(whole)
    assert document.source_sha256 != document.sha256


def test_opus_keeps_the_two_voices_apart_in_a_twentieth_of_the_room(node: Node) -> None:
    samples = talk()
    content = wav(samples.tobytes())
    key, body = kept(node, Form.OPUS, content)
    heard = decoded(body)
    assert key.endswith(".ogg")
    assert node.documents.rows["rec-1"].media_type == "audio/ogg"
    assert len(heard) == len(samples)
    assert isolation_db(samples) > 60
    assert isolation_db(heard) > 20
    assert len(body) < len(content) / 8


@pytest.mark.parametrize("form", [Form.FLAC, Form.OPUS])
def test_two_tries_make_the_same_object(node: Node, form: Form) -> None:
    content = wav(sound(9_000))
    first = kept(node, form, content)
    node.store.objects.clear()
    node.documents.rows.clear()
    assert kept(node, form, content) == first
    assert not list((node.root / ".recorder" / "encoded").iterdir())


def test_sound_that_a_form_can_not_take_is_kept_as_it_was_written(node: Node) -> None:
    content = wav(sound(500, channels=2), rate=11_025)
    key, body = kept(node, Form.OPUS, content)
    assert key.endswith(".wav")
    assert body == content


@pytest.mark.parametrize(
    ("form", "frames"),
    [(Form.FLAC, 1), (Form.FLAC, 24_077), (Form.OPUS, 159), (Form.OPUS, 160), (Form.OPUS, 161), (Form.OPUS, 24_077)],
)
def test_every_length_is_kept_to_the_sample(node: Node, form: Form, frames: int) -> None:
    _, body = kept(node, form, wav(sound(frames)))
    assert len(decoded(body)) == frames


def test_a_full_disk_costs_the_form_and_not_the_recording(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(payload, "encode", full)
    monkeypatch.setattr("services.recorder.adapters.own_files.write_whole", full)
    content = wav(sound(5_000))
    key, body = kept(node, Form.FLAC, content)
    assert key.endswith(".wav")
    assert body == content
    assert not list(node.root.rglob("*.wav"))


def test_a_disk_that_became_full_between_two_tries_leaves_no_object_of_the_first(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    node.policies.policy = Policy(form=Form.FLAC)
    content = wav(sound(5_000))
    path = node.put(content)
    with pytest.raises(KeyboardInterrupt):
        node.storing(lambda step, _seconds: _stop_after(step.value, "upload")).store(_place(path))
    assert [key.rsplit(".", 1)[1] for key in node.store.objects] == ["flac"]
    for file in (node.root / ".recorder" / "encoded").iterdir():
        file.unlink()
    monkeypatch.setattr(payload, "encode", full)
    assert node.store_it() is Outcome.STORED
    assert list(node.store.objects.values()) == [content]


def _stop_after(step: str, last: str) -> None:
    if step == last:
        raise KeyboardInterrupt


def _place(path: Path) -> Location:

    assert path.name == PLACE.file_name
    return PLACE


def test_the_first_trys_form_stays_when_the_policy_changes(node: Node) -> None:
    node.policies.policy = Policy(form=Form.FLAC)
    node.put(wav(sound(5_000)))
    with pytest.raises(KeyboardInterrupt):
        node.storing(lambda step, _seconds: _stop_after(step.value, "upload")).store(_place(node.root / "rec-1.wav"))
    node.policies.policy = replace(node.policies.policy, form=Form.OPUS, name_template="other/{recording_id}")
    assert node.store_it() is Outcome.STORED
    assert [key.rsplit(".", 1)[1] for key in node.store.objects] == ["flac"]
    assert len(node.store.puts) == 1


def test_encoders_leave_threads_to_everything_else(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    # The system's own lock: threading's Event is built of gevent's here, whoever is asked for it.
    held, encoding = get_original("_thread", "allocate_lock")(), list[object]()
    held.acquire()

    def slow(*given: Any) -> None:
        encoding.append(given)
        assert held.acquire(timeout=60)
        held.release()
        encode(*given)

    monkeypatch.setattr(payload, "encode", slow)
    node.policies.policy = Policy(form=Form.FLAC)
    places = [location_of(f"acme/call-1/rec-{number}.wav") for number in range(16)]
    for place in places:
        node.put(wav(sound(100)), place)
    storing = node.storing()
    tries = [gevent.spawn(storing.store, place) for place in places]
    with gevent.Timeout(60):
        while len(encoding) < payload.ENCODED_AT_ONCE:
            gevent.idle()
    quick = location_of("acme/call-2/quick.wav")
    node.policies.policy = Policy()
    node.put(wav(sound(100)), quick)
    assert storing.store(quick) is Outcome.STORED
    assert len(encoding) == payload.ENCODED_AT_ONCE
    held.release()
    gevent.joinall(tries, timeout=60)
    assert [each.value for each in tries] == [Outcome.STORED] * 16
