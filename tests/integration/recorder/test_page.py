"""The recordings' page in a true browser: found, heard, followed word by word, shared, by mouse and by keyboard."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.shared.testing.ports import free_port
from tests.integration.recorder.conftest import ACCESS_KEY, SECRET_KEY, Objects
from tests.integration.stats.conftest import Eye, eye
from tests.unit.recorder.sounds import wav
from tests.unit.recorder.test_encoding import talk

__all__ = ["eye"]  # a fixture by import
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[3]
HOSTILE = "<img src=x onerror=alert(1)>"
WITHIN_MS = 10_000
SECONDS = 12
SIZES = ((320, "light", "en"), (390, "light", "uk"), (900, "dark", "en"), (1440, "dark", "uk"))


def transcript() -> dict[str, Any]:
    words = [
        {"text": f"word{at}", "start_ms": at * 500, "end_ms": at * 500 + 400, "confidence": 0.9} for at in range(24)
    ]
    words[0]["text"] = HOSTILE
    turn = {"speaker": "customer", "start_ms": 0, "end_ms": 12_000, "text": "", "words": words}
    angry = {"speaker": "customer", "start_ms": 500, "end_ms": 2_400, "score": -0.82, "found": [["жахливо", -3.0]]}
    calm = {"speaker": "customer", "start_ms": 8_000, "end_ms": 9_400, "score": 0.4, "found": [[HOSTILE, 1.0]]}
    polite = {"speaker": "agent", "start_ms": 4_000, "end_ms": 6_000, "score": 0.6, "found": [["рада", 2.0]]}
    sides = {
        "customer": {"score": -0.21, "thirds": [-0.82, None, 0.4], "change": 1.22},
        "agent": {"score": 0.6, "thirds": [None, 0.6, None], "change": None},
    }
    return {
        "_id": "rec-1",
        "tenant_id": "acme",
        "language": "uk",
        "confidence": 0.9,
        "recorded_us": 1_795_392_001_000_000,
        "terms": ["замовлення", "жахливо"],
        "turns": [turn],
        "analysis": {"sentiment": {"method": "lexicon/1", **sides, "utterances": [angry, polite, calm]}},
    }


@pytest.fixture
def url(tmp_path: Path, objects: Objects, documents_uri: str) -> Iterator[str]:
    for number, tenant in ((1, "acme"), (2, "acme"), (3, "borealis")):
        path = tmp_path / "recordings" / tenant / f"call-{number}" / f"rec-{number}.wav"
        path.parent.mkdir(parents=True)
        path.write_bytes(wav(talk(SECONDS).tobytes()))
        os.utime(path, (1_795_392_000 + number, 1_795_392_000 + number))
    port = free_port()
    given = {
        "root": str(tmp_path / "recordings"),
        "port": port,
        "endpoint": objects.endpoint,
        "bucket": objects.bucket,
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "mongodb_uri": documents_uri,
        "caller": "+380501112233",
        "queue_id": "sales",
        "agent_id": HOSTILE,
        "transcripts": [transcript()],
        "tokens": {
            hashlib.sha256(b"boss").hexdigest(): {"tenant": "acme", "role": "supervisor", "actor": "olha"},
            hashlib.sha256(b"root").hexdigest(): {"tenant": "*", "role": "admin", "actor": "petro"},
        },
    }
    command = [sys.executable, "-m", "tests.integration.recorder.page_server", json.dumps(given)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        yield f"http://127.0.0.1:{port}"
        process.kill()


def choose(eye: Eye, number: int) -> None:
    eye.do("press", selector="#rows", key="ArrowDown")
    for _ in range(number - 1):
        eye.do("press", selector="#rows", key="ArrowDown")
    eye.do("see", selector="#player:not([hidden])", ms=WITHIN_MS)


def finds_by_what_was_said(eye: Eye, url: str) -> None:
    """Look for a word in another form, then for customers' moods."""
    eye.do("fill", selector="[name=said]", value="замовленням")
    eye.do("press", selector="[name=said]", key="Enter")
    eye.do("see", selector=".row:only-child", ms=WITHIN_MS)
    eye.do("open", url=f"{url}/")
    eye.do("see", selector=".row:nth-child(2)", ms=WITHIN_MS)
    eye.do("press", selector="[name=feeling]", key="ArrowDown")
    eye.do("press", selector="[name=said]", key="Enter")
    eye.do("see", selector="#none:not([hidden])", ms=WITHIN_MS)  # nobody was unhappy on the whole
    for _ in range(3):
        eye.do("press", selector="[name=feeling]", key="ArrowDown")
    eye.do("press", selector="[name=said]", key="Enter")
    eye.do("see", selector=".row:only-child", ms=WITHIN_MS)  # better and better
    eye.do("open", url=f"{url}/")
    eye.do("see", selector=".row:nth-child(2)", ms=WITHIN_MS)


def test_a_recording_is_found_heard_followed_and_shared(eye: Eye, url: str) -> None:
    eye.do("open", url=f"{url}/login?token=boss")
    eye.do("see", selector=".row:nth-child(2)", ms=WITHIN_MS)
    assert HOSTILE in eye.do("texts", selector=".row div:first-child span")[0]
    eye.do("fill", selector="[name=caller]", value="999")
    eye.do("press", selector="[name=caller]", key="Enter")
    eye.do("see", selector="#none:not([hidden])", ms=WITHIN_MS)
    eye.do("fill", selector="[name=caller]", value="2233")
    eye.do("press", selector="[name=caller]", key="Enter")
    eye.do("see", selector=".row:nth-child(2)", ms=WITHIN_MS)

    finds_by_what_was_said(eye, url)
    choose(eye, 1)  # the newer one, of which nothing was written down
    eye.do("see", selector="#unsaid:not([hidden])", ms=WITHIN_MS)
    eye.do("press", selector="#rows", key="ArrowDown")
    eye.do("see", selector=".word", ms=WITHIN_MS)
    assert eye.do("text", selector=".word:first-child") == HOSTILE
    eye.do("see", selector="#feeling:not([hidden])", ms=WITHIN_MS)
    assert eye.do("texts", selector="#said .score") == ["-0.8 жахливо", f"+0.4 {HOSTILE}"]
    assert eye.do("texts", selector="#feeling .score") == ["-0.2", "-0.8", "+0.4", "+0.6", "+0.6"]
    eye.do("press", selector="#rows", key="Space")
    eye.do("see", selector=".play.is-playing", ms=WITHIN_MS)
    # It goes on while nobody looks: the third word is heard, or one behind it.
    eye.do("see", selector=".word:nth-child(n + 3).is-heard", ms=WITHIN_MS)
    eye.do("press", selector="#rows", key="Space")
    eye.do("see", selector=".play:not(.is-playing)", ms=WITHIN_MS)
    eye.do("press", selector=".wave", key="Home")
    eye.do("see", selector=".word:nth-child(1).is-heard", ms=WITHIN_MS)
    eye.do("press", selector="#rows", key="ArrowRight")
    eye.do("see", selector=".word:nth-child(21).is-heard", ms=WITHIN_MS)

    eye.do("press", selector="#share summary", key="Enter")
    eye.do("press", selector="#part .main", key="Enter")
    eye.do("see", selector="#share-made:not([hidden])", ms=WITHIN_MS)
    eye.do("see", selector="#shares li", ms=WITHIN_MS)
    assert "olha" in eye.do("text", selector="#shares span")
    eye.do("press", selector="#shares button", key="Enter")
    eye.do("see", selector="#share:not(:has(#shares li))", ms=WITHIN_MS)
    eye.do("press", selector="#journal summary", key="Enter")
    eye.do("see", selector="#listeners b", ms=WITHIN_MS)
    assert set(eye.do("texts", selector="#listeners b")) == {"olha"}
    assert eye.do("count", selector="img[src=x]") == 0
    assert eye.do("faults") == []


def test_the_platforms_own_people_see_recordings_at_once_and_choose_among_companies(eye: Eye, url: str) -> None:
    eye.do("open", url=f"{url}/login?token=root&lang=en")
    eye.do("see", selector=".row:nth-child(2)", ms=WITHIN_MS)
    assert eye.do("texts", selector="[name=tenant] option") == ["acme", "borealis"]
    choose(eye, 1)
    eye.do("press", selector="[name=tenant]", key="ArrowDown")
    eye.do("see", selector="#choose:not([hidden])", ms=WITHIN_MS)
    eye.do("see", selector=".row:only-child", ms=WITHIN_MS)
    eye.do("open", url=f"{url}/?lang=en")
    eye.do("see", selector=".row:only-child", ms=WITHIN_MS)
    assert eye.do("faults") == []


def test_the_page_fits_every_size_in_both_languages_and_schemes(eye: Eye, url: str) -> None:
    grounds = set()
    for width, scheme, language in SIZES:
        eye.do("size", width=width, height=900)
        eye.do("scheme", scheme=scheme)
        eye.do("open", url=f"{url}/login?token=boss&lang={language}")
        eye.do("see", selector=".row", ms=WITHIN_MS)
        choose(eye, 1)
        assert eye.do("width") <= width
        assert eye.do("texts", selector=".row b") == ["+380501112233"] * 2
        assert eye.do("hidden_width", selector=".row b") == 0, "a number is cut"
        assert eye.do("text", selector="h1") == {"uk": "Записи", "en": "Recordings"}[language]
        assert re.search(r"^\d+ .*2026.* \d\d:\d\d$", eye.do("texts", selector=".row time")[0]), "a day, then 24 hours"
        grounds.add(eye.do("background"))
    assert len(grounds) == 2
    assert eye.do("faults") == []
