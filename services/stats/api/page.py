"""The live page, and the page of reports."""

from pathlib import Path
from typing import Final

from flask import Blueprint

from services.shared.chassis import pages
from services.stats.api.admission import Admission

FILES: Final = Path(__file__).resolve().parents[1] / "page"


def page_routes(admission: Admission, folder: Path = FILES) -> Blueprint:
    """Make the routes."""
    return pages.page_routes(admission, folder, "live", ("reports",))
