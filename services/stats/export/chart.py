"""A chart of one metric by its groups, with the period before behind it: SVG for pages, PNG for mail and paper."""

from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from services.stats.export.paper import font_path

WIDTH: Final = 720
HEIGHT: Final = 260
MOST_BARS: Final = 31
_LEFT, _TOP, _RIGHT, _BOTTOM = 64, 40, 16, 44
_NOW: Final = "#2f6fde"
_BEFORE: Final = "#b8c4d6"
_INK: Final = "#1b1f24"
_SCALE: Final = 2
"""Of the picture: screens of phones show two dots where one was."""


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn: bars (label, value, value of the period before), their words, and how a value is written."""

    title: str
    legend: tuple[str, str]
    bars: list[tuple[str, float | None, float | None]]
    top_text: str
    top: float


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    width: float
    height: float
    colour: str


def svg(chart: Chart) -> str:
    """Return the chart as SVG; every text in it is escaped."""
    boxes = "".join(
        f'<rect x="{b.left:.1f}" y="{b.top:.1f}" width="{b.width:.1f}" height="{b.height:.1f}" fill="{b.colour}"/>'
        for b in _boxes(chart)
    )
    texts = "".join(
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'
        for x, y, size, anchor, text in _texts(chart)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(chart.title)}" font-family="sans-serif" fill="{_INK}">{boxes}{texts}</svg>'
    )


def png(chart: Chart) -> bytes:
    """Return the chart as PNG."""
    picture = Image.new("RGB", (WIDTH * _SCALE, HEIGHT * _SCALE), "white")
    pen = ImageDraw.Draw(picture)
    for box in _boxes(chart):
        corners = (box.left, box.top, box.left + box.width, box.top + box.height)
        pen.rectangle([corner * _SCALE for corner in corners], fill=box.colour)
    for x, y, size, anchor, text in _texts(chart):
        font = ImageFont.truetype(font_path(), size * _SCALE)
        place = {"start": "ls", "middle": "ms", "end": "rs"}[anchor]
        pen.text((x * _SCALE, y * _SCALE), text, fill=_INK, font=font, anchor=place)
    data = BytesIO()
    picture.save(data, "PNG", optimize=True)
    return data.getvalue()


def _boxes(chart: Chart) -> list[_Box]:
    floor, height = HEIGHT - _BOTTOM, HEIGHT - _BOTTOM - _TOP
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(chart.bars))
    found = [_Box(_LEFT, floor, WIDTH - _LEFT - _RIGHT, 1, _BEFORE)]
    for number, (_, now, before) in enumerate(chart.bars):
        left = _LEFT + number * step
        for value, colour, shift in ((before, _BEFORE, 0.1), (now, _NOW, 0.5)):
            tall = height * min(1.0, max(0.0, value or 0.0) / chart.top) if chart.top else 0.0
            found.append(_Box(left + step * shift, floor - tall, step * 0.4, tall, colour))
    found += [_Box(WIDTH - 250, 12, 10, 10, _NOW), _Box(WIDTH - 130, 12, 10, 10, _BEFORE)]
    return found


def _texts(chart: Chart) -> list[tuple[float, float, int, str, str]]:
    """Return (x, y of the line, size, anchor, text)."""
    floor = HEIGHT - _BOTTOM
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(chart.bars))
    found = [
        (12.0, 22.0, 14, "start", _short(chart.title, 48)),
        (WIDTH - 234.0, 22.0, 11, "start", _short(chart.legend[0], 16)),
        (WIDTH - 114.0, 22.0, 11, "start", _short(chart.legend[1], 16)),
        (_LEFT - 6.0, _TOP + 8.0, 11, "end", chart.top_text),
        (_LEFT - 6.0, float(floor), 11, "end", "0"),
    ]
    every = max(1, round(70 / step)) if step else 1
    room = max(3, int(step * every / 6))
    for number, (label, _, _) in enumerate(chart.bars):
        if number % every == 0:
            found.append((_LEFT + (number + 0.5) * step, floor + 16.0, 11, "middle", _short(label, room)))
    return found


def _short(text: str, most: int) -> str:
    clean = "".join(letter for letter in text if letter.isprintable())
    return clean if len(clean) <= most else clean[: most - 1] + "…"
