"""The recordings' page without a browser: both languages whole, nothing inline, no script that writes markup."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "services" / "recorder" / "page"
WORDS = (PAGE / "words.js").read_text(encoding="utf-8")
WORD = re.compile(r"(\w+): \"([^\"]*)\"")


def words_of(name: str) -> dict[str, str]:
    block = WORDS.split(f"const {name} = {{", 1)[1].split("\n};", 1)[0]
    return dict(WORD.findall(block))


def test_both_languages_have_every_word_with_the_same_places() -> None:
    english, ukrainian = words_of("ENGLISH"), words_of("UKRAINIAN")
    assert english.keys() == ukrainian.keys()
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", ukrainian[key])), key


def test_every_word_that_the_page_says_is_there() -> None:
    pages = [page.read_text(encoding="utf-8") for page in PAGE.glob("*.html")]
    said = {key for page in pages for key in re.findall(r'data-(?:text|label)="(\w+)"', page)}
    said |= {key for script in PAGE.glob("*.js") for key in re.findall(r'say\("(\w+)"', script.read_text())}
    assert said <= words_of("ENGLISH").keys()


@pytest.mark.parametrize("page", sorted(PAGE.glob("*.html")), ids=lambda page: page.name)
def test_a_page_has_nothing_inline_and_nothing_from_elsewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"\son\w+=|style=|<style|javascript:|https?://", text)
    assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", text))


def test_no_script_writes_markup() -> None:
    for script in PAGE.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script.read_text())
