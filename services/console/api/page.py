"""The agents' page."""

from pathlib import Path
from typing import Final

from services.shared.chassis.pages import Pages

FILES: Final = Path(__file__).resolve().parents[1] / "page"


def read_pages() -> Pages:
    """Read its files."""
    return Pages(FILES, {"en": "My desk", "uk": "Моє місце"}, "desk")
