"""Looking for what is due leaves the document store time for what is settled."""

from collections.abc import Collection
from typing import Any

import pytest
from gevent.event import Event as Flag

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.webhooks import retries
from services.webhooks.domain.endpoint import EndpointKey
from services.webhooks.lanes import Job
from services.webhooks.retries import (
    LONGEST_REST_SECONDS,
    LOOK_REST,
    LOOK_SECONDS,
    PAUSE_SECONDS,
    RetryScheduler,
    Tenure,
)
from services.webhooks.settling import Settling
from services.webhooks.waiting import Due, Lease, MemoryWaitingRoom, StoreUnavailable


class Steps:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at


class SlowRoom(MemoryWaitingRoom):
    """Each look takes the next of some times; a negative one finds the store away."""

    def __init__(self, steps: Steps, *seconds: float) -> None:
        super().__init__()
        self._steps, self._seconds = steps, list(seconds)

    def due(self, now_ms: int, limit: int, without: Any) -> list[Due]:
        seconds = self._seconds.pop(0)
        self._steps.at += abs(seconds)
        if seconds < 0:
            raise StoreUnavailable("away")
        return super().due(now_ms, limit, without)


class Stopping:
    """Notes how long is waited, and stops after so many waits."""

    def __init__(self, waits: int) -> None:
        self._left, self.waits = waits, list[float]()

    def is_set(self) -> bool:
        return len(self.waits) >= self._left

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self.is_set()


class Nothing:
    """Stands where nothing is due: lanes, health and order are asked for nothing."""

    speed = 1.0

    def now_ms(self) -> int:
        return 1_790_000_000_000

    def resting(self) -> list[Any]:
        return []


def test_the_longer_a_look_takes_the_longer_the_store_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, nothing, stopping = Steps(), Nothing(), Stopping(4)
    monkeypatch.setattr(retries, "time", steps)
    scheduler = RetryScheduler(
        SlowRoom(steps, 0.001, 0.5, 3.0, -3.0),
        nothing,  # type: ignore[arg-type]
        nothing,  # type: ignore[arg-type]
        nothing,  # type: ignore[arg-type]
        Tenure("one"),
        order=nothing,  # type: ignore[arg-type]
        health=nothing,  # type: ignore[arg-type]
        settling=Settling(MemoryWaitingRoom(), Flag()),
    )
    scheduler.run(stopping)
    assert stopping.waits == pytest.approx([LOOK_SECONDS, 0.5 * LOOK_REST, LONGEST_REST_SECONDS, PAUSE_SECONDS])


class Mute(MemoryWaitingRoom):
    """Loses what it is asked to claim, or the answer to it, as often as it is told to."""

    def __init__(self, *lost: str) -> None:
        super().__init__()
        self.lost = list(lost)

    def claim(self, chosen: Collection[Due], lease: Lease) -> list[Delivery]:
        lost = self.lost.pop(0) if self.lost else ""
        if lost == "question":
            raise StoreUnavailable("not asked")
        found = super().claim(chosen, lease)
        if lost == "answer":
            raise StoreUnavailable("asked, but not answered")
        return found


class Lane:
    """Takes everything that it is offered, and has room for all."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def room_for_retries(self, _key: EndpointKey) -> int:
        return 100

    def offer(self, job: Job) -> bool:
        self.names.append(job.delivery.delivery_id)
        return True


class Sound(Nothing):
    """Every endpoint is, and no order is kept."""

    def is_half_open(self, _key: EndpointKey) -> bool:
        return False


@pytest.mark.parametrize("lost", [(), ("answer",), ("question",), ("answer", "answer"), ("question", "answer")])
def test_a_claim_to_which_there_was_no_answer_is_begun_at_the_next_look_and_once(lost: tuple[str, ...]) -> None:
    room, lane, sound = Mute(*lost), Lane(), Sound()
    room.put(
        [Delivery(delivery_id=f"d{number}", tenant_id="acme", endpoint_id="crm", due_ms=number) for number in range(3)]
    )
    scheduler = _scheduler(room, lane, sound)
    scheduler.run(Stopping(len(lost) + 3))
    assert lane.names == ["d0", "d1", "d2"]


def test_of_a_claim_without_an_answer_only_what_is_still_for_this_process_is_begun() -> None:
    room, lane, sound = Mute("answer"), Lane(), Sound()
    room.put([Delivery(delivery_id=name, tenant_id="acme", endpoint_id=name, due_ms=1) for name in ("kept", "given")])
    given = set[str]()

    def may_take(due: Due) -> bool:
        return due.endpoint not in given

    class Moves(Stopping):
        def wait(self, seconds: float) -> bool:
            given.add("acme.given")  # its partition goes to another process
            return super().wait(seconds)

    _scheduler(room, lane, sound, may_take).run(Moves(3))
    assert lane.names == ["kept"]


def _scheduler(room: MemoryWaitingRoom, lane: Any, sound: Any, may_take: Any = lambda _due: True) -> RetryScheduler:
    return RetryScheduler(
        room,
        lane,
        sound,
        sound,
        Tenure("one"),
        order=sound,
        health=sound,
        settling=Settling(room, Flag()),
        may_take=may_take,
    )
