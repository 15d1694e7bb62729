"""freeswitch/ on a real FreeSWITCH 1.10, with the console's directory: FREESWITCH_BIN, or `freeswitch` on PATH."""

import time
from collections.abc import Iterator

import gevent
import pytest

from services.console.domain.phone_password import phone_password
from services.listener.domain.call_records import read_record
from tests.integration.console.real_node import MARKS, SECRET, Node, Telephone

pytestmark = MARKS


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(tmp_path_factory.mktemp("node"))
    try:
        node.start()
        yield node
    finally:
        node.stop()


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


def test_a_number_that_is_nobodys_is_refused_at_once(carrier: Telephone) -> None:
    carrier.call("+380441000009")
    assert carrier.final().startswith("SIP/2.0 404")


def test_a_phone_registers_with_its_derived_password_and_is_rung_by_user(node: Node, phone: Telephone) -> None:
    password = phone_password(SECRET, "olena", "acme.example")
    assert phone.register("olena", "acme.example", password) == "SIP/2.0 200 OK"
    node.wait_for(lambda: "olena" in node.api("show registrations"), "the registration is listed")
    node.api("bgapi originate user/olena@acme.example &park")
    invitation = phone.request("INVITE")
    phone.answer(invitation, "486 Busy Here")
    assert invitation.startswith("INVITE sip:olena@")


@pytest.mark.parametrize(
    "name",
    [
        "olena,sofia/gateway/default/+19005551234",
        "olena%2Csofia/gateway/default/+19005551234",
        "olena|x|sofia/gateway/default/+19005551234",
        "[a=b]",
        "${hostname}",
    ],
)
def test_what_a_phone_registers_as_its_contact_rings_that_phone_and_nobody_else(
    node: Node, phone: Telephone, trunk: Telephone, name: str
) -> None:
    phone.contact = name
    password = phone_password(SECRET, "olena", "acme.example")
    assert phone.register("olena", "acme.example", password) == "SIP/2.0 200 OK"
    node.api("bgapi originate user/olena@acme.example &park")
    invitation = phone.request("INVITE")
    assert invitation.startswith(f"INVITE sip:{name.replace('%2C', ',')}@{phone.here}")
    assert "m=audio" in invitation
    assert "RTP/AVP" in invitation
    phone.answer(invitation, "486 Busy Here")
    phone.request("ACK")
    with pytest.raises(TimeoutError):
        trunk.receive(0.5)


@pytest.mark.parametrize(
    ("user", "domain", "password"),
    [
        ("olena", "acme.example", "wrong"),
        ("olena", "borealis.example", phone_password(SECRET, "olena", "acme.example")),
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
