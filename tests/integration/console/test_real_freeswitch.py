"""freeswitch/ on a real FreeSWITCH 1.10, with the console's directory: FREESWITCH_BIN, or `freeswitch` on PATH."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import gevent
import pytest

from services.console.domain.phone_password import phone_password
from services.listener.domain.call_records import read_record
from services.shared.contracts.ringmaster.v1.command_pb2 import Command, OriginateLeg
from tests.integration.console.real_node import MARKS, SECRET, Node, Telephone
from tests.unit.listener.test_switch_plan import planner

pytestmark = MARKS
PASSWORD = phone_password(SECRET, "olena", "acme.example")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("node"))
    write_trunk(node)
    try:
        node.start()
        yield node
    finally:
        node.stop()


def write_trunk(node: Node) -> None:
    """Write what an operator gives a node besides: the own trunk of one company, whose carrier wants a password."""
    (node.folder / "gateways").mkdir()
    values = {"proxy": f"127.0.0.1:{node.ports['trunk']}", "username": "acme", "password": "p", "register": "false"}
    params = "".join(f'<param name="{name}" value="{value}"/>' for name, value in values.items())
    # FreeSWITCH leaves out every line that has an <include> in it, with all that stands beside it.
    text = f'<include>\n<gateway name="acme.trunk">{params}</gateway>\n</include>\n'
    (node.folder / "gateways" / "acme.xml").write_text(text)


@pytest.fixture
def carrier(node: Node) -> Iterator[Telephone]:
    telephone = Telephone(node.ports["carrier"])
    yield telephone
    telephone.close()
    node.clear()


@pytest.fixture
def phone(node: Node) -> Iterator[Telephone]:
    telephone = Telephone(node.ports["phone"])
    yield telephone
    telephone.close()
    node.clear()


@pytest.fixture
def trunk(node: Node) -> Iterator[Telephone]:
    """Give whom the gateway calls."""
    telephone = Telephone(node.ports["carrier"], node.ports["trunk"])
    yield telephone
    telephone.close()


def test_a_call_to_a_line_waits_parked_and_falls_back_when_nobody_takes_it(node: Node, carrier: Telephone) -> None:
    began = time.monotonic()
    carrier.call("380441000001")
    node.wait_for(lambda: ",park," in node.api("show channels"), "the call is parked")
    uuid = node.api("show channels").splitlines()[1].partition(",")[0]
    assert node.api(f"uuid_getvar {uuid} ringmaster_line") == "+380441000001"
    node.wait_for(lambda: f",{uuid}," in node.api("show tasks"), "the guard is listed under the leg's id")
    answer = carrier.final()
    assert answer.startswith("SIP/2.0 200")
    # FreeSWITCH's tasks are due in whole seconds, and so up to one second early.
    assert 4.0 <= time.monotonic() - began < 8.0
    node.wait_for(lambda: ",fallback," in node.api("show channels"), "the switch's list shows the fallback")
    node.api(f"uuid_kill {uuid}")
    records = node.folder / "records" / "cdr-csv" / "Master.csv"
    node.wait_for(lambda: records.is_file() and uuid in records.read_text(), "the call's record is written")
    record = read_record(next(line for line in records.read_bytes().split(b"\n") if uuid.encode() in line))
    assert record is not None
    assert (record.leg_id, record.line, record.caller) == (uuid, "+380441000001", "+380501112233")
    assert record.has_fallen_back
    assert record.created_us < record.answered_us < record.ended_us


def test_a_claimed_call_does_not_fall_back(node: Node, carrier: Telephone) -> None:
    carrier.call("+380441000002")
    node.wait_for(lambda: ",park," in node.api("show channels"), "the call is parked")
    uuid = node.api("show channels").splitlines()[1].partition(",")[0]
    # What the listener does for the platform: it takes the guard away by the leg's id.
    node.api(f"sched_del {uuid}")
    node.wait_for(lambda: uuid not in node.api("show tasks"), "the guard is gone")
    node.api(f"uuid_kill {uuid}")


def test_a_caller_who_is_silent_for_a_second_is_still_there(node: Node, carrier: Telephone) -> None:
    carrier.call("380441000001")
    node.wait_for(lambda: ",park," in node.api("show channels"), "the call is parked")
    uuid = node.api("show channels").splitlines()[1].partition(",")[0]
    node.api(f"sched_del {uuid}")
    node.api(f"uuid_answer {uuid}")
    assert carrier.final().startswith("SIP/2.0 200")
    gevent.sleep(1.5)
    assert node.api(f"uuid_exists {uuid}") == "true"


SYSTEM = "${{system(touch {file})}}"


@pytest.mark.parametrize(
    ("name", "caller"),
    [
        (f'"{SYSTEM}{{{{origination_uuid=x}}}},sofia/gateway/default/+19005551234" ', "+380501112233"),
        ('"x:_:sofia/gateway/default/+19005551234" ', "%24%7Bsystem(touch%20{file})%7D"),
        ('"a\\\\\' b" ', "x%7D%2Csofia%2Fgateway%2Fdefault%2F%2B19005551234"),
        ('"Eve%0AUnique-ID: victim" ', "+3805%0A%0Aapi%20shutdown"),
    ],
)
def test_whatever_a_caller_is_called_he_is_one_call_of_his_line_and_one_phone_rings(
    node: Node, carrier: Telephone, phone: Telephone, trunk: Telephone, name: str, caller: str, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    carrier.name, own = name.format(file=made), caller.format(file=made)
    carrier.more = f"P-Asserted-Identity: {carrier.name}<sip:{own}@x>\r\nX-ringmaster_tenant: borealis\r\n"
    carrier.more += f"ringmaster_line: +380441000002\r\nAlert-Info: {SYSTEM.format(file=made)}\r\n"
    carrier.call("380441000001", own)
    node.wait_for(lambda: ",park," in node.api("show channels"), "the call is parked")
    uuid = json.loads(node.api("show channels as json"))["rows"][0]["uuid"]
    assert node.api(f"uuid_getvar {uuid} ringmaster_line") == "+380441000001"
    assert node.api(f"uuid_getvar {uuid} ringmaster_tenant") == "_undef_"
    assert phone.register("olena", "acme.example", PASSWORD) == "SIP/2.0 200 OK"
    rings = OriginateLeg(phone="olena@acme.example")
    rings.caller_name, rings.caller_number = (
        node.api(f"uuid_getvar {uuid} caller_id_{part}") for part in ("name", "number")
    )
    command = Command(command_id="c", tenant_id="acme", call_id="call", leg_id=str(uuid4()), originate_leg=rings)
    node.api(planner().originate(command).decode().partition("\n")[0])
    invitation = phone.request("INVITE")
    phone.answer(invitation, "486 Busy Here")
    phone.request("ACK")
    assert invitation.startswith(f"INVITE sip:olena@{phone.here}")
    assert_silent(trunk)
    node.api(f"uuid_kill {uuid}")
    records = node.folder / "records" / "cdr-csv" / "Master.csv"
    node.wait_for(lambda: records.is_file() and uuid in records.read_text(), "the call's record is written")
    [record] = filter(
        None, map(read_record, (line for line in records.read_bytes().split(b"\n") if uuid.encode() in line))
    )
    assert (record.leg_id, record.line) == (uuid, "+380441000001")
    assert not made.exists()


def test_a_number_that_is_nobodys_is_refused_at_once(carrier: Telephone) -> None:
    carrier.call("+380441000009")
    assert carrier.final().startswith("SIP/2.0 404")


def test_a_phone_registers_with_its_derived_password_and_is_rung_by_user(node: Node, phone: Telephone) -> None:
    assert phone.register("olena", "acme.example", PASSWORD) == "SIP/2.0 200 OK"
    node.wait_for(lambda: "olena" in node.api("show registrations"), "the registration is listed")
    node.api("bgapi originate user/olena@acme.example &park")
    invitation = phone.request("INVITE")
    phone.answer(invitation, "486 Busy Here")
    assert invitation.startswith("INVITE sip:olena@")


ELSEWHERE = "sip%3A%2B19005551234%40{trunk}"


@pytest.mark.parametrize(
    ("contact", "more"),
    [
        ("sip:olena,sofia/gateway/default/+19005551234@{here}", ""),
        ("sip:olena%2Csofia/gateway/default/+19005551234@{here}", ""),
        ("sip:olena|x|sofia/gateway/default/+19005551234@{here}", ""),
        ("sip:[a=b]@{here}", ""),
        ("sip:${{hostname}}@{here}", ""),
        ("sip:+19005551234@{trunk}", ""),
        ("sip:olena@{trunk};transport=udp", ""),
        ("sip:olena@{here};maddr=127.0.0.1;fs_path=" + ELSEWHERE, ""),
        ("sip:olena;fs_path=" + ELSEWHERE + "@{here}", ""),
        ("sip:olena@{here}", "Path: <sip:{trunk};lr>\r\n"),
        ("sip:olena@192.168.77.7:5060", ""),
    ],
)
def test_whatever_a_phone_registers_as_its_address_rings_that_phone_and_nobody_else(
    node: Node, phone: Telephone, trunk: Telephone, contact: str, more: str
) -> None:
    phone.contact, phone.more = (text.format(here=phone.here, trunk=trunk.here) for text in (contact, more))
    assert phone.register("olena", "acme.example", PASSWORD) == "SIP/2.0 200 OK"
    node.api("bgapi originate user/olena@acme.example &park")
    invitation = phone.request("INVITE")
    assert invitation.startswith(f"INVITE sip:olena@{phone.here}")
    assert "m=audio" in invitation
    assert "RTP/AVP" in invitation
    phone.answer(invitation, "486 Busy Here")
    phone.request("ACK")
    assert_silent(trunk)


def test_a_sip_address_is_called_at_the_very_host_that_was_judged(node: Node, trunk: Telephone) -> None:
    node.api(f"bgapi originate sofia/external/desk@pbx.example;fs_path=sip:{trunk.here} &park")
    invitation = trunk.request("INVITE")
    trunk.answer(invitation, "486 Busy Here")
    assert invitation.startswith("INVITE sip:desk@pbx.example")


def test_a_companys_own_trunk_is_dialled_with_its_password(node: Node, trunk: Telephone) -> None:
    node.api("bgapi originate sofia/gateway/acme.trunk/+380441112233 &park")
    challenge = 'Proxy-Authenticate: Digest realm="carrier", nonce="n", algorithm=MD5\r\n'
    trunk.answer(trunk.request("INVITE"), "407 Proxy Authentication Required", challenge)
    invitation = trunk.request("INVITE")
    trunk.answer(invitation, "486 Busy Here")
    assert invitation.startswith("INVITE sip:+380441112233@")
    assert 'Proxy-Authorization: Digest username="acme", realm="carrier"' in invitation


def test_a_trunk_that_the_node_does_not_have_calls_nobody(node: Node, trunk: Telephone) -> None:
    assert node.api("originate sofia/gateway/borealis.trunk/+380441112233 &park").startswith("-ERR INVALID_GATEWAY")
    assert_silent(trunk)


def assert_silent(telephone: Telephone) -> None:
    with pytest.raises(TimeoutError):
        telephone.receive(0.5)


def test_a_phone_that_serves_several_users_keeps_its_own_name_for_each(node: Node, phone: Telephone) -> None:
    phone.contact = f"sip:k3x9-a.b_c~1@{phone.here}"
    assert phone.register("olena", "acme.example", PASSWORD) == "SIP/2.0 200 OK"
    node.api("bgapi originate user/olena@acme.example &park")
    invitation = phone.request("INVITE")
    phone.answer(invitation, "486 Busy Here")
    assert invitation.startswith(f"INVITE sip:k3x9-a.b_c~1@{phone.here}")


def test_a_phone_behind_a_router_is_answered_and_hung_up_where_it_is(node: Node, phone: Telephone) -> None:
    phone.contact = "sip:olena@192.168.77.7:5060"
    assert phone.register("olena", "acme.example", PASSWORD) == "SIP/2.0 200 OK"
    node.api("bgapi originate user/olena@acme.example &park")
    phone.pick_up(phone.request("INVITE"), phone.contact)
    phone.request("ACK")
    node.api("hupall")
    phone.answer(phone.request("BYE"), "200 OK")


@pytest.mark.parametrize("status", ["300 Multiple Choices", "301 Moved Permanently", "302 Moved Temporarily"])
def test_a_phone_that_answers_with_another_address_is_one_that_refuses(
    node: Node, phone: Telephone, trunk: Telephone, status: str
) -> None:
    assert phone.register("olena", "acme.example", PASSWORD) == "SIP/2.0 200 OK"
    node.api("bgapi originate user/olena@acme.example &park")
    phone.answer(phone.request("INVITE"), status, f"Contact: <sip:+19005551234@{trunk.here}>\r\n")
    phone.request("ACK")
    assert_silent(trunk)
    node.wait_for(lambda: "0 total" in node.api("show channels"), "the call is over")


def test_a_carrier_that_answers_with_another_address_ends_the_call(
    node: Node, phone: Telephone, trunk: Telephone
) -> None:
    node.api("bgapi originate sofia/gateway/default/+380441112233 &park")
    trunk.answer(trunk.request("INVITE"), "302 Moved Temporarily", f"Contact: <sip:+19005551234@{phone.here}>\r\n")
    trunk.request("ACK")
    assert_silent(phone)
    node.wait_for(lambda: "0 total" in node.api("show channels"), "the call is over")


@pytest.mark.parametrize("to", ["olena@borealis.example", "taras@acme.example", "emma@borealis.example"])
def test_who_proved_to_be_one_phone_registers_no_other(node: Node, phone: Telephone, to: str) -> None:
    assert phone.register("olena", "acme.example", PASSWORD, to).startswith("SIP/2.0 403")
    assert to not in node.api("sofia status profile internal reg")


@pytest.mark.parametrize(
    ("user", "domain", "password"),
    [
        ("olena", "acme.example", "wrong"),
        ("olena", "borealis.example", PASSWORD),
        ("nobody", "acme.example", phone_password(SECRET, "nobody", "acme.example")),
    ],
)
def test_a_wrong_password_or_an_unknown_phone_is_refused(
    phone: Telephone, user: str, domain: str, password: str
) -> None:
    assert phone.register(user, domain, password).startswith("SIP/2.0 403")


def test_a_phone_may_not_call_anybody(node: Node, phone: Telephone) -> None:
    phone.call("+380441000001")
    assert phone.final().startswith("SIP/2.0 407")
    assert "+380441000001" not in node.api("show channels")


def test_without_the_console_a_line_is_handed_over_all_the_same_and_no_number_is_logged(
    node: Node, carrier: Telephone
) -> None:
    node.stop_console()
    carrier.call("380441000001")
    node.wait_for(lambda: ",park," in node.api("show channels"), "the call is parked")
    uuid = node.api("show channels").splitlines()[1].partition(",")[0]
    assert node.api(f"uuid_getvar {uuid} ringmaster_line") == "+380441000001"
    node.api(f"uuid_kill {uuid}")
    assert "CURL returned error" in node.log()
    assert "380501112233" not in node.log()
