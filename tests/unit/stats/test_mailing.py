"""Mailed reports: each run once to each recipient, however many there are, whatever dies between two lines."""

from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.stats.adapters.memory import MemoryStore
from services.stats.domain.board import Board
from services.stats.domain.profile import Profile
from services.stats.domain.raport import Schedule
from services.stats.mailing import MAILS, MOST_TRIES, Mailing, NotSent
from services.stats.raporty import Made

KYIV = ZoneInfo("Europe/Kyiv")
NOW_MS = int(datetime(2026, 11, 24, 7, 5, tzinfo=KYIV).timestamp() * 1000)
PEOPLE = tuple(f"p{number}@example.com" for number in range(30))


class Killed(BaseException):
    """The process ends here."""


class Postbox:
    """Takes letters. `refuses`: what it says to the next ones; `dies_after`: when the process ends."""

    sender = "reports@ringmaster.example"

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []
        self.refuses: list[NotSent] = []
        self.dies_after = -1

    def send(self, made: Made, recipient: str, message_id: str) -> None:
        del made
        if self.refuses:
            raise self.refuses.pop(0)
        self.got.append((recipient, message_id))
        if len(self.got) == self.dies_after:
            raise Killed


class Maker:
    def make(self, *asked: Any) -> Made:
        del asked
        return Made("", "", "", b"", [])


class Office:
    def __init__(self, *raport_ids: str) -> None:
        self.now_ms, self.store, self.published = NOW_MS, MemoryStore(), list[Event]()
        schedules = tuple(Schedule(each, "summary", "day", "07:00", PEOPLE, (), "uk") for each in raport_ids)
        self.board = Board()
        self.board.put_profile("acme", Profile("acme", "Acme", "Europe/Kyiv", raporty=schedules))
        self.post = Postbox()

    def look(self) -> None:
        clock = Clock(wall=lambda: self.now_ms / 1000)
        maker, post = cast("Any", Maker()), cast("Any", self.post)
        Mailing(self.board, maker, self.store, clock, post, self.published.append).look("acme")


def test_a_company_of_many_letters_gets_each_once() -> None:
    """Also those that are not among the newest that the delivery log shows."""
    office = Office(*(f"r{number}" for number in range(20)))
    office.look()
    office.look()
    assert len(office.post.got) == len(set(office.post.got)) == 20 * len(PEOPLE)
    assert len({event.event_id for event in office.published}) == len(office.published) == 20


@pytest.mark.parametrize("taken", [1, 2, 17, len(PEOPLE)])
def test_a_kill_repeats_one_letter_at_most_under_the_same_id(taken: int) -> None:
    office = Office("morning")
    office.post.dies_after = taken
    with pytest.raises(Killed):
        office.look()
    office.post.dies_after = -1
    office.look()
    office.look()
    assert {recipient for recipient, _ in office.post.got} == set(PEOPLE)
    assert len(office.post.got) == len(PEOPLE) + 1
    assert len(set(office.post.got)) == len(PEOPLE)
    assert len({event.event_id for event in office.published}) == 1


def test_what_the_server_never_takes_is_given_up_and_the_rest_is_tried_for_hours() -> None:
    office = Office("morning")
    office.post.refuses += [NotSent("550 no such person", is_final=True), NotSent("451 later", is_final=False)]
    office.look()
    states = {each["recipient"]: each["state"] for each in office.store.kept(MAILS, "acme")}
    assert (states[PEOPLE[0]], states[PEOPLE[1]], states[PEOPLE[2]]) == ("given_up", "failed", "sent")
    office.look()
    assert (PEOPLE[1], 1) in {(each["recipient"], each["tries"]) for each in office.store.kept(MAILS, "acme")}
    tries = 1
    for _ in range(MOST_TRIES + 3):
        office.now_ms += 3_600_000
        office.post.refuses.append(NotSent("451 later", is_final=False))
        office.look()
        tries += not office.post.refuses
        office.post.refuses.clear()
    assert tries == MOST_TRIES
    states = {each["recipient"]: each["state"] for each in office.store.kept(MAILS, "acme")}
    assert (states[PEOPLE[0]], states[PEOPLE[1]]) == ("given_up", "given_up")
    assert [to for to, _ in office.post.got].count(PEOPLE[1]) == 0


def test_a_report_that_was_due_too_long_ago_is_no_news() -> None:
    office = Office("morning")
    office.now_ms += 21 * 3_600_000
    office.look()
    assert office.post.got == []
