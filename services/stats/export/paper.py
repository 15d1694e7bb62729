"""PDF for people: a heading, a chart where there is one, a table in the language's own letters."""

from collections.abc import Iterable
from functools import cache
from io import BytesIO
from typing import Any, Final
from zoneinfo import ZoneInfo

import fontpkg
from fpdf import FPDF
from fpdf.fonts import FontFace

from services.stats.domain.reports.answer import Column
from services.stats.export.text import spoken

MOST_ROWS: Final = 2_000
FONT: Final = "PT Sans"
_LONGEST: Final = 60


class TooManyRows(Exception):
    """Nobody reads so much paper: another format is for that."""


@cache
def font_path(style: str = "normal", weight: int = 400) -> str:
    """Return the path of the font's file; it has the letters of English and Ukrainian."""
    return str(fontpkg.path(FONT, style=style, weight=weight))


def pdf(
    head: dict[str, Any],
    columns: list[Column],
    chunks: Iterable[list[tuple[Any, ...]]],
    zone: ZoneInfo,
    pictures: list[bytes] | None = None,
) -> bytes:
    """Return the document. Raises TooManyRows."""
    rows: list[tuple[Any, ...]] = []
    for chunk in chunks:
        rows += chunk
        if len(rows) > MOST_ROWS:
            raise TooManyRows(f"A PDF has {MOST_ROWS} rows at most; take XLSX or CSV, or a shorter period.")
    page = FPDF(orientation="landscape" if len(columns) > 6 else "portrait", format="A4")  # noqa: PLR2004 - what fits
    page.set_title(head["name"])
    page.add_font(FONT, "", font_path())
    page.add_font(FONT, "B", font_path(weight=700))
    page.add_page()
    page.set_font(FONT, "B", 16)
    page.cell(text=head["name"], new_x="LMARGIN", new_y="NEXT")
    page.set_font(FONT, "", 9)
    page.cell(text=f"{head['from']} - {head['until']} ({head['tz']})", new_x="LMARGIN", new_y="NEXT")
    page.ln(2)
    for picture in pictures or []:
        page.image(BytesIO(picture), w=min(page.epw, 180))
        page.ln(2)
    page.set_font(FONT, "", 8 if len(columns) < 10 else 6)  # noqa: PLR2004 - what fits
    numbers = ("LEFT" if column.unit in ("text", "time", "moment", "flag") else "RIGHT" for column in columns)
    with page.table(
        text_align=tuple(numbers), headings_style=FontFace(emphasis="BOLD"), line_height=page.font_size * 1.6
    ) as table:
        heading = table.row()
        for column in columns:
            heading.cell(column.name)
        for raw in rows:
            line = table.row()
            for column, value in zip(columns, raw, strict=True):
                line.cell(_clean(spoken(column, value, zone, head["language"])))
    return bytes(page.output())


def _clean(text: str) -> str:
    return "".join(letter for letter in text[:_LONGEST] if letter.isprintable())
