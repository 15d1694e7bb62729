from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

TABLE: Final = Path(__file__).resolve().parents[1] / "examples.yaml"


@lru_cache(maxsize=1)
def example_values() -> Mapping[str, Any]:
    """Return what examples of events hold, as services/webhooks/examples.yaml tells it."""
    values: Mapping[str, Any] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return values
