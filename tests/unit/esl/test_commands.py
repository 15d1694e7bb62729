"""Whatever a value holds, FreeSWITCH reads one command, its words, its variables, and the value itself."""

import lzma
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.shared.esl import commands
from services.shared.esl.commands import Command, Verbatim
from services.shared.esl.errors import UnsafeValue
from tests.unit.esl import freeswitch_rules as rules

if TYPE_CHECKING:
    from collections.abc import Callable

LEG = "bbbbbbbb-0000-0000-0000-01a2061f1f9e"
TRANSCRIPT = Path(__file__).parents[2] / "fixtures" / "esl" / "02-inbound-call.ctl.transcript.txt.xz"
HOSTILE = [
    "a\nb",
    "a\rb",
    "a\x00b",
    "a\n\napi shutdown",
    "x\x1bc",
    "${system rm}",
    "$${domain}",
    "half \udcff",
]
TEXTS = st.text(alphabet=st.sampled_from("ab1 ,;=|'\"\\^[]{}<>()&!$:_~é"), max_size=30) | st.text(max_size=30)


def builders(value: str) -> list[Command | None]:
    """Put one value in every place that takes text; None where it was refused."""
    places: list[Callable[[], Command]] = [
        lambda: commands.auth(value),
        lambda: commands.subscribe((value,)),
        lambda: commands.subscribe((), (value,)),
        lambda: commands.api(value),
        lambda: commands.api("uuid_kill", value),
        lambda: commands.api("uuid_display", LEG, text=value),
        lambda: commands.bgapi("status", value),
        lambda: commands.bgapi("status", job_id=value),
        lambda: commands.execute(value, "playback"),
        lambda: commands.execute(LEG, value),
        lambda: commands.execute(LEG, "playback", value),
        lambda: commands.execute(LEG, "playback", "x", event_id=value),
        lambda: commands.hangup(LEG, value),
        lambda: commands.originate(value, "park"),
        lambda: commands.originate("user/1", value),
        lambda: commands.originate("user/1", "park", value),
        lambda: commands.originate("user/1", "park", variables={"name": value}),
        lambda: commands.originate("user/1", "park", variables={value: "x"}),
        lambda: commands.set_variables(LEG, {"name": value}),
        lambda: commands.set_variables(LEG, {value: "x"}),
    ]
    built: list[Command | None] = []
    for place in places:
        try:
            built.append(place())
        except UnsafeValue:
            built.append(None)
    return built


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_refused_wherever_it_stands(value: str) -> None:
    accepted = [command for command in builders(value) if command is not None]
    assert [command for command in accepted if not command.startswith(b"auth ")] == []


@given(TEXTS)
def test_no_value_adds_a_line_or_a_command(value: str) -> None:
    for command in builders(value):
        if command is None:
            continue
        _, headers = rules.headers_of(command)
        allowed = {"call-command", "execute-app-name", "execute-app-arg", "event-uuid", "hangup-cause", "job-uuid"}
        assert set(headers) <= allowed
        assert b"${" not in bytes(command) or command.startswith(b"auth ")


@given(value=TEXTS, other=TEXTS)
@example(value="x:_:user/2", other="'")
@example(value="=^^;a=b", other="\\")
def test_originate_variables_arrive_as_they_were_given(value: str, other: str) -> None:
    given_variables = {"origination_caller_id_name": value, "sip_h_X-Work": other, "tenant_id": "t-42"}
    try:
        wire = commands.originate("sofia/internal/agent1@127.0.0.1:5071", "park", variables=given_variables)
    except UnsafeValue:
        assert re.search(r"[\x00-\x1f\x7f{}]|:_:|\$\{|[\ud800-\udfff]", value + "\ue000" + other)
        return
    command, headers = rules.headers_of(wire)
    variables, endpoint, application, argument = rules.originate(command)
    set_ones = {name: text for name, text in given_variables.items() if text}
    assert variables == {"originate_timeout": "30", **set_ones}
    assert (endpoint, application, argument) == ("sofia/internal/agent1@127.0.0.1:5071", "park", "")
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["job-uuid"])


@given(TEXTS)
def test_the_argument_of_originates_application_arrives_as_it_was_given(value: str) -> None:
    try:
        wire = commands.originate("user/1001", "conference", value)
    except UnsafeValue:
        assert re.search(r"[\x00-\x1f\x7f()]|\$\{|:_:|[\ud800-\udfff]", value)
        return
    assert rules.originate(rules.headers_of(wire)[0])[2:] == ("conference", value)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), TEXTS, min_size=1, max_size=5))
def test_variables_of_a_live_leg_arrive_as_they_were_given(variables: dict[str, str]) -> None:
    try:
        wire = commands.set_variables(LEG, variables)
    except UnsafeValue:
        assert any(re.search(r"[\x00-\x1f\x7f]|\$\{|[\ud800-\udfff]", value) for value in variables.values())
        return
    command, _ = rules.headers_of(wire)
    function, leg, pairs = command.removeprefix("api ").split(" ", 2)
    assert (function, leg) == ("uuid_setvar_multi", LEG)
    arrived = dict(part.split("=", 1) for part in rules.separate(pairs, ";", 64))
    assert arrived == variables


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_words_of_an_api_call_stay_words(words: list[str]) -> None:
    try:
        wire = commands.api("uuid_broadcast", *words)
    except UnsafeValue:
        return
    command, _ = rules.headers_of(wire)
    assert rules.separate(command.removeprefix("api uuid_broadcast "), " ", 10) == words


def test_the_rules_read_what_freeswitch_was_seen_to_read() -> None:
    """The rules that these tests trust agree with a captured originate and the variables its leg then had."""
    line = next(
        line
        for line in lzma.decompress(TRANSCRIPT.read_bytes()).decode().splitlines()
        if line.startswith("bgapi originate")
    )
    variables, endpoint, application, _ = rules.originate(line)
    assert variables["origination_caller_id_name"] == "Anna Caller"
    assert variables["work_item"] == "wi:17;x=y"
    assert variables["sip_h_X-Work-Item"] == "wi17"
    assert (endpoint, application) == ("sofia/internal/agent1@127.0.0.1:5071", "park")


def test_a_subscription_names_its_subclasses_last() -> None:
    command = commands.subscribe(("CHANNEL_CREATE", "CUSTOM", "HEARTBEAT"), ("callcenter::info", "a::b"))
    assert command == b"event plain CHANNEL_CREATE HEARTBEAT CUSTOM callcenter::info a::b\n\n"
    assert commands.subscribe(("ALL",), form="json") == b"event json ALL\n\n"


def test_an_execute_is_a_sendmsg_with_its_headers() -> None:
    command = commands.execute(LEG, "playback", "local_stream://moh", event_id="e-1", lock=True)
    line, headers = rules.headers_of(command)
    assert line == f"sendmsg {LEG}"
    assert headers == {
        "call-command": "execute",
        "execute-app-name": "playback",
        "execute-app-arg": "local_stream://moh",
        "event-uuid": "e-1",
        "event-lock": "true",
    }


def test_only_an_authors_own_text_is_expanded() -> None:
    with pytest.raises(UnsafeValue):
        commands.execute(LEG, "playback", "${hold_music}")
    assert b"${hold_music}" in bytes(commands.execute(LEG, "playback", Verbatim("${hold_music}")))
    with pytest.raises(UnsafeValue):
        commands.execute(LEG, "playback", Verbatim("a\nb"))


def test_a_job_id_is_found_again_in_its_command() -> None:
    assert commands.job_id_of(commands.bgapi("status", job_id="job-1")) == "job-1"
    assert commands.job_id_of(commands.originate("user/1", "park", job_id="job-2")) == "job-2"
    assert commands.job_id_of(commands.api("status")) == ""


def test_a_command_of_absurd_length_is_refused() -> None:
    with pytest.raises(UnsafeValue, match="over the limit"):
        commands.execute(LEG, "playback", "x" * commands.MAX_COMMAND_BYTES)


@pytest.mark.parametrize("number", [0, 65])
def test_variables_are_set_by_one_to_sixty_four(number: int) -> None:
    with pytest.raises(UnsafeValue, match="at once"):
        commands.set_variables(LEG, {f"v{position}": "x" for position in range(number)})
