"""`ringmaster topics create`: a broker that has just made a topic may not tell of it yet."""

from typing import Any

import pytest

from services.cli import topics
from services.shared.bus.admin import TopicDefinition


def a_broker(monkeypatch: pytest.MonkeyPatch, told_at: int) -> list[int]:
    """Make one that tells of its topics when it is asked so often; return what it was asked."""
    asked: list[int] = []

    def found(_bootstrap: str, names: list[str]) -> dict[str, TopicDefinition]:
        asked.append(len(names))
        return {one.topic: one for one in topics.definitions()} if len(asked) >= told_at else {}

    def made(_bootstrap: str, wanted: list[TopicDefinition], _replicas: int) -> list[str]:
        return [one.topic for one in wanted]

    monkeypatch.setenv("RINGMASTER_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    for name, stand_in in {"found_topics": found, "ensure_topics": made, "TOLD_LOOK_SECONDS": 0.001}.items():
        monkeypatch.setattr(topics, name, stand_in)
    return asked


def test_what_was_created_is_looked_for_until_the_broker_tells_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = a_broker(monkeypatch, told_at=3)
    assert topics.run(["create"]) == 0
    assert len(asked) == 3
    assert "topics are as they should be" in capsys.readouterr().out


def test_what_the_broker_never_tells_of_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    a_broker(monkeypatch, told_at=10_000)
    monkeypatch.setattr(topics, "TOLD_SECONDS", 0.01)
    assert topics.run(["create"]) == 1
    assert "ringmaster.inputs is missing" in capsys.readouterr().err
