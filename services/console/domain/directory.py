"""Whose phones may register and which lines are handed over: found by domain and line, never by a caller's words."""

import re
from dataclasses import dataclass

from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

_DIALLED = re.compile(r"\+?([1-9][0-9]{4,14})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Phone:
    """One agent's phone: `user` at `domain`."""

    tenant_id: str
    agent_id: str
    user: str
    domain: str


@dataclass(frozen=True, slots=True)
class LineEntry:
    """One line: whose it is, and where its calls go when the platform does not take them (SPEC 2.4)."""

    tenant_id: str
    number: str
    fallback_number: str


class Directory:
    """Phones and lines of all tenants, from the newest document of each."""

    def __init__(self) -> None:
        self._documents: dict[str, TenantDocument] = {}
        self._phones: dict[tuple[str, str], Phone] = {}
        self._lines: dict[str, LineEntry] = {}

    def put(self, document: TenantDocument) -> None:
        """Take a document; an older one than the known one changes nothing."""
        known = self._documents.get(document.tenant_id)
        if known is None or known.version < document.version:
            self.remove(document.tenant_id)
            self._documents[document.tenant_id] = document
            self._add(document)

    def remove(self, tenant_id: str) -> None:
        """Forget a tenant."""
        if self._documents.pop(tenant_id, None) is not None:
            self._phones = {key: phone for key, phone in self._phones.items() if phone.tenant_id != tenant_id}
            self._lines = {number: line for number, line in self._lines.items() if line.tenant_id != tenant_id}

    def document(self, tenant_id: str) -> TenantDocument | None:
        """Return the newest document of a tenant."""
        return self._documents.get(tenant_id)

    def phone(self, user: str, domain: str) -> Phone | None:
        """Return the phone of a registration."""
        return self._phones.get((user, domain.lower()))

    def phone_of(self, tenant_id: str, agent_id: str) -> Phone | None:
        """Return an agent's phone."""
        own = (phone for phone in self._phones.values() if phone.tenant_id == tenant_id)
        return next((phone for phone in own if phone.agent_id == agent_id), None)

    def line(self, dialled: str) -> LineEntry | None:
        """Return the line of a dialled number, with or without +."""
        digits = _DIALLED.fullmatch(dialled)
        return self._lines.get(f"+{digits[1]}") if digits else None

    def _add(self, document: TenantDocument) -> None:
        domain = document.domain.lower()
        for agent in document.agents:
            phone = Phone(document.tenant_id, agent.agent_id, agent.phone, domain)
            self._phones.setdefault((agent.phone, domain), phone)
        for line in document.lines:
            entry = LineEntry(document.tenant_id, line.number, document.fallback_number)
            self._lines.setdefault(line.number, entry)
