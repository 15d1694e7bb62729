"""Commands are read the same whole and byte by byte."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from local.switch.protocol import Command, CommandReader, api_response, command_reply

STREAM = (
    b"auth ClueCon\n\n\n"
    b"api uuid_setvar x y Gr\xc3\xb6\xc3\x9fe\n\n"
    b"bgapi status\nJob-UUID: j-1\n\n"
    b"sendmsg u-1\ncall-command: execute\nexecute-app-name: playback\ncontent-type: text/plain\n"
    b"content-length: 10\n\na\n\nfile 12"
    b"api uptime\r\n\r\n"
    b"exit\n\n"
)


def read(portions: list[bytes]) -> list[Command]:
    reader = CommandReader()
    return [command for portion in portions for command in reader.feed(portion)]


def test_the_stream_has_six_commands() -> None:
    commands = read([STREAM])
    assert [command.word for command in commands] == ["auth", "api", "bgapi", "sendmsg", "api", "exit"]
    assert commands[1].argument == "uuid_setvar x y Größe"
    assert commands[2].headers == {"job-uuid": "j-1"}
    assert commands[2].pairs == [("Job-UUID", "j-1")]
    assert commands[3].body == "a\n\nfile 12"


@given(st.lists(st.integers(min_value=1, max_value=len(STREAM)), max_size=20))
def test_any_portions_give_the_same_commands(cuts: list[int]) -> None:
    places = sorted({0, *cuts, len(STREAM)})
    portions = [STREAM[begin:end] for begin, end in pairwise(places)]
    assert read(portions) == read([STREAM])
    assert read([STREAM[at : at + 1] for at in range(len(STREAM))]) == read([STREAM])


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    read([data, b"\n\n"])


def test_a_flood_without_an_empty_line_is_dropped() -> None:
    reader = CommandReader()
    assert reader.feed(b"x" * 2_000_000) == []
    assert [command.word for command in reader.feed(b"exit\n\n")] == ["exit"]


def test_replies_have_the_captured_bytes() -> None:
    assert command_reply("+OK accepted") == b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
    assert api_response("ü") == b"Content-Type: api/response\nContent-Length: 2\n\n\xc3\xbc"
