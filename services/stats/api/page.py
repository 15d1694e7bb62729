"""The live page, and the page of reports."""

from pathlib import Path
from typing import Final

from services.shared.chassis.pages import Pages

FILES: Final = Path(__file__).resolve().parents[1] / "page"


def read_pages() -> Pages:
    """Read their files."""
    return Pages(FILES, {"en": "Statistics", "uk": "Статистика"}, "live", ("reports",))
