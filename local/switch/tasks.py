"""Scheduled api commands: sched_api, sched_del, sched_hangup, sched_transfer.

The switch counts whole seconds: a task for `+5` is due when the clock's second number has grown by five, so it runs
between four and five seconds later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.switch.clock import MICROSECONDS, TICK_US
from local.switch.encoding import header

if TYPE_CHECKING:
    from local.switch.core import Switch
    from local.switch.scheduler import Timer


@dataclass(slots=True)
class Task:
    """One scheduled command."""

    number: int
    group: str
    command: str
    description: str
    runtime: int
    every: int
    timer: Timer | None = None

    def lines(self) -> str:
        """Return the task's headers in ADD_SCHEDULE, DEL_SCHEDULE and RE_SCHEDULE."""
        return (
            f"Task-ID: {self.number}\n"
            + header("Task-Desc", self.description)
            + header("Task-Group", self.group)
            + f"Task-Runtime: {self.runtime}\n"
        )


class Tasks:
    """All scheduled commands of one boot."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._tasks: dict[int, Task] = {}
        self._of_group: dict[str, set[int]] = {}
        self._last_number = 1  # the heartbeat has number one

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, when: str, group: str, command: str, description: str = "sched_api_function") -> int:
        """Schedule a command for `+seconds`, `@seconds` (again and again) or an epoch second; return its number."""
        now = self._switch.scheduler.clock.now_us() // MICROSECONDS
        every = 0
        text = when.lstrip("+@")
        seconds = int(text) if text.isdigit() else 0
        if when.startswith("@"):
            every = seconds
        runtime = now + seconds if when[:1] in {"+", "@"} else seconds
        self._last_number += 1
        task = Task(self._last_number, group, command, description, runtime, every)
        self._tasks[task.number] = task
        self._of_group.setdefault(group, set()).add(task.number)
        self._arm(task)
        self._switch.bus.emit("ADD_SCHEDULE", task.lines())
        return task.number

    def delete(self, what: str) -> int:
        """Delete by task number or by group; return how many went."""
        doomed = self._of_group.get(what, set()) | ({int(what)} & self._tasks.keys() if what.isdigit() else set())
        for number in sorted(doomed):
            self._drop(self._tasks[number])
        return len(doomed)

    def clear(self) -> None:
        """Forget everything, as a dying switch does."""
        for task in self._tasks.values():
            if task.timer is not None:
                task.timer.cancel()
        self._tasks.clear()
        self._of_group.clear()

    def _arm(self, task: Task) -> None:
        task.timer = self._switch.scheduler.at(task.runtime * MICROSECONDS + TICK_US, lambda: self._run(task))

    def _run(self, task: Task) -> None:
        name, _, argument = task.command.partition(" ")
        self._switch.api.run(name, argument)
        if task.every and task.number in self._tasks:
            task.runtime += task.every
            self._switch.bus.emit("RE_SCHEDULE", task.lines())
            self._arm(task)
        elif task.number in self._tasks:
            self._drop(task)

    def _drop(self, task: Task) -> None:
        if task.timer is not None:
            task.timer.cancel()
        del self._tasks[task.number]
        group = self._of_group[task.group]
        group.remove(task.number)
        if not group:
            del self._of_group[task.group]
        self._switch.bus.emit("DEL_SCHEDULE", task.lines())
