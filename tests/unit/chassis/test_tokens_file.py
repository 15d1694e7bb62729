import json
import os
from hashlib import sha256
from pathlib import Path

import pytest

from services.shared.access import BadTokens, Principal, Role
from services.shared.chassis.tokens import MAX_TOKEN, TokensFile, bearer_token

BOSS = Principal("acme", Role.SUPERVISOR, "sofia")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "tokens.json", "boss")
    return tmp_path / "tokens.json"


def write(path: Path, token: str) -> None:
    entry = {"tenant": "acme", "role": "supervisor", "actor": "sofia"}
    path.write_text(json.dumps({sha256(token.encode()).hexdigest(): entry}))


def replace(path: Path, content: str) -> None:
    path.with_suffix(".next").write_text(content)
    os.replace(path.with_suffix(".next"), path)  # noqa: PTH105 - the atomic one


def test_a_token_of_the_file_has_its_holder_and_every_other_none(path: Path) -> None:
    tokens = TokensFile(path)
    assert tokens.holder("boss") == BOSS
    assert [tokens.holder(wrong) for wrong in ("", "Boss", "x" * (MAX_TOKEN + 1))] == [None] * 3


def test_a_token_that_was_taken_away_opens_nothing_and_a_new_one_works(path: Path) -> None:
    tokens = TokensFile(path)
    write(path.with_suffix(".other"), "new")
    replace(path, path.with_suffix(".other").read_text())
    assert tokens.holder("boss") is None
    assert tokens.holder("new") == BOSS


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": {"tenant": "", "role": "admin", "actor": "x"}}'])
def test_a_broken_file_stops_the_start_and_later_lets_nobody_in(path: Path, content: str) -> None:
    tokens = TokensFile(path)
    good = path.read_text()
    replace(path, content)
    assert tokens.holder("boss") is None
    with pytest.raises(BadTokens):
        TokensFile(path)
    replace(path, good)
    assert tokens.holder("boss") == BOSS


def test_a_file_that_is_gone_lets_nobody_in_until_it_is_back(path: Path) -> None:
    tokens = TokensFile(path)
    good = path.read_text()
    path.unlink()
    assert tokens.holder("boss") is None
    path.write_text(good)
    assert tokens.holder("boss") == BOSS


@pytest.mark.parametrize("header", ["", "boss", "Basic boss", "Bearer", "Bearer "])
def test_a_header_without_a_bearer_token_holds_none(header: str) -> None:
    assert bearer_token(header) == ""


def test_the_scheme_of_a_bearer_token_may_be_written_in_any_case() -> None:
    assert bearer_token("bEaReR boss") == "boss"
