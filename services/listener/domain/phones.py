"""Agents' phones: where they register and when that ends. A domain belongs to one tenant."""

from services.listener.domain.directory import Directory
from services.listener.domain.facts import FactBuilder
from services.listener.domain.headers import PHONE, SwitchEvent, number
from services.listener.domain.legs import LegTable
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

_LONGEST_SECONDS = 0xFFFFFFFF


class Phones:
    """Tells each registration once, and its end once."""

    def __init__(self, facts: FactBuilder, directory: Directory, legs: LegTable) -> None:
        self._facts = facts
        self._directory = directory
        self._legs = legs

    def told(self, event: SwitchEvent) -> tuple[Input, ...]:
        """Read a sofia::register, sofia::unregister or sofia::expire; the last one names user and host otherwise."""
        user, host, old_user, old_host, expires, agent, sequence, at = event.select(PHONE)
        address = f"{user or old_user}@{host or old_host}"
        if event.subclass == "sofia::register":
            return self.registered(address, number(expires), agent, number(at), number(sequence))
        expired = event.subclass == "sofia::expire"
        return self.unregistered(address, number(at), number(sequence), expired=expired)

    def registered(
        self, address: str, expires_seconds: int, user_agent: str, occurred_us: int, sequence: int = 0
    ) -> tuple[Input, ...]:
        """Tell a new registration; a refresh is no news. The domain belongs to one tenant."""
        tenant_id = self._directory.tenant_of_domain(address.rpartition("@")[2])
        if not tenant_id or not self._legs.register(address, tenant_id):
            return ()
        told = self._facts.of_switch(tenant_id, occurred_us, sequence)
        registered = told.fact.phone_registered
        registered.address = address
        registered.expires_seconds = min(expires_seconds, _LONGEST_SECONDS)
        registered.user_agent = user_agent[:256]
        return (told,)

    def unregistered(self, address: str, occurred_us: int, sequence: int = 0, *, expired: bool) -> tuple[Input, ...]:
        """Tell the end of a registration that was told."""
        tenant_id = self._legs.unregister(address)
        if not tenant_id:
            return ()
        told = self._facts.of_switch(tenant_id, occurred_us, sequence)
        told.fact.phone_unregistered.address = address
        told.fact.phone_unregistered.expired = expired
        return (told,)
