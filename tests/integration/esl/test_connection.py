"""One connection over real sockets: every way in which it can fail to begin, and every way in which it ends."""

import socket
from collections.abc import Callable, Iterator

import gevent
import gevent.event
import pytest

from services.shared.esl import commands
from services.shared.esl.connection import MAX_PENDING, Connection, Deadlines
from services.shared.esl.decoder import Event
from services.shared.esl.errors import (
    AccessDenied,
    ConnectFailed,
    ConnectionLost,
    ConnectionSilent,
    NotSent,
    OutcomeUnknown,
    ProtocolError,
    ReplyTimeout,
    SwitchShutDown,
    WrongPassword,
)
from tests.integration.esl.scripted_switch import (
    GOODBYE,
    PASSWORD,
    Guest,
    ScriptedSwitch,
    api_response,
    command_reply,
    eventually,
    open_sockets,
    plain_event,
)

SHORT = Deadlines(connect=0.2, reply=0.2, send=0.2, silence=30.0)
PATIENT = Deadlines(connect=30.0, reply=30.0, send=30.0, silence=30.0)
STATUS = commands.api("status")


class Call:
    """A connection to a switch, and what it told its owner."""

    def __init__(self, switch: ScriptedSwitch, deadlines: Deadlines = PATIENT, password: str = PASSWORD) -> None:
        self.events: list[Event] = []
        self.ends: list[BaseException] = []
        self.connection = Connection(
            switch.host,
            switch.port,
            password,
            deadlines=deadlines,
            on_events=self._take,
            on_end=self.ends.append,
        )

    def _take(self, events: list[Event]) -> bool:
        self.events += events
        return False

    def has_ended(self) -> bool:
        return bool(self.ends)


@pytest.fixture
def dial(switch: ScriptedSwitch) -> Iterator[Callable[..., Call]]:
    """Make connections that are closed at the end."""
    calls: list[Call] = []

    def make(deadlines: Deadlines = PATIENT, password: str = PASSWORD) -> Call:
        calls.append(Call(switch, deadlines, password))
        return calls[-1]

    yield make
    for call in calls:
        call.connection.stop()


Dial = Callable[..., Call]


def silent(_guest: Guest, _command: bytes) -> None:
    """Take a command and say nothing."""


def test_a_wrong_password_says_so_and_leaves_nothing_open(switch: ScriptedSwitch, dial: Dial) -> None:
    call = dial(password="wrong")
    before = open_sockets()
    with pytest.raises(WrongPassword, match="refused the event-socket password") as caught:
        call.connection.connect()
    assert "wrong" not in str(caught.value)
    eventually(lambda: switch.guests[0].is_gone and open_sockets() <= before)
    eventually(lambda: call.connection._receive_events_greenlet.dead)
    assert call.ends == []


def test_a_turned_away_address_says_so(switch: ScriptedSwitch, dial: Dial) -> None:
    switch.greeting = b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n" + GOODBYE
    with pytest.raises(AccessDenied, match="Access Denied, go away"):
        dial().connection.connect()


def test_a_switch_that_sends_no_auth_request_is_given_up(switch: ScriptedSwitch, dial: Dial) -> None:
    switch.greeting = None
    before = open_sockets()
    with pytest.raises(ConnectFailed, match="no auth/request within"):
        dial(SHORT).connection.connect()
    eventually(lambda: switch.guests[0].is_gone and open_sockets() <= before)


def test_a_switch_that_does_not_answer_the_password_is_given_up(switch: ScriptedSwitch, dial: Dial) -> None:
    switch.answers[b"auth"] = silent
    with pytest.raises(ConnectFailed, match="no reply within"):
        dial(Deadlines(connect=30.0, reply=0.2)).connection.connect()
    eventually(lambda: switch.guests[0].is_gone)


def test_a_switch_that_closes_during_the_hand_shake_is_a_failed_connect(switch: ScriptedSwitch, dial: Dial) -> None:
    switch.greeting = GOODBYE
    with pytest.raises(ConnectFailed, match="goodbye"):
        dial().connection.connect()


def test_a_switch_that_accepts_the_password_and_leaves_is_a_failed_connect(switch: ScriptedSwitch, dial: Dial) -> None:
    switch.answers[b"auth"] = lambda _guest, _command: command_reply("+OK accepted") + GOODBYE
    call = dial()
    with pytest.raises(ConnectFailed, match="goodbye"):
        call.connection.connect()
    assert call.ends == []


def test_a_port_where_nobody_listens_is_a_failed_connect(switch: ScriptedSwitch, dial: Dial) -> None:
    switch.close()
    with pytest.raises(ConnectFailed, match="refused"):
        dial().connection.connect()


def test_a_host_that_never_accepts_is_given_up() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # the only place in the queue
            before = open_sockets()
            with pytest.raises(ConnectFailed, match="did not accept within"):
                Connection("127.0.0.1", port, "x", deadlines=SHORT).connect()
            assert open_sockets() <= before


def test_an_interrupted_connect_leaves_nothing_open(switch: ScriptedSwitch, dial: Dial) -> None:
    switch.greeting = None
    call = dial(Deadlines(connect=30))
    before = open_sockets()
    connecting = gevent.spawn(call.connection.connect)
    eventually(lambda: switch.guests)
    connecting.kill()
    eventually(lambda: switch.guests[0].is_gone and open_sockets() <= before)


def test_a_connection_stopped_while_it_begins_does_not_come_up(switch: ScriptedSwitch, dial: Dial) -> None:
    call = dial()
    call.connection.stop()
    with pytest.raises(ConnectFailed, match="stopped by us"):
        call.connection.connect()
    assert not call.connection.connected
    assert switch.guests == [] or switch.guests[0].commands == []


def test_ipv6_is_as_good() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    six = ScriptedSwitch("::1")
    try:
        call = Call(six)
        call.connection.connect()
        assert call.connection.send(STATUS).text == "status"
        call.connection.stop()
    finally:
        six.close()


def test_replies_come_in_the_order_of_their_commands(dial: Dial) -> None:
    call = dial(Deadlines())
    call.connection.connect()
    answers: dict[int, str] = {}

    def ask(number: int) -> None:
        answers[number] = call.connection.submit(commands.api("echo", str(number))).get(60).text

    gevent.joinall([gevent.spawn(ask, number) for number in range(1_000)], timeout=60)
    assert answers == {number: f"echo {number}" for number in range(1_000)}


def test_a_late_reply_is_not_taken_for_the_next_one(switch: ScriptedSwitch, dial: Dial) -> None:
    call = dial()
    switch.answers[b"api"] = silent
    call.connection.connect()
    with pytest.raises(ReplyTimeout):
        call.connection.submit(commands.api("slow")).get(0.05)
    pending = call.connection.submit(commands.api("quick"))
    eventually(lambda: len(switch.guests[0].commands) == 3)
    switch.guests[0].sock.sendall(api_response("the slow one") + api_response("the quick one"))
    assert pending.get(60).text == "the quick one"


def test_a_refusal_is_a_reply_that_is_not_ok(switch: ScriptedSwitch, dial: Dial) -> None:
    switch.answers[b"api originate"] = lambda _guest, _command: api_response("-ERR USER_BUSY\n")
    switch.answers[b"api uuid_kill"] = lambda _guest, _command: command_reply("-ERR permission denied")
    call = dial()
    call.connection.connect()
    assert not call.connection.send(commands.api("originate", "user/1")).ok
    assert call.connection.send(commands.api("uuid_kill", "x")).text == "-ERR permission denied"


def test_a_lost_connection_fails_what_was_sent_as_unknown(switch: ScriptedSwitch, dial: Dial) -> None:
    switch.answers[b"api"] = silent
    call = dial()
    call.connection.connect()
    pending = [call.connection.submit(STATUS) for _ in range(3)]
    eventually(lambda: len(switch.guests[0].commands) == 4)
    switch.drop_everybody()
    for one in pending:
        with pytest.raises(OutcomeUnknown, match="closed the connection"):
            one.get(5)
    assert [type(end) for end in call.ends] == [ConnectionLost]


def test_nothing_is_sent_once_the_connection_has_ended(switch: ScriptedSwitch, dial: Dial) -> None:
    call = dial()
    call.connection.connect()
    switch.drop_everybody()
    eventually(call.has_ended)
    with pytest.raises(NotSent, match="not connected"):
        call.connection.submit(STATUS)


def test_the_end_is_told_once_however_often_it_is_brought_about(switch: ScriptedSwitch, dial: Dial) -> None:
    call = dial()
    call.connection.connect()
    switch.guests[0].sock.sendall(GOODBYE)
    eventually(call.has_ended)
    switch.drop_everybody()
    call.connection.stop()
    call.connection.stop()
    eventually(lambda: call.connection._receive_events_greenlet.dead)
    assert [type(end) for end in call.ends] == [SwitchShutDown]
    assert "Disconnected, goodbye." in str(call.ends[0])


def test_events_before_a_good_bye_are_delivered(switch: ScriptedSwitch, dial: Dial) -> None:
    call = dial()
    call.connection.connect()
    switch.guests[0].sock.sendall(plain_event("CHANNEL_HANGUP") * 100 + GOODBYE)
    eventually(call.has_ended)
    assert [event.name for event in call.events] == ["CHANNEL_HANGUP"] * 100


def test_an_end_inside_a_body_is_an_end(switch: ScriptedSwitch, dial: Dial) -> None:
    call = dial()
    call.connection.connect()
    switch.guests[0].sock.sendall(plain_event("CHANNEL_HANGUP")[:-5])
    switch.drop_everybody()
    eventually(call.has_ended)
    assert isinstance(call.ends[0], ConnectionLost)
    eventually(lambda: call.connection._receive_events_greenlet.dead)


def test_a_silent_switch_that_answers_the_probe_is_alive(switch: ScriptedSwitch, dial: Dial) -> None:
    call = dial(Deadlines(silence=0.05, reply=5.0))
    call.connection.connect()
    eventually(lambda: len(switch.guests[0].commands) >= 4)
    assert call.ends == []
    assert switch.guests[0].commands[-1] == b"api global_getvar core_uuid"


def test_a_silent_switch_that_does_not_answer_the_probe_is_lost(switch: ScriptedSwitch, dial: Dial) -> None:
    switch.answers[b"api"] = silent
    call = dial(Deadlines(silence=0.05, reply=1.0))
    call.connection.connect()
    eventually(call.has_ended)
    assert isinstance(call.ends[0], ConnectionSilent)
    eventually(lambda: switch.guests[0].is_gone)


def test_too_many_unanswered_commands_are_refused_and_silence_then_ends_it(switch: ScriptedSwitch, dial: Dial) -> None:
    switch.answers[b"api"] = silent
    call = dial(Deadlines(silence=0.1, reply=5.0))
    call.connection.connect()
    sent = [call.connection.submit(STATUS) for _ in range(MAX_PENDING)]
    with pytest.raises(NotSent, match="wait for"):
        call.connection.submit(STATUS)
    eventually(call.has_ended)
    assert isinstance(call.ends[0], ConnectionSilent)
    with pytest.raises(OutcomeUnknown):
        sent[-1].get(1)


def test_a_switch_that_reads_no_more_is_lost_and_the_rest_was_not_sent(switch: ScriptedSwitch, dial: Dial) -> None:
    """Half-open: our bytes fill the socket and stay there."""
    stuck = gevent.event.Event()
    switch.answers[b"api block"] = lambda _guest, _command: stuck.wait(10) and None
    call = dial(Deadlines(send=0.2))
    call.connection.connect()
    call.connection.submit(commands.api("block"))
    large = commands.api("echo", "x" * 60_000)
    outcomes = []
    while not call.has_ended():
        outcomes.append(call.connection.submit(large))
    assert isinstance(call.ends[0], ConnectionLost)
    assert "could not write" in str(call.ends[0])
    with pytest.raises(OutcomeUnknown):
        outcomes[0].get(1)
    stuck.set()


def test_a_command_that_waits_behind_a_blocked_write_can_be_withdrawn(switch: ScriptedSwitch, dial: Dial) -> None:
    stuck = gevent.event.Event()
    switch.answers[b"api block"] = lambda _guest, _command: stuck.wait(30) and api_response("unblocked")
    call = dial(Deadlines(send=20))
    call.connection.connect()
    call.connection.submit(commands.api("block"))
    filler = gevent.spawn(lambda: [call.connection.submit(commands.api("echo", "x" * 60_000)) for _ in range(500)])
    eventually(lambda: call.connection._is_writing)
    pending = call.connection.submit(STATUS)
    with pytest.raises(NotSent, match="withdrawn"):
        pending.get(0.05)
    with pytest.raises(NotSent, match="withdrawn"):
        pending.get(0.05)
    stuck.set()
    filler.join(20)
    assert call.connection.submit(commands.api("last")).get(60).text == "last"
    assert b"api status" not in switch.guests[0].commands


@pytest.mark.parametrize(
    ("bytes_sent", "why"),
    [
        (b"Content-Length: 99999999999\nContent-Type: text/event-plain\n\n", "not a length"),
        (b"Content-Length: 9999999999\nContent-Type: text/event-plain\n\n", "over the limit"),
        (command_reply("+OK"), "was not sent"),
        (b"x" * 300_000, "no end"),
    ],
)
def test_bytes_that_are_not_the_protocol_close_the_connection(
    bytes_sent: bytes, why: str, switch: ScriptedSwitch, dial: Dial
) -> None:
    call = dial()
    call.connection.connect()
    switch.guests[0].sock.sendall(bytes_sent)
    eventually(call.has_ended)
    assert isinstance(call.ends[0], ProtocolError)
    assert why in str(call.ends[0])
    eventually(lambda: switch.guests[0].is_gone)


def test_a_frame_without_content_type_is_counted_and_passed_over(switch: ScriptedSwitch, dial: Dial) -> None:
    call = dial()
    call.connection.connect()
    switch.guests[0].sock.sendall(b"X-Odd: 1\n\n" + plain_event("HEARTBEAT"))
    eventually(lambda: call.events)
    assert call.connection.unknown_frames == 1
    assert call.connection.connected


def test_a_reader_beside_a_greenlet_that_never_rests_still_reads(switch: ScriptedSwitch, dial: Dial) -> None:
    call = dial()
    call.connection.connect()

    def spin() -> None:
        while True:
            gevent.sleep(0)

    spinner = gevent.spawn(spin)
    feeder = gevent.spawn(switch.guests[0].sock.sendall, plain_event("HEARTBEAT", X="y" * 4_000) * 5_000)
    eventually(lambda: len(call.events) == 5_000, seconds=60)
    spinner.kill()
    feeder.join(5)


def test_a_fault_of_ours_ends_the_connection_and_is_told_as_it_is(
    switch: ScriptedSwitch, capsys: pytest.CaptureFixture[str]
) -> None:
    ends: list[BaseException] = []
    connection = Connection(
        switch.host, switch.port, PASSWORD, deadlines=PATIENT, on_events=lambda _events: 1 // 0 > 0, on_end=ends.append
    )
    connection.connect()
    switch.guests[0].sock.sendall(plain_event("HEARTBEAT"))
    eventually(lambda: ends)
    assert isinstance(ends[0], ZeroDivisionError)
    eventually(lambda: switch.guests[0].is_gone)
    assert "ZeroDivisionError" in capsys.readouterr().err
