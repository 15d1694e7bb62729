"""Whose phones may register and which lines are handed over: found by domain and line, never by a caller's words."""

import re
from dataclasses import dataclass
from typing import Final, TypeVar

from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

_DIALLED: Final = re.compile(r"\+?([1-9][0-9]{4,14})", re.ASCII)
K = TypeVar("K")
E = TypeVar("E")


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
    """Phones and lines of all tenants, from the newest document of each.

    A line that went from one company to another is in two documents until the newer one of the first is read, which
    may be after that of the second: entries are kept by tenant, and the one that was read first is found.
    """

    def __init__(self) -> None:
        self._documents: dict[str, TenantDocument] = {}
        self._phones: dict[tuple[str, str], dict[str, Phone]] = {}
        self._lines: dict[str, dict[str, LineEntry]] = {}

    def put(self, document: TenantDocument) -> None:
        """Take a document; an older one than the known one changes nothing."""
        known = self._documents.get(document.tenant_id)
        if known is None or known.version < document.version:
            self.remove(document.tenant_id)
            self._documents[document.tenant_id] = document
            self._add(document)

    def remove(self, tenant_id: str) -> None:
        """Forget a tenant."""
        document = self._documents.pop(tenant_id, None)
        if document is not None:
            for agent in document.agents:
                _drop(self._phones, (agent.phone, document.domain.lower()), tenant_id)
            for line in document.lines:
                _drop(self._lines, line.number, tenant_id)

    def document(self, tenant_id: str) -> TenantDocument | None:
        """Return the newest document of a tenant."""
        return self._documents.get(tenant_id)

    def phone(self, user: str, domain: str) -> Phone | None:
        """Return the phone of a registration."""
        return _first(self._phones.get((user, domain.lower())))

    def phone_of(self, tenant_id: str, agent_id: str) -> Phone | None:
        """Return an agent's phone."""
        document = self._documents.get(tenant_id)
        agents = document.agents if document else ()
        agent = next((agent for agent in agents if agent.agent_id == agent_id), None)
        if document is None or agent is None:
            return None
        return Phone(tenant_id, agent_id, agent.phone, document.domain.lower())

    def line(self, dialled: str) -> LineEntry | None:
        """Return the line of a dialled number, with or without +."""
        digits = _DIALLED.fullmatch(dialled)
        return _first(self._lines.get(f"+{digits[1]}")) if digits else None

    def _add(self, document: TenantDocument) -> None:
        domain = document.domain.lower()
        for agent in document.agents:
            phone = Phone(document.tenant_id, agent.agent_id, agent.phone, domain)
            self._phones.setdefault((agent.phone, domain), {}).setdefault(document.tenant_id, phone)
        for line in document.lines:
            entry = LineEntry(document.tenant_id, line.number, document.fallback_number)
            self._lines.setdefault(line.number, {}).setdefault(document.tenant_id, entry)


def _first(entries: dict[str, E] | None) -> E | None:
    return next(iter(entries.values()), None) if entries else None


def _drop(known: dict[K, dict[str, E]], key: K, tenant_id: str) -> None:
    entries = known.get(key, {})
    entries.pop(tenant_id, None)
    if not entries:
        known.pop(key, None)
