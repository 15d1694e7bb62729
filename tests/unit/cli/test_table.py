import pytest

from services.cli import table
from services.cli.checks import CHECKS
from services.cli.doctor import examine
from services.cli.settings import DoctorSettings
from services.cli.topics import definitions, differences
from services.shared.bus.admin import TopicDefinition


def test_every_word_has_a_command_that_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for word in table.COMMANDS:
        with pytest.raises(SystemExit) as left:
            table.run([word, "--help"])
        assert left.value.code == 0
        assert "usage" in capsys.readouterr().out


def test_an_unknown_word_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert table.run(["docter"]) == table.EXIT_SETTINGS
    told = capsys.readouterr().err
    assert "'docter'" in told
    assert "ringmaster COMMAND" in told


def test_an_image_without_a_commands_libraries_says_which_image_has_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(table.COMMANDS, "ghost", table.Command("services.cli.ghost", "not there"))
    assert table.run(["ghost"]) == table.EXIT_SETTINGS
    assert "The image `tools` has all." in capsys.readouterr().err


def test_topics_that_are_as_their_files_say_are_not_complained_about() -> None:
    wanted = definitions()
    # Another size of the platform has other counts, and that is no fault.
    assert differences(wanted, {one.topic: one.with_partitions(7) for one in wanted}) == []


def test_each_difference_of_a_topic_is_told() -> None:
    wanted = [TopicDefinition("a", 4, -1, "compact"), TopicDefinition("b", 4, 1000, "delete")]
    found = {"a": TopicDefinition("a", 4, 500, "delete")}
    assert differences(wanted, found) == [
        "b is missing",
        "a: cleanup.policy is delete, must be compact",
        "a: retention.ms is 500, must be -1",
    ]


def test_the_doctor_names_every_setting_that_is_missing() -> None:
    found = {name: examine(name, check, DoctorSettings()) for name, check in CHECKS.items()}
    missing = {
        "broker": "RINGMASTER_KAFKA_BOOTSTRAP is not set",
        "topics": "RINGMASTER_KAFKA_BOOTSTRAP is not set",
        "documents": "RINGMASTER_MONGODB_URI is not set",
        "objects": "RINGMASTER_S3_ENDPOINT is not set",
        "tokens": "RINGMASTER_API_TOKENS is not set",
        "webhooks": "RINGMASTER_WEBHOOK_SECRETS is not set",
        "phones": "RINGMASTER_DIRECTORY_PASSWORD is not set",
        "erasures": "RINGMASTER_ERASURE_SECRET is not set",
    }
    assert {name: one.words for name, one in found.items() if one.state == "ILL"} == missing
    assert {name for name, one in found.items() if one.state == "left out"} == {
        "channels",
        "switch",
        "mail",
        "speech",
        "services",
    }
