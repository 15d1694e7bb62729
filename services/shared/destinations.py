"""Where a tenant may have calls go: numbers and SIP addresses against its limits, as routing and documents judge them.

Nothing is allowed by default (SPEC 1.4). A prefix allows, a denied one takes back; premium-rate, shared-cost and
satellite numbers must be named apart. Where a day's spend is limited a number without a price is not dialled: its cost
is not known. A SIP address is reached where its host is named.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

import phonenumbers

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

ALLOWED = "allowed_prefixes"
DENIED = "denied_prefixes"
HIGH_RISK = "high_risk_prefixes"
PRICE = "tariffs"
SIP_HOSTS = "allowed_sip_hosts"
HOST_PATTERN = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
SIP_PATTERN = rf"[A-Za-z0-9+][A-Za-z0-9._+-]{{0,63}}@{HOST_PATTERN}(:[1-9][0-9]{{0,4}})?"
"""user@host or user@host:port, without anything that SIP or a dial string would read as more."""
_SIP = re.compile(SIP_PATTERN, re.ASCII).fullmatch
_ANY_BEGINNING = "*."
_REMEMBERED = 8_192
_DEAR_TYPES = frozenset({phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST})
_DEAR_NETWORKS = frozenset({870, 878, 881, 882, 883, 979})
"""Country codes of satellites, of networks without a country, and of the international premium rate (ITU-T E.164)."""


def ban(limits: tn.Limits, number: str) -> str:
    """Return the limit by which an E.164 number may never be dialled; empty when it may."""
    if not _begins(number, limits.allowed_prefixes):
        return ALLOWED
    if _begins(number, limits.denied_prefixes):
        return DENIED
    if is_high_risk(number) and not _begins(number, limits.high_risk_prefixes):
        return HIGH_RISK
    if limits.outbound_spend_per_day and tariff_of(limits, number) is None:
        return PRICE
    return ""


def tariff_of(limits: tn.Limits, number: str) -> tn.Tariff | None:
    """Return what a number costs: the tariff of the longest prefix that fits."""
    fitting = (tariff for tariff in limits.tariffs if number.startswith(tariff.prefix))
    return max(fitting, key=lambda tariff: len(tariff.prefix), default=None)


@lru_cache(maxsize=_REMEMBERED)
def is_high_risk(number: str) -> bool:
    """Whether calls to an E.164 number cost much, or earn for whom they reach: premium rate, shared cost, satellite."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return False
    return parsed.country_code in _DEAR_NETWORKS or phonenumbers.number_type(parsed) in _DEAR_TYPES


def is_sip_address(text: str) -> bool:
    """Whether a text is user@host or user@host:port and nothing more."""
    return _SIP(text) is not None


def may_reach(limits: tn.Limits, sip: str) -> bool:
    """Whether a SIP address is one, and its host is named."""
    if not is_sip_address(sip):
        return False
    host = sip.partition("@")[2].partition(":")[0].lower()
    return any(_covers(each.lower(), host) for each in limits.allowed_sip_hosts)


def _covers(named: str, host: str) -> bool:
    return host.endswith(named[1:]) if named.startswith(_ANY_BEGINNING) else host == named


def _begins(number: str, prefixes: Iterable[str]) -> bool:
    return any(number.startswith(prefix) for prefix in prefixes)
