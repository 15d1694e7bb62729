"""What of a phone's registration is believed: where it comes from, not what it says of itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Final
from urllib.parse import quote

from services.console.domain.directory import Phone

_TRANSPORTS: Final = frozenset({"udp", "tcp", "tls", "ws", "wss"})
# A telephone that serves several users tells them apart by what it calls itself. No comma, no semicolon, no escape:
# FreeSWITCH looks for its own parameters (fs_path) anywhere in a contact, in the user's name too.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}", re.ASCII)
_MOST_PORT: Final = 65_535


class Untrue(Exception):
    """The registration says what its password does not prove, or what can't be said of it safely; one sentence."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A REGISTER whose password FreeSWITCH is about to compare, as mod_sofia tells it (sofia_reg_parse_auth)."""

    to_user: str
    to_host: str
    name: str
    """What the telephone calls itself: the user of its Contact."""
    address: str
    port: str
    transport: str


def registration_of(form: Mapping[str, str]) -> Registration | None:
    """Return the registration that FreeSWITCH asks about, or None where it asks about a phone for another reason."""
    if form.get("action") != "sip_auth" or form.get("sip_auth_method") != "REGISTER":
        return None
    names = ("sip_to_user", "sip_to_host", "sip_contact_user", "ip", "client_port", "sip_via_protocol")
    return Registration(*(form.get(name, "") for name in names))


def contact_of(phone: Phone, registration: Registration) -> str:
    """Return the contact that FreeSWITCH is to keep, whatever the telephone wrote. Raises Untrue.

    It names the address that the registration came from, which the digest's nonce has proved to be the telephone's, and
    sends all requests of a call there (fs_path): a Contact, a Path or a Record-Route would make this node send calls
    wherever somebody with one stolen password likes, a carrier that trusts the node's address among them. A telephone
    behind a router is reached by this too, where its own word is an address that nobody else knows.
    """
    # Who proved to be one tenant's phone may not register another's: mod_sofia keeps To's host, whatever the realm.
    if (registration.to_user, registration.to_host.lower()) != (phone.user, phone.domain):
        raise Untrue(f"{phone.user}@{phone.domain} proved himself and registers somebody else")
    if registration.transport not in _TRANSPORTS:
        raise Untrue(f"{phone.user}@{phone.domain} comes over a transport that is not known")
    name = registration.name if _PLAIN_NAME.fullmatch(registration.name) else phone.user
    here = f"sip:{name}@{_address(registration)};transport={registration.transport}"
    return f"<{here};fs_nat=yes;fs_path={quote(here, safe='')}>"


def _address(registration: Registration) -> str:
    """Return address and port. IPv6 can't be had: mod_sofia replaces the brackets in a contact that is given to it."""
    try:
        address = IPv4Address(registration.address)
    except AddressValueError as error:
        raise Untrue("a phone is not at an IPv4 address") from error
    if not re.fullmatch(r"[1-9][0-9]{0,4}", registration.port, re.ASCII) or int(registration.port) > _MOST_PORT:
        raise Untrue("a phone has no port")
    return f"{address}:{registration.port}"
