"""The pair of connections as a listener uses it: sessions, gaps, overload, jobs."""

import random
from collections.abc import Callable, Iterator

import gevent
import gevent.event
import pytest

from services.shared.esl import commands
from services.shared.esl.client import (
    BacklogLimits,
    Backoff,
    Connected,
    Deadlines,
    Disconnected,
    EslClient,
    Event,
    Item,
    Subscription,
    Target,
)
from services.shared.esl.errors import (
    ConnectFailed,
    ConnectionLost,
    NotSent,
    OutcomeUnknown,
    Overloaded,
    ReplyTimeout,
    Stopped,
    SwitchShutDown,
    UnsafeValue,
    WrongPassword,
)
from tests.integration.esl.scripted_switch import (
    GOODBYE,
    PASSWORD,
    Guest,
    ScriptedSwitch,
    command_reply,
    eventually,
    open_sockets,
    plain_event,
)

AT_ONCE = Backoff(first_seconds=0.01, longest_seconds=0.05)
CREATE = plain_event("CHANNEL_CREATE", Unique_ID="leg-1")


class Listener:
    """A client and the one who takes from it; taking can be held up."""

    def __init__(self, client: EslClient) -> None:
        self.client = client
        self.items: list[Item] = []
        self.may_take = gevent.event.Event()
        self.may_take.set()
        self.greenlet = gevent.spawn(self._take)

    def _take(self) -> None:
        for batch in self.client.events():
            self.items += batch
            self.may_take.wait()

    def of(self, kind: type) -> list[Item]:
        return [item for item in self.items if isinstance(item, kind)]

    def names(self) -> list[str]:
        return [item.name if isinstance(item, Event) else type(item).__name__ for item in self.items]


Listen = Callable[..., Listener]


@pytest.fixture
def listen(switch: ScriptedSwitch) -> Iterator[Listen]:
    """Start clients of the scripted switch; they are stopped at the end."""
    listeners: list[Listener] = []

    def start(
        limits: BacklogLimits | None = None, deadlines: Deadlines | None = None, password: str = PASSWORD
    ) -> Listener:
        client = EslClient(
            Target(switch.host, switch.port, password),
            Subscription(("CHANNEL_CREATE",), ("callcenter::info",)),
            deadlines=deadlines,
            limits=limits,
            backoff=AT_ONCE,
            dice=random.Random(1),
        )
        client.start()
        listeners.append(Listener(client))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.may_take.set()
        listener.client.stop()
        listener.greenlet.join(5)


def connected(listener: Listener) -> bool:
    return listener.client.stats.connected and bool(listener.of(Connected))


def silent(_guest: Guest, _command: bytes) -> None:
    """Take a command and say nothing."""


def test_a_session_subscribes_on_one_connection_and_commands_on_the_other(
    switch: ScriptedSwitch, listen: Listen
) -> None:
    listener = listen()
    eventually(lambda: connected(listener))
    assert listener.client.execute(commands.api("status"), 5).text == "status"
    subscribe = b"event plain CHANNEL_CREATE HEARTBEAT BACKGROUND_JOB CUSTOM callcenter::info"
    assert switch.subscriber.commands == [b"auth ClueCon", subscribe]
    assert switch.commander.commands[-1] == b"api status"
    (first,) = listener.of(Connected)
    assert isinstance(first, Connected)
    assert (first.core_uuid, first.version) == ("core-1", "version")


def test_events_that_come_with_the_subscription_follow_the_connected_item(
    switch: ScriptedSwitch, listen: Listen
) -> None:
    switch.answers[b"event "] = lambda _guest, _command: command_reply("+OK") + CREATE * 3
    listener = listen()
    eventually(lambda: len(listener.items) == 4)
    assert listener.names() == ["Connected", *["CHANNEL_CREATE"] * 3]
    assert listener.client.stats.events_received == 3


def test_after_a_loss_it_connects_and_subscribes_anew(switch: ScriptedSwitch, listen: Listen) -> None:
    listener = listen()
    eventually(lambda: connected(listener))
    switch.emit(CREATE)
    eventually(lambda: len(listener.items) == 2)
    switch.core_uuid = "core-2"
    switch.drop_everybody()
    eventually(lambda: len(listener.of(Connected)) == 2)
    switch.emit(CREATE)
    eventually(lambda: len(listener.of(Event)) == 2)
    assert listener.names() == ["Connected", "CHANNEL_CREATE", "Disconnected", "Connected", "CHANNEL_CREATE"]
    lost = listener.items[2]
    assert isinstance(lost, Disconnected)
    assert isinstance(lost.error, ConnectionLost)
    assert lost.was_connected
    assert [item.core_uuid for item in listener.items if isinstance(item, Connected)] == ["core-1", "core-2"]


def test_a_wrong_password_is_told_at_every_try_until_it_is_right(switch: ScriptedSwitch, listen: Listen) -> None:
    switch.password = "changed"
    listener = listen()
    eventually(lambda: len(listener.of(Disconnected)) >= 3)
    for item in listener.items:
        assert isinstance(item, Disconnected)
        assert isinstance(item.error, WrongPassword)
        assert "password" in str(item.error)
        assert not item.was_connected
    switch.password = "ClueCon"
    eventually(lambda: connected(listener))


def test_an_absent_switch_is_retried_with_growing_pauses() -> None:
    dice = random.Random(7)
    pauses = [Backoff(0.25, 10.0).pause(attempt, dice) for attempt in range(40)]
    for attempt, pause in enumerate(pauses):
        whole = min(10.0, 0.25 * 2.0**attempt)
        assert whole / 2 <= pause <= whole
    assert len(set(pauses)) == 40


def test_a_refused_subscription_is_a_failed_connect(switch: ScriptedSwitch, listen: Listen) -> None:
    switch.answers[b"event "] = lambda _guest, _command: command_reply("-ERR no keywords supplied")
    listener = listen()
    eventually(lambda: listener.items)
    first = listener.items[0]
    assert isinstance(first, Disconnected)
    assert isinstance(first.error, ConnectFailed)
    assert "no keywords supplied" in str(first.error)


def test_no_socket_is_left_of_many_failed_tries(switch: ScriptedSwitch, listen: Listen) -> None:
    switch.answers[b"api version"] = lambda _guest, _command: command_reply("-ERR permission denied")
    listener = listen()
    eventually(lambda: len(listener.items) >= 5)
    before = open_sockets()
    eventually(lambda: len(listener.items) >= 40, seconds=20)
    assert open_sockets() <= before + 4


def test_a_consumer_that_takes_nothing_makes_us_close_and_lose_nothing_we_read(
    switch: ScriptedSwitch, listen: Listen
) -> None:
    listener = listen(limits=BacklogLimits(items=1_000))
    eventually(lambda: connected(listener))
    listener.may_take.clear()
    flooded = switch.subscriber
    flood = gevent.spawn(_flood, flooded)
    eventually(lambda: flooded.is_gone or flood.dead)
    flood.join(5)
    eventually(lambda: listener.client.stats.overloads == 1)
    assert not listener.client.stats.connected
    read = listener.client.stats.events_received
    assert read > 1_000
    with pytest.raises(NotSent):
        listener.client.execute(commands.api("status"), 1)
    assert len(switch.guests) == 2, "it must not come back before the backlog has been taken"
    listener.may_take.set()
    eventually(lambda: len(listener.of(Connected)) == 2)
    (gap,) = listener.of(Disconnected)
    assert isinstance(gap, Disconnected)
    assert isinstance(gap.error, Overloaded)
    assert listener.items.index(gap) == read + 1, "every event that was read comes before the gap"


def _flood(guest: Guest) -> None:
    try:
        for _ in range(1_000):
            guest.sock.sendall(CREATE * 100)
    except OSError:
        return


def test_commands_pass_while_the_consumer_is_stuck(switch: ScriptedSwitch, listen: Listen) -> None:
    listener = listen()
    eventually(lambda: connected(listener))
    listener.may_take.clear()
    switch.emit(CREATE * 5_000)
    assert listener.client.execute(commands.api("status"), 5).ok
    job = commands.bgapi("status", job_id="job-1")
    switch.answers[b"bgapi"] = _run_job(switch, "+OK done")
    assert listener.client.bgapi(job, 5).text == "+OK done"


def _run_job(switch: ScriptedSwitch, result: str) -> Callable[[Guest, bytes], bytes]:
    def answer(_guest: Guest, command: bytes) -> bytes:
        job = command.rpartition(b"Job-UUID: ")[2].decode()
        switch.emit(plain_event("BACKGROUND_JOB", result, Job_UUID=job))
        return command_reply(f"+OK Job-UUID: {job}")

    return answer


def test_a_job_is_answered_by_its_event_which_is_not_told_again(switch: ScriptedSwitch, listen: Listen) -> None:
    switch.answers[b"bgapi"] = _run_job(switch, "-ERR USER_BUSY\n")
    listener = listen()
    eventually(lambda: connected(listener))
    job = listener.client.bgapi(commands.originate("user/1001", "park"), 5)
    assert (job.ok, job.text) == (False, "-ERR USER_BUSY\n")
    switch.emit(CREATE)
    eventually(lambda: listener.of(Event))
    assert listener.names() == ["Connected", "CHANNEL_CREATE"]


def test_the_job_of_a_call_that_timed_out_comes_as_an_event(switch: ScriptedSwitch, listen: Listen) -> None:
    listener = listen()
    eventually(lambda: connected(listener))
    with pytest.raises(ReplyTimeout, match="no BACKGROUND_JOB"):
        listener.client.bgapi(commands.bgapi("status", job_id="late"), 0.05)
    switch.emit(plain_event("BACKGROUND_JOB", "+OK", Job_UUID="late"))
    eventually(lambda: listener.of(Event))
    (late,) = listener.of(Event)
    assert isinstance(late, Event)
    assert (late.get("Job-UUID"), late.body) == ("late", "+OK")


def test_a_refused_job_is_answered_at_once(switch: ScriptedSwitch, listen: Listen) -> None:
    switch.answers[b"bgapi"] = lambda _guest, _command: command_reply("-ERR permission denied")
    listener = listen()
    eventually(lambda: connected(listener))
    assert listener.client.bgapi(commands.bgapi("status"), 5).text == "-ERR permission denied"


def test_a_job_that_outlives_its_session_has_an_unknown_outcome(switch: ScriptedSwitch, listen: Listen) -> None:
    listener = listen()
    eventually(lambda: connected(listener))
    waiting = gevent.spawn(listener.client.bgapi, commands.bgapi("status"), 30)
    eventually(lambda: any(command.startswith(b"bgapi") for command in switch.commander.commands))
    switch.drop_everybody()
    with pytest.raises(OutcomeUnknown):
        gevent.spawn(_result_of, waiting).get()


def _result_of(greenlet: gevent.Greenlet) -> object:
    greenlet.join(10)
    raise greenlet.exception or AssertionError("it came to an end")


def test_only_a_background_command_is_run_as_a_job(listen: Listen) -> None:
    listener = listen()
    eventually(lambda: connected(listener))
    with pytest.raises(ValueError, match="not a bgapi command"):
        listener.client.bgapi(commands.api("status"), 5)


def test_the_last_events_of_a_dying_switch_are_read_although_commands_end_first(
    switch: ScriptedSwitch, listen: Listen
) -> None:
    listener = listen()
    eventually(lambda: connected(listener))
    events, orders = switch.subscriber, switch.commander
    orders.sock.sendall(GOODBYE)
    eventually(lambda: orders.is_gone)
    events.sock.sendall(plain_event("CHANNEL_HANGUP") * 10 + GOODBYE)
    eventually(lambda: listener.of(Disconnected))
    assert listener.names()[:12] == ["Connected", *["CHANNEL_HANGUP"] * 10, "Disconnected"]
    gap = listener.items[11]
    assert isinstance(gap, Disconnected)
    assert isinstance(gap.error, SwitchShutDown)


def test_nothing_can_be_sent_without_a_session(listen: Listen, switch: ScriptedSwitch) -> None:
    switch.close()
    listener = listen()
    for call in (
        lambda: listener.client.execute(commands.api("status"), 1),
        lambda: listener.client.submit(commands.api("status")),
        lambda: listener.client.bgapi(commands.bgapi("status"), 1),
    ):
        with pytest.raises(NotSent, match="no session"):
            call()


def test_stopping_ends_the_events_after_the_last_one(switch: ScriptedSwitch, listen: Listen) -> None:
    listener = listen()
    eventually(lambda: connected(listener))
    switch.emit(CREATE * 10)
    eventually(lambda: listener.client.stats.events_received == 10)
    listener.client.stop()
    listener.greenlet.join(5)
    assert listener.greenlet.dead
    last = listener.items[-1]
    assert isinstance(last, Disconnected)
    assert isinstance(last.error, Stopped)
    assert last.retry_in_seconds == 0
    eventually(lambda: all(guest.is_gone for guest in switch.guests))


def test_a_client_that_was_never_started_stops_at_once() -> None:
    client = EslClient(Target("127.0.0.1", 1, "x"), Subscription(("ALL",)))
    with gevent.Timeout(20):
        client.stop()
        assert list(client.events()) == []


def test_a_fault_of_ours_ends_the_events_and_comes_out_of_the_greenlet(
    switch: ScriptedSwitch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = EslClient(Target(switch.host, switch.port, PASSWORD), Subscription(("ALL",)))
    spawned: list[gevent.Greenlet] = []
    client._spawn = lambda _name, function: spawned.append(gevent.spawn(function))
    monkeypatch.setattr(client._backlog, "check", lambda: 1 // 0)
    client.start()
    eventually(lambda: client.stats.connected)
    switch.emit(CREATE)
    with gevent.Timeout(60):
        items = [item for batch in client.events() for item in batch]
    assert isinstance(items[0], Connected)
    assert isinstance(spawned[0].exception, ZeroDivisionError)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_stopping_interrupts_a_long_pause_and_a_connect(switch: ScriptedSwitch) -> None:
    switch.greeting = None
    client = EslClient(Target(switch.host, switch.port, "x"), Subscription(("ALL",)), deadlines=Deadlines(connect=60.0))
    client.start()
    eventually(lambda: switch.guests)
    with gevent.Timeout(20):
        client.stop()
    eventually(lambda: switch.guests[0].is_gone)


def test_others_get_their_turns_during_a_burst_of_20000_events(switch: ScriptedSwitch, listen: Listen) -> None:
    listener = listen()
    eventually(lambda: connected(listener))
    turns = 0

    def take_turns() -> None:
        nonlocal turns
        while True:
            gevent.sleep(0.001)
            turns += 1

    other = gevent.spawn(take_turns)
    burst = plain_event("CHANNEL_CREATE", X="y" * 6_000)
    feeder = gevent.spawn(switch.subscriber.sock.sendall, burst * 20_000)
    eventually(lambda: len(listener.of(Event)) == 20_000, seconds=60)
    assert turns > 10
    other.kill()
    feeder.join(5)


def test_an_event_name_that_is_not_one_is_refused_before_anything_begins() -> None:
    with pytest.raises(UnsafeValue):
        EslClient(Target("127.0.0.1", 1, "x"), Subscription(("ALL\n\napi shutdown",)))


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Target("127.0.0.1", 8021, "secret"))
