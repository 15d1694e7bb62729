"""Captured bytes of a real FreeSWITCH 1.10 and what the capture said of each frame."""

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).parents[2] / "fixtures" / "esl"


@pytest.fixture(scope="session")
def captured() -> Callable[[str], bytes]:
    """Every byte that FreeSWITCH sent in a named run."""
    return lambda run: lzma.decompress((FIXTURES / f"{run}.esl.xz").read_bytes())


@pytest.fixture(scope="session")
def index() -> Callable[[str], list[dict[str, Any]]]:
    """One record a frame, noted while capturing: offset, length, type, event, sequence, uuid."""

    def load(run: str) -> list[dict[str, Any]]:
        lines = lzma.decompress((FIXTURES / f"{run}.idx.xz").read_bytes()).splitlines()
        return [record for record in map(json.loads, lines) if "eof" not in record]

    return load
