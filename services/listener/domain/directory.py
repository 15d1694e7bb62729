"""Which tenant a dialled line or a SIP domain belongs to. The only source of a call's tenant (DESIGN rule 6)."""

import re
from dataclasses import dataclass

from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

_NOT_A_DIGIT = re.compile(r"[^0-9]")
_LOOKS_DIALLED = re.compile(r"\+?[0-9 ().-]{2,32}").fullmatch
DEFAULT_LANGUAGE = "en"


def canonical_line(number: str) -> str:
    """Return a dialled number as E.164 with +, or "" for what is not a number: carriers send it with and without +."""
    return "+" + _NOT_A_DIGIT.sub("", number) if _LOOKS_DIALLED(number) else ""


@dataclass(frozen=True, slots=True)
class TenantEntry:
    """What the listener needs of a tenant's document."""

    tenant_id: str
    version: int
    lines: tuple[str, ...]
    domain: str
    language: str


def entry_of(document: TenantDocument) -> TenantEntry:
    """Take from a document what is needed here."""
    return TenantEntry(
        tenant_id=document.tenant_id,
        version=document.version,
        lines=tuple(line for line in (canonical_line(each.number) for each in document.lines) if line),
        domain=document.domain.lower(),
        language=document.languages[0] if document.languages else DEFAULT_LANGUAGE,
    )


class Directory:
    """Lines and domains of all tenants, by the newest document of each; a line claimed twice stays with its first."""

    def __init__(self) -> None:
        self._entries: dict[str, TenantEntry] = {}
        self._lines: dict[str, str] = {}
        self._domains: dict[str, str] = {}

    @property
    def tenants(self) -> list[str]:
        """All tenants' ids."""
        return list(self._entries)

    @property
    def entries(self) -> list[TenantEntry]:
        """All entries, to be kept for a start without Kafka."""
        return list(self._entries.values())

    def put(self, entry: TenantEntry) -> None:
        """Take a tenant's document; an older version than the known one changes nothing."""
        known = self._entries.get(entry.tenant_id)
        if known is not None and known.version > entry.version:
            return
        self.remove(entry.tenant_id)
        self._entries[entry.tenant_id] = entry
        for line in entry.lines:
            self._lines.setdefault(line, entry.tenant_id)
        if entry.domain:
            self._domains.setdefault(entry.domain, entry.tenant_id)

    def remove(self, tenant_id: str) -> None:
        """Forget a tenant; lines that another one claims too become that one's."""
        if self._entries.pop(tenant_id, None) is None:
            return
        self._lines = {line: entry.tenant_id for entry in reversed(self._entries.values()) for line in entry.lines}
        self._domains = {entry.domain: entry.tenant_id for entry in reversed(self._entries.values()) if entry.domain}

    def tenant_of_line(self, line: str) -> str:
        """Return the tenant of a canonical line, "" when nobody has it."""
        return self._lines.get(line, "")

    def tenant_of_domain(self, domain: str) -> str:
        """Return the tenant of a SIP domain, "" when nobody has it."""
        return self._domains.get(domain.lower(), "")

    def language_of(self, tenant_id: str) -> str:
        """Return the tenant's first language."""
        entry = self._entries.get(tenant_id)
        return entry.language if entry is not None else DEFAULT_LANGUAGE
