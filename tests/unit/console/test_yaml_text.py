import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.domain.yaml_text import MAX_BYTES, UnreadableText, read_text

# Characters that both JSON and YAML take as they are.
words = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Cn"], exclude_characters="\ufeff\u2028\u2029"), max_size=20
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


def complaint(raw: bytes) -> str:
    """Return why a text is refused, nothing when it is read; any other error goes through."""
    try:
        read_text(raw)
    except UnreadableText as error:
        return str(error)
    return ""


@given(plain)
def test_what_json_says_is_read_as_json_reads_it(document: Any) -> None:
    assert read_text(json.dumps(document, ensure_ascii=False).encode()) == document


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20))
def test_what_json_writes_in_escapes_is_read_as_json_reads_it(text: str) -> None:
    """A program that writes ASCII alone tells a character beyond U+FFFF by two escapes."""
    document = {"name": text, "list": [text]}
    assert read_text(json.dumps(document).encode()) == document


def test_two_escapes_that_are_text_stay_text() -> None:
    assert read_text(json.dumps({"a": "\\ud83d\\ude00 \U0001f600"}).encode()) == {"a": "\\ud83d\\ude00 \U0001f600"}
    assert read_text(b"a: \\ud83d\\ude00") == {"a": "\\ud83d\\ude00"}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_sentence(raw: bytes) -> None:
    assert complaint(raw) == "" or complaint(raw).endswith(".")


@given(st.text("[]{}:,-&*!<>|?#%@`'\" \n\tab1", max_size=60))
def test_any_play_of_yaml_signs_is_read_or_refused(text: str) -> None:
    assert complaint(text.encode()) == "" or complaint(text.encode()).endswith(".")


def test_numbers_and_times_of_a_tenant_stay_what_their_author_wrote() -> None:
    text = b"{number: +380441000001, from: 09:00, until: 18:00, day: 2026-01-01, word: no, off: off, one: 1, 1: x}"
    assert read_text(text) == {
        "number": "+380441000001",
        "from": "09:00",
        "until": "18:00",
        "day": "2026-01-01",
        "word": "no",
        "off": "off",
        "one": 1,
        "1": "x",
    }


def test_aliases_are_followed() -> None:
    assert read_text(b"a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}


def laughs(depth: int) -> bytes:
    lines = ['a0: &a0 ["ha", "ha", "ha", "ha", "ha", "ha", "ha", "ha", "ha"]']
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (laughs(10), "more than"),
        (b"[" * 5000, "nested deeper"),
        (b"a: &x [*x]", "alias of itself"),
        (b"x: [" + b"1," * 120_000 + b"1]", "more than 100000 values"),
        (b" " * (MAX_BYTES + 1), "bytes"),
        (b"a: 1\na: 2", "second time"),
        (b"!!python/object/apply:os.system [id]", "tag"),
        (b"a: !!python/name:os.system x", "tag"),
        (b"? [1, 2]\n: x", "key that is not a word"),
        (b"a: [", "not YAML"),
        (b"a: 1\n---\nb: 2", "not YAML"),
        (b"\xff\xfe", "UTF-8"),
        (b"", "empty"),
        (b"a: !!int x", "tag"),
        (b"a: !!float nan", "tag"),
        (b"a: !!float .inf", "tag"),
        (b"a: !!float 1e400", "tag"),
        ("a: !!int \u0661".encode(), "tag"),
        (b"a: !!int 1_000", "tag"),
        (b"a: !!bool yes", "tag"),
        (b"a: !!null nothing", "tag"),
    ],
)
def test_a_text_that_is_built_to_hurt_is_refused(raw: bytes, words: str) -> None:
    with pytest.raises(UnreadableText, match=words):
        read_text(raw)
