import hashlib
import re
from base64 import b64encode
from typing import Any
from urllib.parse import unquote, urlencode
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.domain.directory import Directory, Phone
from services.console.domain.registration import Registration, contact_of
from services.console.domain.switch_xml import line_xml
from services.console.domain.translation import to_contract
from services.console.domain.validation import sound_document
from services.shared.contracts.ringmaster.v1.tenant_pb2 import Line, TenantDocument
from tests.unit.console.conftest import ROOT, Office, demo_text

GUARD = "ringmaster_fallback=${sched_api(+${fallback_seconds} ${uuid} uuid_transfer ${uuid} fallback XML ringmaster)}"
PROOF = "Basic " + b64encode(b"freeswitch:directory-password").decode()


@pytest.fixture
def open_office(office: Office, acme: dict[str, Any], borealis: dict[str, Any]) -> Office:
    office.console.tenancy.apply(acme, "test")
    office.console.tenancy.apply(borealis, "test")
    office.start()
    return office


def ask(office: Office, path: str, proof: str = PROOF, **fields: str) -> Element:
    answer = office.client.post(
        path,
        data=urlencode(fields),
        headers={"Authorization": proof, "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 200
    return fromstring(answer.data)  # noqa: S314 - our own answer


def dialplan(office: Office, number: str, context: str = "public") -> list[tuple[str, str]]:
    fields = {"section": "dialplan", "Hunt-Context": context, "Hunt-Destination-Number": number}
    document = ask(office, "/freeswitch/dialplan", **fields)
    return [(action.attrib["application"], action.attrib.get("data", "")) for action in document.iter("action")]


def test_a_phone_of_a_tenant_gets_the_hash_that_its_password_makes(open_office: Office) -> None:
    document = ask(open_office, "/freeswitch/directory", user="olena", domain="acme.example", action="sip_auth")
    params = {param.attrib["name"]: param.attrib["value"] for param in document.iter("param")}
    phone = open_office.ask("GET", "/v1/tenants/acme/agents/olena/phone", "acme-olena").get_json()
    expected = hashlib.md5(f"olena:acme.example:{phone['password']}".encode()).hexdigest()  # noqa: S324 - RFC 2617
    assert params["a1-hash"] == expected
    assert params["dial-string"] == (
        "[rtp_secure_media_outbound=${phone_srtp},outbound_redirect_fatal=true]sofia/internal/olena%acme.example"
    )
    assert [user.attrib["id"] for user in document.iter("user")] == ["olena"]
    other = open_office.ask("GET", "/v1/tenants/borealis/agents/emma/phone", "borealis-admin").get_json()
    assert other["password"] != phone["password"]
    assert len(phone["password"]) == 32


@pytest.mark.parametrize(
    ("user", "domain"),
    [
        ("emma", "acme.example"),
        ("olena", "borealis.example"),
        ("olena", "nowhere.example"),
        ("", ""),
        ("olena'\"><user id='x'", "acme.example"),
        ("*", "acme.example"),
    ],
)
def test_nobody_else_is_found(open_office: Office, user: str, domain: str) -> None:
    document = ask(open_office, "/freeswitch/directory", user=user, domain=domain)
    assert [result.attrib["status"] for result in document.iter("result")] == ["not found"]


REGISTER = {
    "action": "sip_auth",
    "sip_auth_method": "REGISTER",
    "user": "olena",
    "domain": "acme.example",
    "sip_to_user": "olena",
    "sip_to_host": "acme.example",
    "sip_contact_user": "olena",
    "sip_contact_host": "192.168.1.7",
    "sip_via_protocol": "tls",
    "ip": "203.0.113.7",
    "client_port": "40001",
}


def forced_contact(document: Element) -> list[str]:
    return [one.attrib["value"] for one in document.iter("variable") if one.attrib["name"] == "sip-force-contact"]


def test_a_phone_is_reached_where_its_registration_comes_from(open_office: Office) -> None:
    (contact,) = forced_contact(ask(open_office, "/freeswitch/directory", **REGISTER))
    way = "sip%3Aolena%40203.0.113.7%3A40001%3Btransport%3Dtls"
    assert contact == f"<sip:olena@203.0.113.7:40001;transport=tls;fs_nat=yes;fs_path={way}>"
    asked_when_it_is_rung = {"action": "user_call", "user": "olena", "domain": "acme.example"}
    assert forced_contact(ask(open_office, "/freeswitch/directory", **asked_when_it_is_rung)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"sip_to_user": "taras"},
        {"sip_to_host": "borealis.example"},
        {"sip_to_host": ""},
        {"sip_via_protocol": "unknown"},
        {"ip": "2001:db8::7"},
        {"ip": ""},
        {"ip": "203.0.113.7>,<sip:x"},
        {"client_port": "0"},
        {"client_port": "65536"},
        {"client_port": "1;maddr=x"},
    ],
)
def test_a_registration_that_proves_one_thing_and_says_another_finds_no_phone(
    open_office: Office, change: dict[str, str]
) -> None:
    document = ask(open_office, "/freeswitch/directory", **REGISTER | change)
    assert [result.attrib["status"] for result in document.iter("result")] == ["not found"]
    assert "a1-hash" not in {param.attrib["name"] for param in document.iter("param")}


OLENA = Phone("acme", "olena", "olena", "acme.example")


@given(st.text(max_size=40))
def test_whatever_a_phone_calls_itself_its_calls_go_to_where_it_is(name: str) -> None:
    contact = contact_of(OLENA, Registration("olena", "acme.example", name, "203.0.113.7", "40001", "udp"))
    shape = r"<sip:[A-Za-z0-9._~-]+@203\.0\.113\.7:40001;transport=udp;fs_nat=yes;fs_path=([^;,<>]+)>"
    found = re.fullmatch(shape, contact, re.ASCII)
    assert found
    assert unquote(found[1]) == contact[1:].partition(";fs_nat")[0]


@pytest.mark.parametrize(
    "proof", ["", "Basic ", "Basic !!!", "Bearer root", "Basic " + b64encode(b"freeswitch:x").decode()]
)
@pytest.mark.parametrize("path", ["/freeswitch/directory", "/freeswitch/dialplan"])
def test_only_the_switch_may_ask(open_office: Office, path: str, proof: str) -> None:
    answer = open_office.client.post(path, data="user=olena&domain=acme.example", headers={"Authorization": proof})
    assert answer.status_code == 401
    assert b"a1-hash" not in answer.data


def test_a_line_is_handed_over_with_a_guard_and_the_tenants_number(open_office: Office) -> None:
    actions = dialplan(open_office, "442071000001")
    assert actions == [
        ("set", "ringmaster_caller=$1"),
        ("set", "playback_terminators=none"),
        ("export", "ringmaster_line=+442071000001"),
        ("set", "ringmaster_fallback_number=+442079460000"),
        (
            "set",
            GUARD,
        ),
        ("park", ""),
    ]
    assert ("set", "ringmaster_fallback_number=+442079460000") not in dialplan(open_office, "+380441000001")


@pytest.mark.parametrize("proof", ["other:directory-password", "freeswitch:other", "freeswitch:", ":", "freeswitch"])
@pytest.mark.parametrize("path", ["/freeswitch/directory", "/freeswitch/dialplan"])
def test_the_switch_proves_both_its_name_and_its_password(open_office: Office, path: str, proof: str) -> None:
    headers = {"Authorization": "Basic " + b64encode(proof.encode()).decode()}
    assert (
        open_office.client.post(path, data={"user": "olena", "domain": "acme.example"}, headers=headers).status_code
        == 401
    )


def test_an_agent_reads_his_own_phones_password_only(open_office: Office) -> None:
    phones = "/v1/tenants/acme/agents/{}/phone"
    assert open_office.ask("GET", phones.format("olena"), "acme-olena").status_code == 200
    assert open_office.ask("GET", phones.format("taras"), "acme-olena").status_code == 403
    assert open_office.ask("GET", phones.format("taras"), "acme-admin").status_code == 200
    assert open_office.ask("GET", phones.format("nobody"), "acme-admin").status_code == 404


def test_a_number_that_is_nobodys_is_refused(open_office: Office) -> None:
    assert dialplan(open_office, "+442071000009") == [("hangup", "UNALLOCATED_NUMBER")]


def test_other_contexts_are_the_switchs_own(open_office: Office) -> None:
    assert dialplan(open_office, "fallback", "ringmaster") == []


def test_a_console_that_knows_no_lines_yet_leaves_the_call_to_the_switchs_own_files(office: Office) -> None:
    assert dialplan(office, "+442071000001") == []


TENANTS = ["acme", "borealis"]
DIRECTORY = Directory()
DIRECTORY.put(to_contract(sound_document(demo_text("borealis").encode()), 1))


@given(st.text(max_size=40))
def test_whatever_is_dialled_only_a_line_finds_a_line(dialled: str) -> None:
    line = DIRECTORY.line(dialled)
    assert (line is not None) == (dialled in ("442071000001", "+442071000001"))
    if line is not None:
        assert b"ringmaster_line=+442071000001" in line_xml(line)


def test_a_given_up_line_and_an_older_document_are_forgotten() -> None:
    directory = Directory()
    document = sound_document(demo_text("acme").encode())
    directory.put(to_contract(document, 2))
    del document["lines"][1]
    directory.put(to_contract(document, 1))
    assert directory.line("+380441000002") is not None
    directory.put(to_contract(document, 3))
    assert directory.line("+380441000002") is None
    directory.remove("acme")
    assert directory.phone("olena", "acme.example") is None


LINES = [f"+38044100000{number}" for number in range(4)]


@given(st.data())
def test_lines_and_domains_that_went_from_one_company_to_another_are_the_newer_ones(data: st.DataObject) -> None:
    """Companies' documents lie in several partitions: those of two are read in any order of each other."""
    owners = data.draw(st.lists(st.sampled_from(["acme", "borealis", ""]), min_size=4, max_size=4))
    newest = {name: [line for line, owner in zip(LINES, owners, strict=True) if owner == name] for name in TENANTS}
    former = {name: data.draw(st.lists(st.sampled_from(LINES), unique=True)) for name in TENANTS}
    domains = data.draw(st.permutations(["a.example", "b.example"]))
    order = data.draw(st.permutations([*TENANTS, *TENANTS]))
    directory, versions = Directory(), dict.fromkeys(TENANTS, 0)
    for name in order:
        versions[name] += 1
        is_newest = versions[name] == len(TENANTS)
        lines = newest[name] if is_newest else former[name]
        domain = domains[TENANTS.index(name)] if is_newest else data.draw(st.sampled_from(domains))
        document = TenantDocument(tenant_id=name, version=versions[name], domain=domain)
        document.lines.extend(Line(number=line) for line in lines)
        document.agents.add(agent_id="one", phone="one")
        directory.put(document)
    assert [getattr(directory.line(line), "tenant_id", "") for line in LINES] == owners
    assert [getattr(directory.phone("one", domain), "tenant_id", "") for domain in domains] == TENANTS


def test_the_consoles_dialplan_says_the_same_as_the_switchs_own_file(open_office: Office) -> None:
    document = fromstring((ROOT / "freeswitch/conf/dialplan/public.xml").read_text())  # noqa: S314 - our own file
    extension = document.find("./context/extension[@name='line']")
    assert extension is not None
    own = [(action.attrib["application"], action.attrib.get("data", "")) for action in extension.iter("action")]
    asked = [(name, data.replace("+442071000001", "+$1")) for name, data in dialplan(open_office, "442071000001")]
    without_number = [action for action in asked if "fallback_number" not in action[1]]
    assert without_number == [(name, data.replace("$${", "${")) for name, data in own]
