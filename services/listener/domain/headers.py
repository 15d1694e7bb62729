"""What is read of events: their names, the headers of each, our own variables, numbers as FreeSWITCH writes them."""

from collections.abc import Sequence
from typing import Protocol

EVENTS = (
    "CHANNEL_CREATE",
    "CHANNEL_PARK",
    "CHANNEL_PROGRESS",
    "CHANNEL_PROGRESS_MEDIA",
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_HOLD",
    "CHANNEL_UNHOLD",
    "CHANNEL_HANGUP_COMPLETE",
    "CHANNEL_EXECUTE_COMPLETE",
    "DTMF",
    "RECORD_START",
    "RECORD_STOP",
)
SUBCLASSES = ("sofia::register", "sofia::unregister", "sofia::expire")

FALLBACK_EXTENSION = "fallback"
"""Where our dialplan sends a call that nobody claimed (SPEC 2.4)."""
AFTER_TALK_EXTENSION = "after_talk"
"""Where a customer goes whose talk is over and whose call is not: parked, and guarded where no lease holds them."""
LEASED_VARIABLE = "ringmaster_leased"
"""`true` while a lease holds the leg: then nothing else may set a guard, which nobody would take off in time."""
TENANT_VARIABLE = "ringmaster_tenant"
CALL_VARIABLE = "ringmaster_call"
COMMAND_VARIABLE = "ringmaster_command"
DOMAIN_VARIABLE = "ringmaster_domain"
"""Which log of its tenant has the leg: routing domain and hop; not set for the tenant's own."""
LINE_VARIABLE = "ringmaster_line"
DIGITS_VARIABLE = "ringmaster_digits"
PROMPTS_PREFIX = "prompts."
"""Before a question's command id: the application that plays its prompts to their end."""
PROBE_PREFIX = "probe."
"""Before a question's command id: what is executed behind it after a gap. Its end says that the question is over."""
PROBE_VARIABLE = "ringmaster_probe"
RESPONSE_VARIABLE = "current_application_response"
"""What an application answered; not set while it runs."""
MASKED_DIGIT = "?"
LONGEST = 128
"""Letters of what a far side wrote: a name of 60 kB would else be in every event of the call."""

BASE = ("Unique-ID", "Event-Sequence", "Event-Date-Timestamp", "Caller-Destination-Number")
BIRTH = (
    *BASE,
    "Call-Direction",
    f"variable_{LINE_VARIABLE}",
    f"variable_{TENANT_VARIABLE}",
    f"variable_{CALL_VARIABLE}",
    f"variable_{COMMAND_VARIABLE}",
    "Caller-Caller-ID-Number",
    "Caller-Caller-ID-Name",
    "variable_sip_call_id",
    "Caller-Network-Addr",
    f"variable_{DOMAIN_VARIABLE}",
)
EXECUTED = ("Application-UUID", "Application-Response", "variable_read_result", f"variable_{DIGITS_VARIABLE}")
PHONE = ("from-user", "from-host", "user", "host", "expires", "user-agent", "Event-Sequence", "Event-Date-Timestamp")
BRIDGE = (*BASE, "Bridge-A-Unique-ID", "Bridge-B-Unique-ID", "Other-Leg-Unique-ID")
HANGUP = (
    *BASE,
    "Hangup-Cause",
    "variable_sip_term_status",
    "variable_sip_invite_failure_status",
    "variable_sip_hangup_disposition",
    "Caller-Channel-Created-Time",
    "Caller-Channel-Answered-Time",
    "Caller-Channel-Hangup-Time",
    "Caller-Caller-ID-Number",
    "variable_sip_gateway_name",
    "variable_sip_gateway",
    "variable_sip_network_ip",
    "Caller-Network-Addr",
    "variable_sip_call_id",
)


class SwitchEvent(Protocol):
    """An event as the event-socket client hands it over."""

    @property
    def name(self) -> str:
        """Event-Name."""

    @property
    def subclass(self) -> str:
        """Event-Subclass."""

    def get(self, header: str, default: str = "") -> str:
        """Return one header."""

    def select(self, headers: Sequence[str]) -> list[str]:
        """Return several headers, "" for an absent one."""


def number(text: str) -> int:
    """Read a header that FreeSWITCH writes as a whole number; anything else is 0, also what 63 bits do not hold."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0  # noqa: PLR2004 - digits
