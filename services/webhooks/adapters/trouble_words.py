from functools import lru_cache
from pathlib import Path
from typing import Final

import yaml

from services.webhooks.domain.trouble import Troubles, kind_of

TABLE: Final = Path(__file__).resolve().parents[1] / "troubles.yaml"


@lru_cache(maxsize=1)
def troubles() -> Troubles:
    """Return what a try can meet, as services/webhooks/troubles.yaml tells it."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return Troubles(kind_of(code, entry) for code, entry in table.items())
