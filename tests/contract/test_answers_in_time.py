"""A broker of several that is away: what is asked about its group ends in words, as the wait for any other does."""

import uuid
from typing import Any

import pytest
from kafka.errors import CoordinatorNotAvailableError
from kafka.future import Future

from services.shared.bus import consumer as module
from services.shared.bus.consumer import Consumer
from services.shared.bus.errors import BusUnavailable
from services.shared.bus.topics import DEAD_LETTERS


@pytest.mark.kafka
def test_a_groups_offsets_are_not_waited_for_without_end(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_MS", 300)
    reader = Consumer(kafka_bootstrap, f"group-{uuid.uuid4()}", [DEAD_LETTERS], "test", only_follows=True)
    coordinator: Any = reader._kafka._coordinator
    monkeypatch.setattr(coordinator, "coordinator_unknown", lambda: True)
    monkeypatch.setattr(coordinator, "lookup_coordinator", lambda: Future().failure(CoordinatorNotAvailableError()))
    for ask in (lambda: reader.committed(DEAD_LETTERS, 0), lambda: reader.committed_of(DEAD_LETTERS, [0])):
        with pytest.raises(BusUnavailable):
            ask()
    monkeypatch.undo()
    reader.close()
