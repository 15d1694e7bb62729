"""How a part hears the events when one company is not to wait for another: each has a queue of its own (ADR 53)."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import gevent
from gevent.event import Event as Flag

from services.shared.bus.errors import BusUnavailable, NotDelivered
from services.webhooks.domain.offsets import ContiguousOffsets, Ticket
from services.webhooks.hearing import Heard, Place, Turn
from services.webhooks.listening import PAUSE_SECONDS, note_held_up

Waiting: TypeAlias = tuple[Heard, Ticket]


@dataclass(slots=True, eq=False)
class Company:
    """What one company has to be told yet, in the log's order.

    What was begun stands apart until it had its effect: when that fails it is put back, and all of it begun again.
    """

    tenant_id: str
    waiting: deque[Waiting] = field(default_factory=deque)
    begun: deque[Waiting] = field(default_factory=deque)

    def begin(self) -> Waiting:
        """Take the next one."""
        self.begun.append(self.waiting.popleft())
        return self.begun[-1]

    def put_back(self) -> None:
        """Begin again with the first that had no effect."""
        self.waiting.extendleft(reversed(self.begun))
        self.begun.clear()


class PartByCompany(Protocol):
    """Something that wants to hear the public events, and keeps one company from waiting for another."""

    @property
    def name(self) -> str:
        """Its name in logs."""

    def take(self, backlog: "Backlog", stopping: Flag) -> None:
        """Do what is to be done for all that waits; return when that is done or under way, or the service stops.

        Raises BusUnavailable or NotDelivered where it can't be: what had no effect is put back, and it is called again.
        """

    def finish(self) -> None:
        """Return when nothing is under way any more."""


@dataclass(slots=True)
class Backlog:
    """What waits for a part, company by company, and up to where all of the log had its effect."""

    came: Flag = field(default_factory=Flag)
    room: Flag = field(default_factory=Flag)
    companies: dict[str, Company] = field(default_factory=dict)
    """Those of which something waits, or was begun and had no effect yet."""
    behind: int = 0
    done: dict[Place, int] = field(default_factory=dict)
    news: list[Company] = field(default_factory=list)
    """Those to whom something came since somebody last looked."""
    _offsets: ContiguousOffsets = field(default_factory=ContiguousOffsets)
    _places: set[Place] = field(default_factory=set)

    def bring(self, heard: Iterable[Heard]) -> None:
        """Let events wait."""
        for one in heard:
            company = self.companies.get(one.record.key)
            if company is None:
                company = self.companies[one.record.key] = Company(one.record.key)
            if not company.waiting:
                self.news.append(company)
            company.waiting.append((one, self._offsets.begin(one.place, one.record.offset)))
            self._places.add(one.place)
            self.behind += 1
        self.came.set()

    def take_news(self) -> list[Company]:
        """Return those to whom something came since this was last asked."""
        news, self.news = self.news, []
        return news

    def has(self, company: Company) -> bool:
        """Whether a company's queue is still in use: not since the partitions were shared out anew."""
        return self.companies.get(company.tenant_id) is company

    def finish(self, company: Company, count: int = 1) -> None:
        """Note that the first that were begun of a company had their effect."""
        for _ in range(count):
            self._offsets.finish(company.begun.popleft()[1])
        if not self.has(company):
            return
        self.behind -= count
        self.room.set()
        self.done |= self._offsets.take_ready()
        if not company.waiting and not company.begun:
            del self.companies[company.tenant_id]

    def put_back(self, company: Company) -> None:
        """Let what was begun of a company, and had no effect, wait again, and be news where something waits."""
        company.put_back()
        if company.waiting and self.has(company):
            self.news.append(company)

    def forget(self) -> None:
        """Begin anew: nothing of what is under way counts any more."""
        for place in self._places:
            self._offsets.forget(place)
        self._places.clear()
        self.companies, self.news, self.behind = {}, [], 0
        self.done.clear()
        self.room.set()


@dataclass(slots=True)
class ByCompany:
    """Of a part that takes what waits of all companies in the order that it sees fit."""

    part: PartByCompany
    backlog: Backlog = field(default_factory=Backlog)
    epoch: int = 0
    ended: Flag = field(default_factory=Flag)

    @property
    def name(self) -> str:
        """The part's name in logs."""
        return self.part.name

    @property
    def behind(self) -> int:
        """How many events wait for it."""
        return self.backlog.behind

    @property
    def room(self) -> Flag:
        """Set whenever fewer wait."""
        return self.backlog.room

    @property
    def done(self) -> dict[Place, int]:
        """Up to where everything had its effect."""
        return self.backlog.done

    def wants(self, turn: Turn) -> bool:
        """Whether something came."""
        return bool(turn.heard)

    def bring(self, turn: Turn) -> None:
        """Let a turn's events wait."""
        self.backlog.bring(turn.heard)

    def run(self, stopping: Flag) -> None:
        """Take what waits until stopped."""
        while not stopping.is_set():
            gevent.wait([self.backlog.came, stopping], count=1)
            self.take(stopping)
        self.part.finish()
        self.ended.set()

    def take(self, stopping: Flag) -> None:
        """Let the part take what waits; where it can't, it tries again after a pause."""
        self.backlog.came.clear()
        try:
            self.part.take(self.backlog, stopping)
        except (BusUnavailable, NotDelivered) as error:
            note_held_up(self.name, error)
            self.backlog.came.set()
            stopping.wait(PAUSE_SECONDS)

    def forget(self, epoch: int) -> None:
        """Begin anew."""
        self.epoch = epoch
        self.backlog.forget()
