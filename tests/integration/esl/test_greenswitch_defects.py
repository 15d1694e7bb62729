"""Every known defect of the library below (greenswitch 0.0.19) and the test that keeps it out of ours.

| in greenswitch | kept out by |
|---|---|
| values are decoded before lines are split | test_frames: no_caller_forges_a_field |
| the end of the stream inside a body spins for ever | test_connection: an_end_inside_a_body |
| the reader never yields while data is there | test_client: others_get_their_turns |
| the queue has no bound | test_client: a_consumer_that_takes_nothing |
| connect has no deadline after TCP | test_connection: …is_given_up |
| send has no deadline | test_connection: a_late_reply, a_switch_that_reads_no_more |
| stop has no deadline | here |
| a short write loses the rest of a command, senders shift replies | here; test_connection: replies_come_in_the_order |
| the end of the stream drops queued events and tells nobody | here; test_client: the_last_events_of_a_dying_switch |
| the body of a disconnect notice is read as headers | test_decoder: the_body_of_a_disconnect_notice |
| invalid UTF-8 kills the reader, `connected` stays true | here |
| a frame without Content-Type does the same | test_connection: a_frame_without_content_type |
| a failing handler kills the dispatcher in silence | test_connection: a_fault_of_ours |
| a wrong password leaks a socket and greenlets | test_connection: a_wrong_password |
| a line break in a command passes | test_commands: a_hostile_value, no_value_adds_a_line |
| pending commands wait for ever after a disconnect | test_connection: a_lost_connection |
| no reconnect, no heartbeat, no IPv6 | test_client: after_a_loss; test_connection: a_silent_switch, ipv6 |
"""

import gevent
import pytest

from services.shared.esl import commands
from services.shared.esl.connection import Connection, Deadlines
from services.shared.esl.decoder import Event
from services.shared.esl.errors import ConnectionLost
from tests.integration.esl.scripted_switch import PASSWORD, Guest, ScriptedSwitch, api_response, eventually, plain_event

PATIENT = Deadlines(connect=60, reply=60, send=60)


def silent(_guest: Guest, _command: bytes) -> None:
    """Take a command and say nothing."""


def connect(switch: ScriptedSwitch, events: list[Event], ends: list[BaseException]) -> Connection:
    def take(batch: list[Event]) -> bool:
        events.extend(batch)
        return False

    connection = Connection(switch.host, switch.port, PASSWORD, deadlines=PATIENT, on_events=take, on_end=ends.append)
    connection.connect()
    return connection


def test_stopping_does_not_wait_for_a_switch_that_says_nothing(switch: ScriptedSwitch) -> None:
    switch.answers[b"exit"] = switch.answers[b"api"] = silent
    connection = connect(switch, [], [])
    connection.submit(commands.api("status"))
    with gevent.Timeout(20):
        connection.stop()
    eventually(lambda: connection._receive_events_greenlet.dead)


def test_large_commands_of_many_senders_arrive_whole_and_get_their_own_replies(switch: ScriptedSwitch) -> None:
    switch.answers[b"api echo"] = lambda _guest, command: api_response(f"{len(command)} {command[-4:].decode()}")
    connection = connect(switch, [], [])
    answers: dict[int, str] = {}

    def send(number: int) -> None:
        text = "x" * (50_000 + number) + f"{number:04}"
        answers[number] = connection.submit(commands.api("echo", text)).get(60).text

    gevent.joinall([gevent.spawn(send, number) for number in range(300)], timeout=60)
    assert answers == {number: f"{len('api echo ') + 50_004 + number} {number:04}" for number in range(300)}
    connection.stop()


def test_events_before_the_end_of_the_stream_are_delivered_and_the_end_is_told(switch: ScriptedSwitch) -> None:
    events: list[Event] = []
    ends: list[BaseException] = []
    connect(switch, events, ends)
    switch.guests[0].sock.sendall(plain_event("CHANNEL_HANGUP") * 1_000)
    switch.drop_everybody()
    eventually(lambda: ends)
    assert len(events) == 1_000
    assert [type(end) for end in ends] == [ConnectionLost]


@pytest.mark.parametrize(
    "frame",
    [
        plain_event("CODEC").replace(b"CODEC", b"C\xffDEC"),
        b'Content-Length: 22\nContent-Type: text/event-json\n\n{"Event-Name":"C\xffDEC"}',
        b"Content-Type: log/data\nContent-Length: 3\nUser-Data: \xff\n\n\xfe\xff\n",
    ],
)
def test_invalid_utf8_anywhere_leaves_the_reader_alive(frame: bytes, switch: ScriptedSwitch) -> None:
    events: list[Event] = []
    connection = connect(switch, events, [])
    switch.guests[0].sock.sendall(frame + plain_event("HEARTBEAT"))
    eventually(lambda: events and events[-1].name == "HEARTBEAT")
    assert [event.name for event in events[:-1]] in ([], ["C\N{REPLACEMENT CHARACTER}DEC"])
    assert connection.send(commands.api("status")).text == "status"
    connection.stop()
