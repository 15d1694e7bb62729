import re
from pathlib import Path

import pytest

from services.shared.chassis.page_routes import WORDS
from services.shared.chassis.pages import DOOR, LANGUAGES

PAGES = sorted((Path(__file__).resolve().parents[3] / "services").glob("*/page"))
EVERY = pytest.mark.parametrize("folder", PAGES, ids=lambda folder: folder.parent.name)
# A word is `key: "text"`; its text may hold {places}.
WORD = re.compile(r"(\w+): \"([^\"]*)\"")


def words_of(folder: Path, name: str) -> dict[str, str]:
    block = (folder / "words.js").read_text(encoding="utf-8").split(f"const {name} = {{", 1)[1].split("\n};", 1)[0]
    return dict(WORD.findall(block))


@EVERY
def test_both_languages_have_every_word_with_the_same_places(folder: Path) -> None:
    english, ukrainian = words_of(folder, "ENGLISH"), words_of(folder, "UKRAINIAN")
    assert english.keys() == ukrainian.keys()
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", ukrainian[key])), key


def test_the_door_speaks_both_languages() -> None:
    assert set(WORDS) == set(LANGUAGES)
    assert WORDS["en"].keys() == WORDS["uk"].keys()
    said = set(re.findall(r"words\.(\w+)", (DOOR / "login.html").read_text(encoding="utf-8")))
    assert said <= WORDS["en"].keys()


@EVERY
def test_every_word_that_the_page_says_is_there(folder: Path) -> None:
    said = {key for page in folder.glob("*.html") for key in re.findall(r'data-text="(\w+)"', page.read_text())}
    said |= {key for script in folder.glob("*.js") for key in re.findall(r'say\("(\w+)"', script.read_text())}
    assert said <= words_of(folder, "ENGLISH").keys()


@pytest.mark.parametrize("page", [page for folder in [*PAGES, DOOR] for page in sorted(folder.glob("*.html"))], ids=str)
def test_a_page_has_nothing_inline_and_nothing_from_elsewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"\son\w+=|style=|<style|javascript:|https?://", text)
    assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", text))


@EVERY
def test_no_script_writes_markup(folder: Path) -> None:
    for script in folder.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script.read_text())
