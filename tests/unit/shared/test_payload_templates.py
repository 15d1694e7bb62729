import json
import time
import tracemalloc

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.payload_templates import (
    MAX_DEPTH,
    MAX_FILLED,
    MAX_PLACES,
    MAX_TEMPLATE,
    BadTemplate,
    FilledTooLong,
    filled,
    places_of,
    template_of,
)

DOCUMENT = {"type": "call.ended", "data": {"line": "+380", "wait_ms": "17", "tags": ["a", "b"], "by": {"id": 7}}}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('"{{type}}"', "call.ended"),
        ('{"a": "{{ data.by.id }}"}', {"a": 7}),
        ('{"a": ["{{data.tags}}", "{{data.tags.1}}"]}', {"a": [["a", "b"], "b"]}),
        ('"waited {{data.wait_ms}} ms on {{data.line}}, {{data.none}}"', "waited 17 ms on +380, "),
        ('"{{data.nothing.here}}"', None),
        ('"{{data.tags.9}} {{data.by}}"', ' {"id":7}'),
        ('"{{__class__}} {{data.line.__len__}}"', " "),
        ('{"n": 1, "b": true, "x": null}', {"n": 1, "b": True, "x": None}),
        ('"{{}} {{ a b }} {% x %}"', "{{}} {{ a b }} {% x %}"),
    ],
)
def test_values_go_where_the_template_names_them(template: str, expected: object) -> None:
    assert filled(template_of(template), DOCUMENT) == expected


@given(st.text())
def test_no_value_can_break_out_of_its_place(value: str) -> None:
    template = template_of('{"a": "{{data}}", "b": "<{{data}}>", "c": 1}')
    found = json.loads(json.dumps(filled(template, {"data": value})))
    assert found == {"a": value, "b": f"<{value}>", "c": 1}


@given(st.text())
def test_a_value_that_looks_like_a_place_is_not_filled_in_turn(value: str) -> None:
    assert filled("{{data}}", {"data": "{{secret}}" + value, "secret": "x"}) == "{{secret}}" + value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be JSON"),
        ("{", "must be JSON"),
        ("{{type}}", "must be JSON"),
        ('{"a": }', "must be JSON"),
        ('"' + "x" * MAX_TEMPLATE + '"', "is longer than"),
        (orjson.dumps(["{{type}}"] * (MAX_PLACES + 1)).decode(), "places to fill"),
        ("[" * (MAX_DEPTH + 1) + "1" + "]" * (MAX_DEPTH + 1), "nests deeper"),
        ('{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1), "nests deeper"),
        ("[" * 900 + "1" + "]" * 900, "nests deeper"),
        ("[" * 8_000 + "1" + "]" * 8_000, "must be JSON"),
    ],
)
def test_what_is_no_template_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadTemplate, match=words):
        template_of(text)


def test_the_deepest_template_that_is_taken_is_filled() -> None:
    assert filled(template_of("[" * MAX_DEPTH + '"{{type}}"' + "]" * MAX_DEPTH), DOCUMENT) is not None


@pytest.mark.parametrize("place", ['"{{data}}"', '"-{{data}}-{{data}}"', '"{{data.text}}"', '{"a": "{{data}}"}'])
def test_a_hostile_template_takes_little_time_and_memory(place: str) -> None:
    """Each place names all of a large event: 450 times 200,000 signs would be 90 MB."""
    document = {"data": {"text": "x" * 200_000}}
    template = template_of("[" + ",".join([place] * (MAX_PLACES // 2)) + "]")
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(FilledTooLong, match=str(MAX_FILLED)):
        filled(template, document)
    assert time.process_time() - began < 0.5
    assert tracemalloc.get_traced_memory()[1] < 32 * MAX_FILLED  # of which the raising itself takes the most
    tracemalloc.stop()


@pytest.mark.parametrize(("number", "value"), [("0", 7), ("1", None), ("0" * 8 + "0", 7), ("9" * 5_000, None)])
def test_an_entry_of_a_list_is_named_by_its_number_however_long_it_is_written(number: str, value: int | None) -> None:
    assert filled(template_of(f'"{{{{data.list.{number}}}}}"'), {"data": {"list": [7]}}) == value


def test_what_a_template_names_is_known_before_it_is_filled() -> None:
    assert places_of('{"a": "{{ data.line }} {{type}}", "b": ["{{data.by.id}}"]}') == {
        "data.line",
        "type",
        "data.by.id",
    }
