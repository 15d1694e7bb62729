"""A campaign's list of customers as a CSV file from anywhere (SPEC 4.4): each bad row is named by its line.

Hostile until proven otherwise: its size, encoding, quoting, cells that a spreadsheet would run as formulas, numbers
that are none, that stand there twice, or that the tenant may not dial.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.console.domain.fault import Fault
from services.shared import destinations
from services.shared.contracts.ringmaster.v1.tenant_pb2 import Limits
from services.shared.phone_number import normalised

MOST_BYTES: Final = 2_000_000
MOST_ROWS: Final = 50_000
MOST_FAULTS: Final = 1_000
"""So many are named; how many there are is counted."""
MOST_CHARACTERS: Final = 120
NUMBER, NAME = "number", "name"
_DELIMITERS: Final = ",;\t"
_FORMULA: Final = frozenset("=@+-")
_BANNED: Final = {
    destinations.ALLOWED: "the number begins with no prefix of limits.allowed_prefixes.",
    destinations.DENIED: "the number begins with a prefix of limits.denied_prefixes.",
    destinations.HIGH_RISK: "the number costs much, and begins with no prefix of limits.high_risk_prefixes.",
    destinations.PRICE: "the number has no price in limits.tariffs, and the day's spend is limited.",
}
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class UnreadableList(ValueError):
    """The file as a whole can't be read; the message says why and what to do. Theirs."""


@dataclass(slots=True)
class ContactList:
    """What a file holds: customers as E.164 number and name, and the rows that hold none."""

    contacts: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    bad_rows: int = 0

    def refuse(self, line: int, sentence: str) -> None:
        """Note a row that is left out."""
        self.bad_rows += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(f"line {line}", sentence))


def read_contacts(data: bytes, line: str, limits: Limits) -> ContactList:
    """Read a CSV file with a heading: `number`, and `name` if wanted, divided by commas, semicolons or tabs.

    Numbers are read as one dials them in the country of `line`; those that the limits forbid are named (SPEC 1.4).
    Raises UnreadableList.
    """
    text = _text(data)
    rows = _rows(text)
    columns = _columns(next(rows, (1, []))[1])
    found = ContactList()
    first: dict[str, int] = {}
    for count, (at, cells) in enumerate(rows):
        if count >= MOST_ROWS:
            raise UnreadableList(f"The list has more than {MOST_ROWS} rows; divide it.")
        if not any(cell.strip() for cell in cells):
            continue
        contact = _contact(cells, columns, line, limits)
        if isinstance(contact, str):
            found.refuse(at, contact)
        elif contact[0] in first:
            found.refuse(at, f"the number is the same as in line {first[contact[0]]}.")
        else:
            first[contact[0]] = at
            found.contacts.append(contact)
    return found


def _text(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise UnreadableList(f"The list has {len(data)} bytes, at most {MOST_BYTES} are taken; divide it.")
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UnreadableList(f"Line {line} is not {encoding}; save the list as CSV in UTF-8.") from error
    if "\0" in text:
        raise UnreadableList("The list holds a NUL: it is no text; save it as CSV in UTF-8.")
    return text


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cells). A quote that is never closed ends the file with its line."""
    heading = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    former = 0
    try:
        for cells in reader:
            yield former + 1, cells
            former = reader.line_num
    except csv.Error as error:
        raise UnreadableList(f"Line {former + 1} is not CSV: {error}; look for a quote that is not closed.") from error


def _columns(heading: Sequence[str]) -> dict[str, int]:
    names = [cell.strip().lower() for cell in heading]
    columns = {name: names.index(name) for name in (NUMBER, NAME) if name in names}
    if NUMBER not in columns:
        raise UnreadableList("The first line must name the columns, and one of them must be number.")
    return columns


def _contact(cells: Sequence[str], columns: dict[str, int], line: str, limits: Limits) -> tuple[str, str] | str:
    """Return number and name, or the sentence that says what is wrong."""
    if len(cells) <= max(columns.values()):
        return "has fewer cells than the heading."
    written, name = cells[columns[NUMBER]].strip(), cells[columns[NAME]].strip() if NAME in columns else ""
    complaint = _complaint(written, name)
    if complaint:
        return complaint
    number = normalised(written, line)
    if not number:
        return "there is no telephone number in column number."
    banned = destinations.ban(limits, number)
    return _BANNED[banned] if banned else (number, name)


def _complaint(written: str, name: str) -> str:
    """Return what is wrong with the cells as text, empty when nothing is."""
    if len(written) > MOST_CHARACTERS or len(name) > MOST_CHARACTERS:
        return f"has a cell of more than {MOST_CHARACTERS} characters."
    if name and name[0] in _FORMULA:
        return "the name begins like a formula; a spreadsheet would run it."
    return "" if name.isprintable() else "the name holds control characters."
