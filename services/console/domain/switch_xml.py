"""FreeSWITCH's own XML, as mod_xml_curl reads it. Every value is of a tenant's sound document, none of a request."""

from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from services.console.domain.directory import LineEntry, Phone
from services.console.domain.phone_password import a1_hash

PUBLIC_CONTEXT: Final = "public"
# Has to say the same as freeswitch/conf/dialplan/public.xml, which works while the console is away. The group of the
# scheduled task is the leg's id: the listener takes it away, or renews it, by that name.
_GUARD: Final = "${sched_api(+${fallback_seconds} ${uuid} uuid_transfer ${uuid} fallback XML ringmaster)}"

# Looked up by FreeSWITCH itself, as user%domain. ${sofia_contact()} would write what the phone registered into the
# dial string, where a comma begins another destination: a stolen password would ring up whom it likes.
# Whether its sound is encrypted is the node's setting (freeswitch/conf/vars.xml); a browser's always is. A phone that
# answers with another address (302) is one that refuses: mod_sofia would call that address itself, whoever's it is.
_RUNG: Final = "[rtp_secure_media_outbound=${{phone_srtp}},outbound_redirect_fatal=true]sofia/internal/{user}%{domain}"

# A call's record names its caller by digits only: what a record holds is expanded once more when it is written.
_PLAIN_CALLER: Final = {"field": "caller_id_number", "expression": r"^(\+?[0-9]{1,20})$", "break": "never"}


def user_xml(phone: Phone, password: str, contact: str = "") -> bytes:
    """Return the directory entry of one phone; `contact` is where it is reached, whatever it says itself."""
    document, section = _document("directory")
    domain = SubElement(section, "domain", name=phone.domain)
    user = SubElement(domain, "user", id=phone.user)
    params = SubElement(user, "params")
    SubElement(params, "param", name="a1-hash", value=a1_hash(phone.user, phone.domain, password))
    SubElement(params, "param", name="dial-string", value=_RUNG.format(user=phone.user, domain=phone.domain))
    variables = SubElement(user, "variables")
    SubElement(variables, "variable", name="user_context", value="agents")
    if contact:
        SubElement(variables, "variable", name="sip-force-contact", value=contact)
    return tostring(document)


def line_xml(line: LineEntry) -> bytes:
    """Return the dialplan of one line: hand the call over, and fall back when nobody takes it (SPEC 2.4)."""
    # Else a caller who presses * would end the music, and wait in silence.
    actions = [("set", "playback_terminators=none"), ("export", f"ringmaster_line={line.number}")]
    if line.fallback_number:
        actions.append(("set", f"ringmaster_fallback_number={line.fallback_number}"))
    actions += [("set", f"ringmaster_fallback={_GUARD}"), ("park", "")]
    return _dialplan("line", actions, notes_caller=True)


def no_line_xml() -> bytes:
    """Return the dialplan of a number that is nobody's."""
    return _dialplan("no line", [("hangup", "UNALLOCATED_NUMBER")])


def not_found_xml() -> bytes:
    """Return that this is not known here: FreeSWITCH goes on with its own files."""
    document, section = _document("result")
    SubElement(section, "result", status="not found")
    return tostring(document)


def _document(section: str) -> tuple[Element, Element]:
    document = Element("document", type="freeswitch/xml")
    return document, SubElement(document, "section", name=section)


def _dialplan(name: str, actions: list[tuple[str, str]], *, notes_caller: bool = False) -> bytes:
    document, section = _document("dialplan")
    context = SubElement(section, "context", name=PUBLIC_CONTEXT)
    # The one extension of this answer: it matches whatever was dialled, which is so never written into it.
    extension = SubElement(context, "extension", name=name)
    if notes_caller:
        number = SubElement(extension, "condition", _PLAIN_CALLER)
        SubElement(number, "action", application="set", data="ringmaster_caller=$1")
    condition = SubElement(extension, "condition")
    for application, data in actions:
        SubElement(condition, "action", application=application, data=data)
    return tostring(document)
