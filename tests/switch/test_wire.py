"""The event socket's wire: replies to the byte, subscriptions, filters, order, and how connections end."""

import re
from uuid import uuid4

import pytest

from tests.switch.conftest import Bench, SimulatedSwitch
from tests.switch.oracle import EventSocket

NOBODY = "deadbeef-0000-0000-0000-000000000000"
ORIGINATE_USAGE = (
    "-USAGE: <call url> <exten>|&<application_name>(<app_args>) [<dialplan>] [<context>] [<cid_name>] [<cid_num>]"
    " [<timeout_sec>]\n"
)
GOODBYE = b"Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("auth again", "-ERR command not found"),
        ("api", "-ERR command not found"),
        ("nosuch", "-ERR command not found"),
        ("event plain", "-ERR no keywords supplied"),
        ("event plain NOSUCH_EVENT", "-ERR no keywords supplied"),
        ("event foo HEARTBEAT", "+OK event listener enabled plain"),
        ("event json HEARTBEAT BACKGROUND_JOB", "+OK event listener enabled json"),
        ("event plain CUSTOM sofia::register callcenter::info CHANNEL_CREATE", "+OK event listener enabled plain"),
        ("filter", "-ERR command not found"),
        ("filter Event-Name", "-ERR invalid syntax"),
        ("filter Event-Name BACKGROUND_JOB", "+OK filter added. [Event-Name]=[BACKGROUND_JOB]"),
        ("filter delete Event-Name HEARTBEAT", "+OK filter deleted. [Event-Name][HEARTBEAT]"),
        ("filter delete all", "+OK filter deleted. [all][]"),
        ("nixevent HEARTBEAT", "+OK events nixed"),
        ("nixevent", "-ERR no keywords supplied"),
        ("nixevent NOSUCH", "-ERR no keywords supplied"),
        ("noevents", "-ERR not listening for events"),
        ("linger", "-ERR not controlling a session"),
        ("nolinger", "-ERR not controlling a session"),
        ("myevents", "-ERR command not found"),
        (f"myevents {NOBODY}", "+OK Events Enabled"),
        ("divert_events on", "-ERR not controlling a session."),
        ("getvar foo", "-ERR command not found"),
        ("resume", "-ERR command not found"),
        ("connect", "-ERR command not found"),
        ("log 7", "+OK log level 7 [7]"),
        ("nolog", "-ERR not loging"),
        ("log foo", "-ERR invalid log level"),
        ("sendmsg", "-ERR invalid session id []"),
        (f"sendmsg {NOBODY}\ncall-command: execute", f"-ERR invalid session id [{NOBODY}]"),
    ],
)
def test_a_command_gets_the_captured_reply(commands: EventSocket, command: str, reply: str) -> None:
    frame = commands.command(command)
    assert frame.kind == "command/reply"
    assert frame.headers["Reply-Text"] == reply


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("nosuchcmd", "-ERR nosuchcmd Command not found!\n"),
        (f"uuid_getvar {NOBODY} uuid", "-ERR No such channel!\n"),
        (f"uuid_kill {NOBODY}", "-ERR No such channel!\n"),
        (f"uuid_answer {NOBODY}", "-ERROR\n"),
        ("uuid_bridge aaaa bbbb", "-ERR Invalid uuid\n"),
        ("uuid_broadcast x y", "-ERR invalid uuid\n"),
        ("uuid_transfer x 1000", "-ERR No such channel!\n"),
        ("uuid_record x start /tmp/x.wav", "-ERR Cannot locate session!\n"),
        ("uuid_hold x", "+OK Success\n"),
        ("uuid_dump deadbeef", "-ERR No such channel!\n"),
        (f"uuid_exists {NOBODY}", "false"),
        ("originate", ORIGINATE_USAGE),
        ("sched_api", "-ERR Invalid syntax. USAGE: [+@]<time> <group_name> <command_string>[&]\n"),
        ("sched_del nosuchgroup", "+OK Deleted: 0\n"),
        ("conference nosuch list", "-ERR Conference nosuch not found\n"),
        (f"uuid_break {NOBODY}", "-ERR No such channel!\n"),
        (f"uuid_setvar {NOBODY} a b", "-ERR No such channel!\n"),
        ("uuid_setvar_multi x a=1", "-ERR No such channel!\n-USAGE: <uuid> <var>=<value>;<var>=<value>...\n"),
        (f"uuid_recv_dtmf {NOBODY} 1", "-ERR Cannot locate session!\n"),
        (f"uuid_displace {NOBODY} start /tmp/x.wav", "-ERR Cannot locate session!\n"),
        (f"uuid_park {NOBODY}", "-ERR No such channel!\n"),
        (f"sched_hangup +5 {NOBODY}", "-ERR No such channel!\n"),
        (f"sched_transfer +5 {NOBODY} 1000", "-ERR No such channel!\n"),
        (f"uuid_audio {NOBODY} start read mute 1", "-ERR No such channel!\n"),
        ("unsched_api 999999", "-ERR No such id\n"),
        ("uuid_phone_event", "-USAGE: <uuid>\n-ERR Operation failed\n"),
        ("expand", "-ERR No input\n"),
        ("expand nosuchcmd a", "INVALID COMMAND!\n-ERR Cannot execute command\n"),
        ("expand echo ${cond('${nosuchvariable}' == '' ? a b : c)}", "a b"),
        ("cond 'a' == 'a' ? yes : no", "yes"),
        ("cond 'a' == 'ab' ? yes : no", "no"),
        ("cond 10 > 9 ? yes : no", "yes"),
        ("cond '10' > '9' ? yes : no", "yes"),
        ("cond 'b' > 'ab' ? yes : no", "no"),
        ("cond a", "-ERR"),
        ("show nosuch", None),
        ("create_uuid", None),
    ],
)
def test_an_api_command_gets_the_real_reply(commands: EventSocket, command: str, reply: str | None) -> None:
    text = commands.api(command)
    if reply is None:
        assert text.startswith("-USAGE: ") or re.fullmatch(r"[0-9a-f-]{36}", text)
    else:
        assert text == reply


@pytest.mark.parametrize("table", ["channels", "calls", "registrations"])
def test_an_empty_table_has_a_blank_in_its_json(commands: EventSocket, events: EventSocket, table: str) -> None:
    assert not events.events
    commands.let_pass(1)  # a channel of the test before is still shown a moment after its end (wire truth 19)
    if table != "registrations":
        assert commands.api(f"show {table} as json") == '{"row_count": 0}\n'
    assert commands.api(f"show {table} count").endswith(" total.\n")


def test_status_has_the_lines_of_a_real_status(commands: EventSocket) -> None:
    lines = commands.api("status").split("\n")
    units = ("year", "day", "hour", "minute", "second", "millisecond", "microsecond")
    assert re.fullmatch("UP " + ", ".join(rf"\d+ {unit}s?" for unit in units), lines[0])
    assert lines[1] == "FreeSWITCH (Version 1.10.12-release  64bit) is ready"
    assert re.fullmatch(r"\d+ session\(s\) since startup", lines[2])
    assert re.fullmatch(r"\d+ session\(s\) - peak \d+, last 5min \d+ ", lines[3])


def test_the_core_uuid_of_events_is_the_one_that_is_asked_for(commands: EventSocket, events: EventSocket) -> None:
    core = commands.api("global_getvar core_uuid")
    event = events.wait_for(lambda event: event.name == "API", "the command's own event")
    assert event.get("Core-UUID") == core


def test_a_wrong_password_is_refused_and_the_connection_closed(bench: Bench) -> None:
    connection = EventSocket(bench.host, bench.port, None)
    assert connection.read_frame().kind == "auth/request"
    assert connection.command("auth wrong").headers["Reply-Text"] == "-ERR invalid"
    notice = connection.read_frame()
    assert notice.kind == "text/disconnect-notice"
    assert notice.body == GOODBYE
    with pytest.raises(ConnectionError):
        connection.read_frame()
    connection.close()


def test_a_command_before_the_password_is_not_found(bench: Bench) -> None:
    connection = EventSocket(bench.host, bench.port, None)
    connection.read_frame()
    assert connection.command("api status").headers["Reply-Text"] == "-ERR command not found"
    assert connection.command(f"auth {bench.password}").headers["Reply-Text"] == "+OK accepted"
    connection.close()


def test_exit_says_bye_and_disconnects(bench: Bench) -> None:
    connection = EventSocket(bench.host, bench.port, bench.password)
    assert connection.command("exit").headers["Reply-Text"] == "+OK bye"
    assert connection.read_frame().body == GOODBYE
    with pytest.raises(ConnectionError):
        connection.read_frame()
    connection.close()


def test_a_background_job_keeps_the_uuid_that_was_given(commands: EventSocket) -> None:
    commands.command("event plain BACKGROUND_JOB")
    frame = commands.command("bgapi uptime s\nJob-UUID: my-own-job")
    assert frame.headers["Reply-Text"] == "+OK Job-UUID: my-own-job"
    assert frame.headers["Job-UUID"] == "my-own-job"
    done = commands.wait_for(lambda event: event.get("Job-UUID") == "my-own-job", "the result")
    assert done.get("Job-Command") == "uptime"
    assert done.get("Job-Command-Arg") == "s"
    assert int(done.body) >= 0
    assert int(done.first["Content-Length"]) == len(done.body)


def test_a_json_event_carries_its_body_as_a_member(commands: EventSocket) -> None:
    commands.command("event json BACKGROUND_JOB")
    job = commands.bgapi("nosuchcmd")
    assert commands.result_of(job) == "-ERR nosuchcmd Command not found!\n"


def test_custom_takes_every_later_word_as_a_subclass(bench: Bench, commands: EventSocket) -> None:
    listener = EventSocket(bench.host, bench.port, bench.password)
    listener.command("event plain CUSTOM my::one API")
    commands.command("sendevent CUSTOM\nEvent-Subclass: my::two\nFoo: a")
    commands.command("sendevent CUSTOM\nEvent-Subclass: my::one\nFoo: b c")
    event = listener.wait_for(lambda event: event.name == "CUSTOM", "the custom event")
    assert event.get("Event-Subclass") == "my::one"
    assert event.get("Foo") == "b c"
    assert {kept.name for kept in listener.events} == {"CUSTOM"}
    listener.close()


def test_a_filter_on_a_leg_also_hides_job_results(bench: Bench) -> None:
    listener = EventSocket(bench.host, bench.port, bench.password)
    listener.command("event plain ALL")
    listener.command(f"filter Unique-ID {uuid4()}")
    listener.command("bgapi status")
    listener.command("filter delete all")
    marker = listener.bgapi("uptime")
    listener.result_of(marker)
    assert [event.get("Job-Command") for event in listener.events if event.name == "BACKGROUND_JOB"] == ["uptime"]
    listener.close()


def test_waiting_events_come_before_the_reply(bench: Bench) -> None:
    connection = EventSocket(bench.host, bench.port, bench.password)
    connection.command("event plain API")
    connection.send("api uptime\n\napi uptime\n\napi uptime\n\n")
    assert [connection.reply().kind for _ in range(3)] == ["api/response"] * 3
    connection.close()


def test_an_api_originate_blocks_its_connection(bench: Bench) -> None:
    connection = EventSocket(bench.host, bench.port, bench.password)
    connection.command("event plain HEARTBEAT CHANNEL_CREATE")
    leg = str(uuid4())
    connection.send(
        f"api originate {{origination_uuid={leg},originate_timeout=2,ignore_early_media=true}}{bench.dial('no_answer')}"
        " &park()\n\napi uptime s\n\n"
    )
    assert connection.reply().body == b"-ERR NO_ANSWER\n"
    assert int(connection.reply().body) >= 0
    assert connection.event_of(leg, "CHANNEL_CREATE")
    connection.close()


def test_half_a_command_waits_for_its_other_half(bench: Bench) -> None:
    connection = EventSocket(bench.host, bench.port, bench.password)
    connection.send("api uptime s\n")
    connection.send("\n")
    assert connection.reply().kind == "api/response"
    for byte in "api uptime s\r\n\r\n":
        connection.send(byte)
    assert connection.reply().kind == "api/response"
    connection.close()


def test_two_hundred_pipelined_commands_are_answered_in_order(bench: Bench) -> None:
    connection = EventSocket(bench.host, bench.port, bench.password)
    connection.send("".join(f"api echo {number}\n\n" for number in range(200)))
    assert [int(connection.reply().body) for _ in range(200)] == list(range(200))
    connection.close()


def test_a_rude_rejection_names_no_reason(simulated: SimulatedSwitch) -> None:
    simulated.control("/faults", {"fault": "rude"})
    connection = EventSocket(simulated.host, simulated.port, None)
    frame = connection.read_frame()
    assert frame.kind == "text/rude-rejection"
    assert frame.body == b"Access Denied, go away.\n"
    connection.close()
