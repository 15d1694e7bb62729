import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.templates import MAX_RESULT, BadTemplate, Template

KNOWN = frozenset({"caller", "vars.order"})


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("", ""),
        ("Order {vars.order} of {caller}.", "Order {caller} of +38."),
        ("{ caller }", "+38"),
        ("{{caller}} {{{caller}}}", "{caller} {+38}"),
    ],
)
def test_places_are_filled_once_and_double_braces_are_braces(text: str, filled: str) -> None:
    assert Template(text, KNOWN).filled({"caller": "+38", "vars.order": "{caller}"}) == filled


def test_what_has_no_value_is_left_empty_and_a_flag_is_a_word() -> None:
    assert Template("<{vars.order}|{caller}>", KNOWN).filled({"caller": True}) == "<|true>"


@pytest.mark.parametrize(
    "text",
    [
        "{secret}",
        "{caller.__class__}",
        "{caller[0]}",
        "{caller!r}",
        "{caller:>100000000}",
        "{0}",
        "{}",
        "{caller",
        "caller}",
        "{{caller}",
        "{% for x in range(10**9) %}x{% endfor %}",
        "${caller}{{7*7}}{config}",
        "{caller}" * 51,
        "x" * 1_001,
    ],
    ids=lambda text: text[:24],
)
def test_a_hostile_text_is_refused_in_bounded_time(text: str) -> None:
    began = time.process_time()
    with pytest.raises(BadTemplate):
        Template(text, KNOWN)
    assert time.process_time() - began < 0.25


def test_a_filled_text_is_cut() -> None:
    text = Template("{caller}" * 50, KNOWN).filled({"caller": "9" * 500})
    assert text == "9" * MAX_RESULT


@given(st.text(max_size=300))
def test_whatever_is_written_is_parsed_or_refused(text: str) -> None:
    try:
        found = Template(text, KNOWN)
    except BadTemplate:
        assert "{" in text or "}" in text
        return
    assert len(found.filled({"caller": "x"})) <= len(text)


@given(st.text(max_size=300))
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert Template(escaped, KNOWN).filled({}) == text
