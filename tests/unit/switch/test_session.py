"""One connection without a socket: order of output, queue limits, blocking commands."""

from local.switch.core import Switch
from local.switch.protocol import CommandReader
from local.switch.session import LOST_BEFORE_KILL, Session


class Wire:
    """A session and what came out of it."""

    def __init__(self, switch: Switch, event_queue: int = 1000) -> None:
        self.notices: list[bool] = []
        self.session = Session(switch, "secret", self.notices.append, event_queue)
        switch.bus.attach(self.session)

    def say(self, *lines: str) -> bytes:
        for command in CommandReader().feed(("\n\n".join(lines) + "\n\n").encode()):
            self.session.execute(command)
        return self.session.take_output()


def logged_in(switch: Switch, event_queue: int = 1000) -> Wire:
    wire = Wire(switch, event_queue)
    assert wire.say("auth secret") == (
        b"Content-Type: auth/request\n\nContent-Type: command/reply\nReply-Text: +OK accepted\n\n"
    )
    return wire


def test_events_that_wait_come_before_the_reply(switch: Switch) -> None:
    wire = logged_in(switch)
    wire.say("event plain CHANNEL_CREATE")
    switch.call_in("1200", "+49301")
    output = wire.say("api uptime")
    assert output.index(b"Event-Name: CHANNEL_CREATE") < output.index(b"api/response")


def test_a_reply_is_urgent_and_an_event_is_not(switch: Switch) -> None:
    wire = logged_in(switch)
    wire.say("event plain CHANNEL_CREATE")
    wire.notices.clear()
    switch.call_in("1200", "+49301")
    assert set(wire.notices) == {False}
    wire.say("api uptime")
    assert wire.notices[-1] is True


def test_an_event_says_what_was_when_it_happened(switch: Switch) -> None:
    wire = logged_in(switch)
    wire.say("event json CHANNEL_PARK")
    leg = switch.call_in("1200", "+49301")
    leg.variables.set("later", "1")
    assert b"variable_later" not in wire.session.take_output()


def test_beyond_the_queue_events_are_lost_and_then_the_reader_is_killed(switch: Switch) -> None:
    wire = logged_in(switch, event_queue=10)
    wire.say("event plain API")
    for _ in range(10 + LOST_BEFORE_KILL):
        switch.api.run("uptime", "")
    assert wire.session.waiting_events() == 10
    assert not wire.session.was_killed
    switch.api.run("uptime", "")
    assert wire.session.was_killed


def test_a_command_that_takes_time_holds_back_everything(switch: Switch) -> None:
    wire = logged_in(switch)
    wire.say("event plain CHANNEL_CREATE HEARTBEAT")
    assert wire.say("api originate {origination_uuid=a1}sofia/internal/no_answer@x &park()") == b""
    switch.scheduler.advance(25)
    assert wire.session.is_blocked
    assert wire.session.take_output() == b""
    switch.scheduler.advance(60)
    output = wire.session.take_output()
    assert output.index(b"CHANNEL_CREATE") < output.index(b"-ERR NO_ANSWER")
    assert b"HEARTBEAT" in output


def test_an_execute_by_a_message_carries_its_own_uuid_and_body(switch: Switch) -> None:
    wire = logged_in(switch)
    leg = switch.call_in("1200", "+49301")
    body = "prompts/hello there.wav"
    wire.say(
        "event plain CHANNEL_EXECUTE",
        f"sendmsg {leg.uuid}\ncall-command: execute\nexecute-app-name: playback\nEvent-UUID: e-1\n"
        f"content-type: text/plain\ncontent-length: {len(body)}",
    )
    wire.session.execute(
        CommandReader().feed(
            f"sendmsg {leg.uuid}\ncall-command: execute\nexecute-app-name: playback\nEvent-UUID: e-1\n"
            f"content-length: {len(body)}\n\n{body}".encode()
        )[0]
    )
    switch.scheduler.advance(0.1)
    output = wire.session.take_output().decode()
    assert "Application-UUID: e-1\n" in output
    assert "Application-Data: prompts/hello%20there.wav\n" in output


def test_a_hangup_message_ends_the_leg_with_its_cause(switch: Switch) -> None:
    wire = logged_in(switch)
    leg = switch.call_in("1200", "+49301")
    wire.say(f"sendmsg {leg.uuid}\ncall-command: hangup\nhangup-cause: USER_BUSY")
    switch.scheduler.advance(0.1)
    assert leg.hangup_cause == "USER_BUSY"
    assert switch.find(leg.uuid) is None


def test_nobody_pays_for_events_that_nobody_wants(switch: Switch) -> None:
    wire = logged_in(switch)
    wire.say("event plain HEARTBEAT")
    before = switch.bus.sequence
    switch.call_in("1200", "+49301")
    assert wire.session.waiting_events() == 0
    assert switch.bus.sequence > before
