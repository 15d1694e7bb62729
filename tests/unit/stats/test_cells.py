"""Whatever a caller is called: no spreadsheet computes it, and no file is opened so wrongly that it would."""

import csv
import io
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.stats.export.cells import LONGEST_CELL, safe

SEPARATORS = ",;\t|"
TEXTS = st.text(st.sampled_from("=+-@\uff1d\uff0b%|1a,;\t\r\n\"' \u00a0\u200b\u202e\ufeff\x00\x85"), max_size=16)
TEXTS |= st.text(max_size=40)


SIGNS = ("EQUALS SIGN", "PLUS SIGN", "HYPHEN-MINUS", "COMMERCIAL AT")
FORMS = {unicodedata.lookup(f"{form}{sign}") for form in ("", "FULLWIDTH ", "SMALL ") for sign in SIGNS}


def is_seen(sign: str) -> bool:
    return unicodedata.category(sign) not in ("Cc", "Cf", "Zs", "Zl", "Zp")


def begins_a_formula(cell: str) -> bool:
    """Read a cell's beginning as the most careless program would: without blanks and marks, in all forms of a sign."""
    first = next(filter(is_seen, cell), "")
    return first in FORMS and not (cell.startswith("+") and cell[1:].isdigit())


@given(texts=st.lists(TEXTS, min_size=1, max_size=4), written=st.sampled_from(",;"), read=st.sampled_from(SEPARATORS))
@example(texts=["x;=1+1"], written=",", read=";")
@example(texts=['x";=1+1'], written=",", read=";")
@example(texts=["a\n@SUM(A1)"], written=";", read=",")
@example(texts=["x,\u202e\u200b=1"], written=";", read=",")
@example(
    texts=["".join(filter(lambda sign: not is_seen(sign), map(chr, range(0x110000)))) + "="], written=",", read=","
)
def test_no_cell_begins_a_formula_with_whatever_separator_the_file_is_opened(
    texts: list[str], written: str, read: str
) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=written, lineterminator="\r\n").writerow([7, *map(safe, texts)])
    file.seek(0)
    cells = [cell for row in csv.reader(file, delimiter=read) for cell in row]
    assert [cell for cell in cells if begins_a_formula(cell)] == []


@given(TEXTS)
def test_what_people_wrote_is_still_there(text: str) -> None:
    kept = [sign for sign in text if unicodedata.category(sign) != "Cc" or sign in "\t\r\n"]
    assert [sign for sign in safe(text) if sign in kept and sign != "'"] == [sign for sign in kept if sign != "'"]


@pytest.mark.parametrize("text", ["+380501234567", "Зоя, Київ", "it's -x", "a-b-c", "10:30", "50%", ""])
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert safe(text) == text


@pytest.mark.parametrize("sign", ["\t", ",", "\u200b", ", ", "-", "'"])
def test_a_long_text_takes_no_long_time(sign: str) -> None:
    assert len(safe(sign * LONGEST_CELL * 2 + "=")) <= 2 * LONGEST_CELL
