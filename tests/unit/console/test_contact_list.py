"""A campaign's list may come from anywhere: what is wrong is named by its line, and nothing hostile gets in."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.domain import contact_list
from services.console.domain.contact_list import UnreadableList, read_contacts
from services.shared.contracts.ringmaster.v1.tenant_pb2 import Limits, Tariff

LINE = "+380441000001"
LIMITS = Limits(
    allowed_prefixes=["+380", "+44", "+881"],
    denied_prefixes=["+38067"],
    tariffs=[Tariff(prefix="+380", price_per_minute=0.1), Tariff(prefix="+449", price_per_minute=1.0)],
    outbound_spend_per_day=100.0,
)


def read(text: str | bytes) -> contact_list.ContactList:
    return read_contacts(text.encode() if isinstance(text, str) else text, LINE, LIMITS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_list_is_read_however_it_was_saved(delimiter: str, encoding: str, ending: str) -> None:
    lines = [("Name", "Number", "City"), ("Олена", "050 111 22 33", "Kyiv"), ("", "+380501112234", "")]
    text = ending.join(delimiter.join(cells) for cells in lines) + ending
    found = read(text.encode(encoding))
    assert found.contacts == [("+380501112233", "Олена"), ("+380501112234", "")]
    assert found.faults == []


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("nobody,Client", "no telephone number"),
        ("12,Client", "no telephone number"),
        (",Client", "no telephone number"),
        ("=1+1,Client", "no telephone number"),
        ("+12125550123,Client", "no prefix of limits.allowed"),
        ("0671112233,Client", "a prefix of limits.denied"),
        ("+449098790000,Client", "costs much"),
        ("+881612345678,Client", "costs much"),
        ("+442071000000,Client", "no price"),
        ("0501112233", "fewer cells"),
        ("0501112234,=HYPERLINK(1)", "formula"),
        ("0501112234,@SUM(A1)", "formula"),
        ("0501112234,-2+3", "formula"),
        ('0501112234,"a\nb"', "control characters"),
        ("0501112234,a\u202eb", "control characters"),
        ("0501112234," + "x" * 121, "more than 120"),
        ("0501112233,Again", "same as in line 2"),
        ("(050) 111-22-33,Again", "same as in line 2"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_the_others_are_taken(row: str, sentence: str) -> None:
    found = read(f"number,name\n0501112233,First\n{row}\n0501112299,Last\n")
    assert [number for number, _ in found.contacts] == ["+380501112233", "+380501112299"]
    assert [(fault.path, sentence in fault.message) for fault in found.faults] == [("line 3", True)]


def test_a_line_is_counted_as_an_editor_counts_it_after_cells_of_many_lines() -> None:
    found = read('number,name,note\n0501112233,First,"one\ntwo\nthree"\nnobody,Client,\n')
    assert [fault.path for fault in found.faults] == ["line 5"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "name the columns"),
        (b"0501112233,Client\n", "name the columns"),
        ("number,name\n0501112233,Олена\n".encode("cp1251"), "Line 2 is not utf-8"),
        (b"number,name\n050\x00,x\n", "NUL"),
        (b'number,name\n0501112233,"open\n0501112234,x\n', "Line 2 is not CSV"),
        (b"number\n" + b"1" * contact_list.MOST_BYTES, "divide it"),
        (b"number\n" + b"1\n" * (contact_list.MOST_ROWS + 1), "more than 50000 rows"),
        (b"PK\x03\x04 a spreadsheet \xff\xfe", "save the list as CSV"),
        (b'number\n"' + b"x" * 200_000 + b'"\n', "Line 2 is not CSV"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_file_that_is_no_list_is_refused_whole(data: bytes, sentence: str) -> None:
    with pytest.raises(UnreadableList, match=sentence):
        read(data)


def test_a_thousand_faults_are_named_and_all_are_counted() -> None:
    found = read("number\n" + "x\n" * 1_500)
    assert (len(found.faults), found.bad_rows) == (contact_list.MOST_FAULTS, 1_500)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list_or_are_refused(data: bytes) -> None:
    try:
        found = read(b"number,name\n" + data)
    except UnreadableList:
        return
    assert all(number.startswith("+380") and name.isprintable() for number, name in found.contacts)


@given(st.lists(st.tuples(st.integers(0, 9_999), st.text(max_size=20)), max_size=20))
def test_every_row_is_taken_or_named(rows: list[tuple[int, str]]) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["number", "name"])
    writer.writerows([f"+38050111{number:04}", name.replace("\0", " ")] for number, name in rows)
    try:
        data = out.getvalue().encode()
    except UnicodeEncodeError:
        return
    found = read(data)
    assert len(found.contacts) + found.bad_rows == len(rows)
    assert len({number for number, _ in found.contacts}) == len(found.contacts)
