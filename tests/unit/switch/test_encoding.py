"""Values survive both formats, whatever is in them."""

import json
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from local.switch.encoding import array_push, decode, encode, header, json_member, json_members, json_text
from local.switch.events import Event
from local.switch.variables import SharedLines, Variables

# Lone surrogates of this range stand for bytes that are not UTF-8; others can't come from a wire.
BYTES = "".join(map(chr, range(0xDC80, 0xDD00)))
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], include_characters=BYTES), max_size=50)


@given(ANY_TEXT)
def test_an_encoded_value_is_one_ascii_word_and_decodes_to_itself(value: str) -> None:
    encoded = encode(value)
    assert encoded.isascii()
    assert not set(encoded) & set("\r\n :")
    assert decode(encoded) == value
    assert unquote(encoded, errors="surrogateescape") == value


def test_the_captured_encodings_are_met() -> None:
    assert encode("Größe: 50% & mehr") == "Gr%C3%B6%C3%9Fe%3A%2050%25%20%26%20mehr"
    assert encode("1.10.12-release~64bit") == "1.10.12-release~64bit"
    assert encode("Mon, 23 Nov") == "Mon,%2023%20Nov"
    assert encode("&park()") == "%26park()"
    assert encode("M\udcfcller") == "M%FCller"


@given(ANY_TEXT.filter(lambda text: not text.startswith("ARRAY::")))
def test_a_line_becomes_the_same_value_in_json(value: str) -> None:
    member = json_member(header("variable_x", value)[:-1])
    raw = ("{" + member + "}").encode("utf-8", "surrogateescape")
    assert json.loads(raw.decode("utf-8", "surrogateescape")) == {"variable_x": value}


def test_a_list_variable_is_marked_in_plain_and_a_list_in_json() -> None:
    value = array_push(array_push(array_push(None, "a"), "b"), "c")
    assert value == "ARRAY::a|:b|:c"
    assert json_member(header("variable_h", value)[:-1]) == '"variable_h":["a","b","c"]'


def test_bytes_that_are_no_utf8_stay_raw_in_json() -> None:
    assert json_text("M\udcfcller").encode("utf-8", "surrogateescape") == b'"M\xfcller"'


@given(st.lists(st.tuples(st.sampled_from("abcd"), ANY_TEXT), max_size=12))
def test_the_kept_json_of_variables_never_differs_from_their_lines(pairs: list[tuple[str, str]]) -> None:
    variables = Variables(as_json=True)
    variables.add_shared(SharedLines([("a", "shared"), ("z", "Ä shared")]))
    for name, value in pairs:
        variables.set(name, value)
        assert variables.json_block() == json_members(variables.block())


def test_setting_a_variable_moves_it_to_the_end_and_an_empty_value_removes_it() -> None:
    variables = Variables()
    variables.set_many([("a", "1"), ("b", "2"), ("a", "3"), ("c", "")])
    assert variables.block() == "variable_b: 2\nvariable_a: 3\n"
    assert variables.get("c") is None
    assert variables.look_up("A") == "3"


def test_an_event_with_a_body_counts_its_bytes() -> None:
    event = Event("BACKGROUND_JOB", "Event-Name: BACKGROUND_JOB\n", body="+OK ü\n")
    assert event.plain().endswith(b"\nContent-Length: 7\n\n+OK \xc3\xbc\n")
    assert json.loads(event.json().split(b"\n\n", 1)[1]) == {
        "Event-Name": "BACKGROUND_JOB",
        "Content-Length": "7",
        "_body": "+OK ü\n",
    }
    assert event.header("event-name") == "BACKGROUND_JOB"
    assert event.header("nothing") is None
