import base64
import json
import os
from pathlib import Path

import pytest

from services.webhooks.adapters.secrets_file import SecretsFile, SecretsUnreadable, parse_secrets

FIRST = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECOND = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def write(path: Path, text: str, moment: int) -> None:
    path.write_text(text)
    os.utime(path, ns=(moment, moment))


def test_the_key_of_made_secrets_is_no_secret_of_anybody(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"key": base64.b64encode(b"k" * 32).decode()}))
    assert SecretsFile(path).key == b"k" * 32
    assert SecretsFile(path).secrets_of("key", "") == ()


@pytest.mark.parametrize("key", ["short", "", 7, base64.b64encode(b"k" * 31).decode(), ["a"]])
def test_a_key_that_is_none_is_refused_without_being_shown(tmp_path: Path, key: object) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"key": key}))
    with pytest.raises(SecretsUnreadable) as refusal:
        SecretsFile(path)
    assert str(key) == "" or str(key) not in str(refusal.value)


def test_secrets_are_found_by_tenant_and_name_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    write(path, f'{{"acme/main": ["{FIRST}", "{SECOND}"], "beta/main": "{SECOND}"}}', 1)
    secrets = SecretsFile(path)
    assert len(secrets.secrets_of("acme", "main")) == 2
    assert secrets.secrets_of("acme", "main")[1] == secrets.secrets_of("beta", "main")[0]
    assert secrets.secrets_of("acme", "other") == ()


def test_a_changed_file_is_read_again_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    write(path, f'{{"acme/main": ["{FIRST}"]}}', 1)
    secrets = SecretsFile(path)
    write(path, f'{{"acme/main": ["{SECOND}", "{FIRST}"]}}', 2)
    secrets.refresh()
    assert len(secrets.secrets_of("acme", "main")) == 2
    write(path, '{"acme/main": ', 3)
    secrets.refresh()
    path.unlink()
    secrets.refresh()
    assert len(secrets.secrets_of("acme", "main")) == 2


@pytest.mark.parametrize("text", ["", "[]", '{"a/b": []}', '{"a/b": [1]}', '{"a/b": "whsec_short"}', '{"a/b": null}'])
def test_a_file_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(SecretsUnreadable):
        parse_secrets(text)


def test_a_missing_file_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(SecretsUnreadable, match="No such file"):
        SecretsFile(tmp_path / "none.json")


def test_a_rotations_old_secret_names_its_end() -> None:
    text = f'{{"acme/main": ["{FIRST}", {{"secret": "{SECOND}", "until": "1970-01-02T00:00:00Z"}}]}}'
    assert [dated.until for dated in parse_secrets(text)["acme/main"]] == [None, 86400.0]


@pytest.mark.parametrize("until", ["soon", "2027-01-01T00:00:00", ""])
def test_an_end_that_is_no_moment_is_refused(until: str) -> None:
    with pytest.raises(SecretsUnreadable) as refused:
        parse_secrets(f'{{"a/b": {{"secret": "{FIRST}", "until": "{until}"}}}}')
    assert FIRST not in str(refused.value)
