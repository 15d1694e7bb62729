"""The dictionary's files: metrics, dimensions, reports, words for values. Read once, at start."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from services.stats.domain.reports.dictionary import Dictionary, dictionary_of

FOLDER = Path(__file__).parent


@cache
def load() -> Dictionary:
    """Return the dictionary. Raises BadDictionary, BadFormula."""
    return dictionary_of(*map(_file, ("metrics", "dimensions", "reports", "words")))


def _file(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
