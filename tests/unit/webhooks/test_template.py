import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.domain.template import BadTemplate, filled, template_of

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


@pytest.mark.parametrize("text", ["", "{", "{{type}}", '{"a": }', '"' + "x" * 20_000 + '"'])
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(BadTemplate):
        template_of(text)
