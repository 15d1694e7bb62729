"""The same two waits in FreeSWITCH's own mod_callcenter: the peer's row, where FREESWITCH_BIN has that module.

One process and nothing between: no broker, no document is written, no call is recorded. Callers and agents are channels
without sound. Timed as the tap does, when the event is on the wire: `member-queue-start`, or `bridge-agent-end` of an
agent while callers wait, to `agent-offering`. It looks for work every 100 ms, and takes an agent's last call for over
only when a whole second of the clock has begun since: that is most of what an agent waits.

    python -m bench.latency.callcenter
"""

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path
from threading import Thread
from urllib.parse import unquote

from bench.report import Row, show
from services.shared.testing.ports import free_port

WHO = "mod_callcenter"
AGENTS, WAITING, CALLS_A_SECOND = 100, 50, 10
Span = tuple[float, float]
TALK_SECONDS: Span = (2.0, 6.0)
START_SECONDS = 30.0
_MODULES = ("event_socket", "commands", "dptools", "dialplan_xml", "tone_stream", "loopback", "callcenter")
_CONFIGURATION = """<document type="freeswitch/xml"><section name="configuration">
<configuration name="switch.conf"><settings>
  <param name="max-sessions" value="2000"/><param name="sessions-per-second" value="500"/>
  <param name="1ms-timer" value="true"/><param name="loglevel" value="err"/>
</settings></configuration>
<configuration name="modules.conf"><modules>{modules}</modules></configuration>
<configuration name="event_socket.conf"><settings>
  <param name="listen-ip" value="127.0.0.1"/><param name="listen-port" value="{port}"/>
  <param name="password" value="bench"/>
</settings></configuration>
<configuration name="callcenter.conf"><settings/><queues><queue name="hall">
  <param name="strategy" value="longest-idle-agent"/><param name="moh-sound" value="silence_stream://-1"/>
  <param name="time-base-score" value="system"/><param name="tier-rules-apply" value="false"/>
  <param name="max-wait-time" value="0"/><param name="abandoned-resume-allowed" value="false"/>
</queue></queues><agents/><tiers/></configuration>
</section><section name="dialplan"/><section name="directory"/></document>"""


def program() -> str | None:
    """Return a FreeSWITCH that has mod_callcenter, and mod_loopback for channels without sound."""
    found = shutil.which(os.environ.get("FREESWITCH_BIN") or "freeswitch")
    if found is None:
        return None
    places = [Path(found).resolve().parents[1] / "lib" / "freeswitch" / "mod", Path("/usr/lib/freeswitch/mod")]
    return (
        found if any(all((place / f"mod_{name}.so").exists() for name in _MODULES[-2:]) for place in places) else None
    )


class Link:
    """One connection to the event socket."""

    def __init__(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", port), START_SECONDS)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self._reader = self._socket.makefile("rb")
        self.frame()
        self.ask("auth bench")

    def ask(self, command: str) -> str:
        """Send a command; return its answer."""
        self._socket.sendall(f"{command}\n\n".encode())
        head, body = self.frame()
        return body or head.get("Reply-Text", "")

    def frame(self) -> tuple[dict[str, str], str]:
        """Read one frame: its headers and its body."""
        head = {}
        while line := self._reader.readline().strip():
            name, _, value = line.decode().partition(": ")
            head[name] = value
        return head, self._reader.read(int(head.get("Content-Length", "0"))).decode(errors="replace")

    def close(self) -> None:
        """Close it."""
        self._reader.close()
        self._socket.close()


@dataclass(slots=True)
class Hall:
    """What has happened in the queue: who came and who became free when, the waits in seconds, and whose talk ends."""

    talk_seconds: Span
    came: dict[str, float] = field(default_factory=dict)
    free: dict[str, float] = field(default_factory=dict)
    waits: list[tuple[float, str]] = field(default_factory=list)
    ended: int = 0
    talks: list[tuple[float, str]] = field(default_factory=list)
    """A heap of (when it ends, the agent's leg)."""
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def see(self, event: dict[str, str], now: float) -> None:
        """Take one event of the queue."""
        action, agent, member = (event.get(name, "") for name in ("CC-Action", "CC-Agent", "CC-Member-UUID"))
        if action == "member-queue-start":
            self.came[member] = now
        elif action == "bridge-agent-start":
            heappush(self.talks, (now + self.dice.uniform(*self.talk_seconds), event.get("CC-Agent-UUID", "")))
        elif action == "bridge-agent-end":
            self.free[agent] = now
        elif action == "member-queue-end":
            self.ended += 1
        elif action == "agent-offering":
            came, free = self.came.pop(member, 0.0), self.free.pop(agent, 0.0)
            if came or free:
                self.waits.append((now - max(came, free), "agent free" if free > came else "caller joins"))


@contextmanager
def running(freeswitch: str) -> Iterator[int]:
    """Run a FreeSWITCH with one queue; gives its event socket's port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        modules = "".join(f'<load module="mod_{name}"/>' for name in _MODULES)
        text = _CONFIGURATION.format(modules=modules, port=port)
        Path(folder, "freeswitch.xml").write_text(text, encoding="utf-8")
        command = [freeswitch, "-nf", "-nc", "-nonat", "-nosql"]
        for name in ("conf", "log", "db", "run", "storage", "certs"):
            command += [f"-{name}", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield port
        finally:
            process.terminate()
            process.wait(30)


def _staff(link: Link, agents: int) -> None:
    contact = "{null_enable_auto_answer=true}null/agent"
    for number in range(agents):
        name = f"a{number}"
        for words in (
            f"agent add {name} callback",
            f"agent set contact {name} {contact}",
            f"agent set status {name} Available",
            f"agent set state {name} Waiting",
            f"tier add hall {name} 1 {number + 1}",
        ):
            answer = link.ask(f"api callcenter_config {words}")
            if not answer.startswith("+OK"):
                raise RuntimeError(f"{words}: {answer}")


def _call(link: Link) -> None:
    link.ask("bgapi originate {null_enable_auto_answer=true}null/caller &callcenter(hall)")


def measure(
    freeswitch: str, *, waiting: int, seconds: float, agents: int = AGENTS, talk_seconds: Span = TALK_SECONDS
) -> list[tuple[float, str]]:
    """Let callers come: as many as agents and `waiting` more are always there, or (0) some each second.

    Returns the waits in seconds, and who waited for whom. Raises RuntimeError when the switch refuses.
    """
    hall = Hall(talk_seconds)
    with running(freeswitch) as port:
        commands, events = Link(port), Link(port)
        _staff(commands, agents)
        events.ask("event plain CUSTOM callcenter::info")
        Thread(target=_watch, args=(events, hall), daemon=True).start()
        placed, next_call, ends = 0, time.perf_counter(), time.perf_counter() + seconds
        while (now := time.perf_counter()) < ends:
            if placed - hall.ended < agents + waiting if waiting else now >= next_call:
                _call(commands)
                placed, next_call = placed + 1, now + hall.dice.expovariate(CALLS_A_SECOND)
            elif hall.talks and hall.talks[0][0] <= now:
                commands.ask(f"bgapi uuid_kill {heappop(hall.talks)[1]}")
            else:
                time.sleep(0.002)
        commands.close()
    return hall.waits


def _watch(events: Link, hall: Hall) -> None:
    """Note what the queue tells until the switch is gone."""
    while True:
        head, body = events.frame()
        now = time.perf_counter()
        if not head:
            return
        if head.get("Content-Type") == "text/event-plain":
            lines = (line.partition(": ") for line in body.splitlines())
            hall.see({name: unquote(value) for name, _, value in lines}, now)


def rows(freeswitch: str, seconds: float) -> list[Row]:
    """Measure both waits and return their rows."""
    stages = {"caller joins": (0, f"{CALLS_A_SECOND} calls/s"), "agent free": (WAITING, f"{WAITING} waiting")}
    found = []
    for who, (waiting, how) in stages.items():
        waits = sorted(wait for wait, kind in measure(freeswitch, waiting=waiting, seconds=seconds) if kind == who)
        name = f"{WHO}: {who}, {AGENTS} agents, {how}"
        found.append(Row(name, "offers", len(waits), "offers"))
        if not waits:
            continue
        at = {share: waits[len(waits) * share // 100] * 1000 for share in (50, 99)}
        found += [Row(name, f"event -> offer p{share}", wait, "ms") for share, wait in at.items()]
    return found


def main() -> int:
    """Print the peer's rows, or that it is not here."""
    freeswitch = program()
    if freeswitch is None:
        print("No FreeSWITCH with mod_callcenter here: FREESWITCH_BIN names one.")
        return 2
    show(rows(freeswitch, float(os.environ.get("LATENCY_SECONDS", "20"))), [])
    return 0


if __name__ == "__main__":
    sys.exit(main())
