import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest

from local.switch.dialplan import AFTER_TALK, CONTEXT, FALLBACK, Dialplan
from services.listener.adapters.sip_route import PROFILE
from services.listener.adapters.switch_plan import DIALPLAN_CONTEXT
from services.listener.domain.headers import (
    AFTER_TALK_EXTENSION,
    FALLBACK_EXTENSION,
    LEASED_VARIABLE,
    LINE_VARIABLE,
)

CONF = Path(__file__).resolve().parents[3] / "freeswitch" / "conf"
FILES = sorted(CONF.rglob("*.xml"))


def read(path: str) -> Element:
    return fromstring((CONF / path).read_text(encoding="utf-8"))  # noqa: S314 - our own file


def params(element: Element) -> dict[str, str]:
    return {param.attrib["name"]: param.attrib["value"] for param in element.iter("param")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONF)))
def test_the_analyser_finds_nothing(path: Path) -> None:
    program = Path(sys.executable).with_name("frslint")
    done = subprocess.run(  # noqa: S603 - the analyser of the development tools
        [str(program), "analyze", str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, "No issues found" in done.stdout) == (0, True), done.stdout


def test_the_event_socket_is_on_loopback_and_has_no_password_that_anybody_knows() -> None:
    socket = params(read("configuration/event_socket.xml"))
    assert socket["listen-ip"] == "127.0.0.1"
    assert socket["apply-inbound-acl"] == "event_socket"
    variables = (CONF / "vars.xml").read_text(encoding="utf-8")
    assert re.findall(r'data="event_socket_password=([^"]*)"', variables) == [
        "$${core_uuid}",
        "$RINGMASTER_ESL_PASSWORD",
    ]
    assert "ClueCon" not in "".join(path.read_text(encoding="utf-8") for path in FILES)


def test_every_list_of_networks_denies_by_default() -> None:
    assert {one.attrib["default"] for one in read("configuration/acl.xml").iter("list")} == {"deny"}


def test_a_carrier_is_known_by_network_and_a_phone_by_password_and_neither_may_transfer() -> None:
    profiles = {profile.attrib["name"]: params(profile) for profile in read("configuration/sofia.xml").iter("profile")}
    assert set(profiles) == {"carrier", "internal"}
    carrier, internal = profiles["carrier"], profiles["internal"]
    assert (carrier["apply-inbound-acl"], carrier["disable-register"], carrier["context"]) == (
        "carriers",
        "true",
        "public",
    )
    assert (internal["auth-calls"], internal["accept-blind-reg"], internal["context"]) == ("true", "false", "agents")
    assert {carrier["disable-transfer"], internal["disable-transfer"]} == {"true"}


def test_the_listeners_calls_to_sip_addresses_leave_by_the_carriers_profile() -> None:
    carrier = read("configuration/sofia.xml").find("./configuration/profiles/profile[@name='carrier']")
    assert carrier is not None
    assert [alias.attrib["name"] for alias in carrier.iter("alias")] == [PROFILE]


def test_phones_can_call_nobody() -> None:
    actions = [action.attrib for action in read("dialplan/agents.xml").iter("action")]
    assert actions == [{"application": "hangup", "data": "CALL_REJECTED"}]


def test_every_variable_that_is_used_is_set() -> None:
    text = {path: path.read_text(encoding="utf-8") for path in FILES}
    used = {name for each in text.values() for name in re.findall(r"\$\$\{(\w+)\}", each)}
    known = set(re.findall(r'cmd="set" data="(\w+)=', text[CONF / "vars.xml"])) | {"core_uuid", "conf_dir", "log_dir"}
    assert used <= known


LINE = "./context/extension[@name='line']"


def test_every_number_that_is_taken_is_only_digits() -> None:
    taken = {
        one.attrib["field"]: one.attrib["expression"]
        for one in read("dialplan/public.xml").findall(f"{LINE}/condition")
    }
    caller, line = re.compile(taken["caller_id_number"]), re.compile(taken["destination_number"])
    assert all(line.search(number) for number in ("380441000001", "+442071000001"))
    hostile = ("fallback", "1", "+1,2", "380441000001;x=y", "380441000001@x", "${uuid}", "x380441000001", "0" * 40)
    assert not any(line.search(number) for number in hostile)
    assert all(caller.search(number) for number in ("0", "380441000001", "+442071000001"))
    assert not any(caller.search(number) for number in ("", "anonymous", *hostile) if number != "1")


def test_the_simulated_switch_and_the_listener_mean_the_same_extension_context_and_variable() -> None:
    assert (CONTEXT, FALLBACK) == (DIALPLAN_CONTEXT, FALLBACK_EXTENSION)
    actions = {
        one.attrib["application"]: one.attrib.get("data", "") for one in read("dialplan/public.xml").iter("action")
    }
    assert actions["export"] == f"{LINE_VARIABLE}=+$1"
    assert actions["set"].startswith(
        "ringmaster_fallback=${sched_api(+${fallback_seconds} ${uuid} uuid_transfer ${uuid} "
    )
    assert actions["set"].endswith(f" {FALLBACK} XML {CONTEXT})}}")
    defaults = re.findall(r'data="fallback_seconds=(\d+)"', (CONF / "vars.xml").read_text(encoding="utf-8"))
    assert [int(seconds) for seconds in defaults] == [Dialplan().fallback_seconds]


def test_an_unclaimed_call_ends_as_in_the_simulated_switch() -> None:
    context = read("dialplan/ringmaster.xml").find("context")
    assert context is not None
    assert context.attrib["name"] == CONTEXT
    apology = context.findall("extension")[-1]
    names = [action.attrib["application"] for action in apology.iter("action")]
    simulated = [name for name, _ in Dialplan()._fallback("leg")]
    assert names == simulated
    assert [action.attrib.get("data") for action in apology.iter("action")][-1] == Dialplan()._fallback("leg")[-1][1]


def test_a_leg_that_falls_back_has_no_guard_that_would_cut_what_follows() -> None:
    """A listener may have set one in that very moment: thirty seconds later it would ring the number again."""
    context = read("dialplan/ringmaster.xml").find("context")
    assert context is not None
    for extension in context.findall(f"extension/condition[@expression='^{FALLBACK}$']/.."):
        first, second, *_ = [action.attrib.get("data") for action in extension.iter("action")]
        assert (first, second) == ("ringmaster_fell_back=true", "ringmaster_fallback=${sched_del(${uuid})}")


def test_who_falls_back_is_not_parked_by_what_an_earlier_talk_was_to_be_followed_by() -> None:
    context = read("dialplan/ringmaster.xml").find("context")
    assert context is not None
    (actions,) = [
        [(action.attrib["application"], action.attrib.get("data")) for action in extension.iter("action")]
        for extension in context.findall("extension")
        if any(action.attrib["application"] == "bridge" for action in extension.iter("action"))
    ]
    bridge = next(index for index, (name, _) in enumerate(actions) if name == "bridge")
    forgotten = {
        ("set", "hangup_after_bridge=true"),
        ("set", "park_after_bridge=false"),
        ("unset", "transfer_after_bridge"),
    }
    assert forgotten <= set(actions[:bridge])


def test_a_customer_after_a_talk_is_parked_with_the_guard_of_a_call_that_nobody_claims() -> None:
    context, public = read("dialplan/ringmaster.xml").find("context"), read("dialplan/public.xml")
    assert context is not None
    leased, alone = context.findall("extension")[:2]
    dialled = f"^{AFTER_TALK_EXTENSION}$"
    assert [dict(one.attrib) for one in leased.findall("condition")] == [
        {"field": "destination_number", "expression": dialled},
        {"field": f"${{{LEASED_VARIABLE}}}", "expression": "^true$"},
    ]
    assert [dict(one.attrib) for one in alone.findall("condition")] == [
        {"field": "destination_number", "expression": dialled}
    ]
    guard = [one.attrib for one in public.iter("action") if "sched_api" in one.attrib.get("data", "")]
    assert [action.attrib for action in leased.iter("action")] == [{"application": "park"}]
    assert [action.attrib for action in alone.iter("action")] == [*guard, {"application": "park"}]
    assert AFTER_TALK == AFTER_TALK_EXTENSION


def test_nobody_is_encrypted_by_half_and_old_protocols_are_not_spoken() -> None:
    on, off = params(read("tls/on.xml")), params(read("tls/off.xml"))
    assert (on["tls"], off["tls"]) == ("true", "false")
    assert set(on["tls-version"].split(",")) == {"tlsv1.2", "tlsv1.3"}
    assert on["wss-binding"].startswith(":")
    assert "ws-binding" not in on


def test_the_clock_of_the_core_is_fine_enough_for_events_to_come_at_once() -> None:
    assert params(read("configuration/switch.xml"))["1ms-timer"] == "true"


@pytest.mark.parametrize(("trap", "code"), [("trap 'exit 0' TERM", 0), ("trap '' TERM", 128 + signal.SIGKILL)])
def test_a_switch_that_does_not_end_when_it_is_told_to_is_ended(trap: str, code: int, tmp_path: Path) -> None:
    """mod_local_stream.c waits for its streams, and mod_timerfd.c's waits have no end once it is shut down (1.10)."""
    switch = tmp_path / "switch"
    switch.write_text(f"#!/bin/sh\n{trap}\necho up\nwhile :; do sleep 0.05; done\n")
    switch.chmod(0o755)
    command = [str(CONF.parent / "start"), str(switch)]
    environment = {"PATH": os.environ["PATH"], "RINGMASTER_END_SECONDS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as started:  # noqa: S603 - our own
        assert started.stdout
        assert started.stdout.readline() == b"up\n"
        started.terminate()
        assert started.wait(20) == code


FAIL2BAN = CONF.parent / "fail2ban" / "filter.conf"
# As sofia_reg.c and sofia.c of FreeSWITCH 1.10 write them.
_AT = "2026-11-29 10:00:00.000001 98.00% [WARNING] "
ATTACKS = (
    (
        f"{_AT}sofia_reg.c:1842 SIP auth failure (REGISTER) on sofia profile 'internal' "
        "for [olena@acme.example] from ip 198.51.100.7"
    ),
    f"{_AT}sofia_reg.c:3201 Can't find user [1000@198.51.100.7] from 198.51.100.7",
    f'{_AT}sofia.c:10471 IP 198.51.100.7 Rejected by acl "carriers"',
)


def patterns() -> list[re.Pattern[str]]:
    text = FAIL2BAN.read_text(encoding="utf-8").partition("failregex =")[2].partition("ignoreregex")[0]
    return [
        re.compile(line.strip().replace("<HOST>", r"(?P<host>[0-9a-fA-F.:]+)")) for line in text.strip().splitlines()
    ]


@pytest.mark.parametrize("line", ATTACKS)
def test_who_guesses_passwords_or_numbers_is_seen_in_the_log(line: str) -> None:
    (found,) = [match for one in patterns() if (match := one.match(line))]
    assert found.group("host") == "198.51.100.7"


def test_what_a_caller_writes_bans_nobody_else() -> None:
    forged = ATTACKS[0].replace("olena@acme.example", "x] from ip 192.0.2.1\t[y")
    assert not [match for one in patterns() if (match := one.match(forged)) and match.group("host") == "192.0.2.1"]


def test_silence_ends_a_call_after_minutes_and_its_time_is_in_milliseconds() -> None:
    variables = (CONF / "vars.xml").read_text(encoding="utf-8")
    (silence,) = re.findall(r'data="media_timeout=(\d+)"', variables)
    (on_hold,) = re.findall(r'data="media_hold_timeout=(\d+)"', variables)
    assert (int(silence), int(on_hold)) == (300_000, 1_800_000)


def test_the_music_waits_for_no_module_that_may_be_gone_before_it_and_the_sound_of_calls_has_the_cheaper_timer() -> (
    None
):
    """ADR 39."""
    assert params(read("configuration/local_stream.xml"))["timer-name"] == "soft"
    profiles = read("configuration/sofia.xml").iter("profile")
    assert {params(profile)["rtp-timer-name"] for profile in profiles} == {"timerfd"}


def test_a_question_to_the_switch_keeps_the_password_off_the_command_line_and_says_how_it_went(tmp_path: Path) -> None:
    program = tmp_path / "fs_cli"
    program.write_text('#!/bin/sh\necho "$*"\ncat "$HOME/.fs_cli_conf"\nexit 3\n')
    program.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "RINGMASTER_ESL_PASSWORD": "s3cret",
        "RINGMASTER_ESL_PORT": "9",
    }
    command = [str(CONF.parent / "ask"), "status"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    asked, *told = done.stdout.splitlines()
    assert "--execute=status" in asked
    assert "s3cret" not in asked
    assert {"port => 9", "password => s3cret"} <= set(told)
    assert done.returncode == 3


def test_the_container_says_whether_its_switch_answers() -> None:
    dockerfile = (CONF.parent / "Dockerfile").read_text(encoding="utf-8")
    assert 'CMD ["ask", "status"]' in dockerfile.partition("HEALTHCHECK")[2].partition("\n")[0]
    (copied,) = re.findall(r"COPY (.*) /usr/local/bin/", dockerfile)
    assert {each.rpartition("/")[2] for each in copied.split()} == {"ask", "drain", "start"}
