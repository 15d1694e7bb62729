"""Argument lists are read as FreeSWITCH reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.switch.arguments import separate
from local.switch.dialstring import parse_dial_string, parse_originate, take_group
from services.shared.esl import commands


@pytest.mark.parametrize(
    ("text", "delimiter", "parts"),
    [
        ("a b c", " ", ["a", "b", "c"]),
        ("  a   b ", " ", ["a", "b"]),
        ("a 'b c' d", " ", ["a", "b c", "d"]),
        ("a=1;b=2;c=", ";", ["a=1", "b=2", "c="]),
        ("a;b;", ";", ["a", "b"]),
        (r"a\;b;c", ";", ["a;b", "c"]),
        (r"one\stwo three", " ", ["one two", "three"]),
        ("it's a word", " ", ["it's a word"]),
        ("^^|a|b", ",", ["a", "b"]),
        ("''", ",", [""]),
        ("", " ", []),
    ],
)
def test_a_list_is_split_as_the_switch_splits_it(text: str, delimiter: str, parts: list[str]) -> None:
    assert separate(text, delimiter) == parts


def test_the_last_part_keeps_the_rest() -> None:
    assert separate("uuid name a b c", " ", 3) == ["uuid", "name", "a b c"]
    assert separate("name=a=b", "=", 2) == ["name", "a=b"]


@given(st.text(max_size=40), st.sampled_from([" ", ",", ";", "="]))
def test_splitting_never_fails_and_never_invents_characters(text: str, delimiter: str) -> None:
    allowed = set(text) | set("\n\r\t ")
    assert all(set(part) <= allowed for part in separate(text, delimiter))


def test_brackets_nest() -> None:
    assert take_group("{a={b}}rest") == ("a={b}", "rest")
    assert take_group("{open") == ("", "{open")
    assert take_group("plain") == ("", "plain")


def test_an_originate_is_read_with_its_application() -> None:
    read = parse_originate("{a=1,b='x y'}user/anna@acme &conference(room@default) XML public")
    assert read is not None
    assert (read.extension, read.dialplan, read.context) == ("&conference(room@default)", "XML", "public")
    dial = parse_dial_string(read.dial)
    assert (dial.endpoint, dial.address, dial.value("a"), dial.value("b")) == ("user", "anna@acme", "1", "x y")
    assert parse_originate("user/anna") is None


SAFE_VALUES = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="{}"), max_size=30)


@given(
    st.dictionaries(st.from_regex(r"[a-z_]{1,10}", fullmatch=True), SAFE_VALUES.filter(bool), min_size=1, max_size=5)
)
def test_what_the_platform_encodes_arrives_as_it_was_meant(values: dict[str, str]) -> None:
    command = commands.originate("user/anna@acme.example", "park", variables=values, timeout_seconds=30)
    text = command.decode()
    line = next(line for line in text.split("\n") if line.startswith("bgapi originate "))
    read = parse_originate(line.removeprefix("bgapi originate "))
    assert read is not None
    dial = parse_dial_string(read.dial)
    assert {name: dial.value(name) for name in values} == values
    assert (dial.endpoint, dial.address, read.extension) == ("user", "anna@acme.example", "&park()")
