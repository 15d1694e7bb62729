from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from services.console.claiming import claim_all, conflicts
from services.console.domain.difference import Change, changes
from services.console.domain.fault import Fault
from services.console.domain.list_entries import kept_in, without
from services.console.domain.merging import Entry, merged, parts_of
from services.console.domain.parts import entry_of
from services.console.domain.translation import complete, to_contract
from services.console.domain.validation import BadDocument, checked
from services.console.publishing import Publisher
from services.console.store import TenantStore, Version, VersionTaken
from services.shared.bus.errors import BusError
from services.shared.chassis.clock import Clock
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

Document = dict[str, Any]


MOST_LOOKED_AT: Final = 500
"""So many versions are looked back for the file that was applied last."""
READ_AT_ONCE: Final = 20
"""Versions in memory while a person is struck off all of them."""
TRIES: Final = 5
"""So often a change is put upon what somebody else has applied at the same moment."""
MOST_CONTRACT_BYTES: Final = 900 * 1024
"""What a broker's record holds: aliases make a document longer than its text."""


class NoSuchVersion(LookupError):
    """The tenant, or this version of it, is not there. The API answers 404."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a document: its version, whether it is a new one, and whether every service can read it now."""

    version: Version
    is_new: bool
    is_published: bool


@dataclass(frozen=True, slots=True)
class Struck:
    """What became of a person's entries in a tenant's lists: how many went, and the black lists that keep theirs."""

    entries: int
    black_lists: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filed:
    """What a file comes to upon a version; `kept` says of what stays as the page has it who made it so."""

    document: Document
    upon: int | None = 0
    """The version's number, 0 where there is none yet; None: whatever is in force."""
    kept: tuple[str, ...] = ()


class ChangedOnThePage(Exception):
    """A file changes what somebody has changed on the page since the file was applied last. Nothing was applied."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


ERASER = "erasure"
"""Who applies a document without a person's entries."""


class Tenancy:
    """All tenants' documents: applied whole or not at all, with a history, and rolled back (SPEC 1.1, 1.2)."""

    def __init__(self, store: TenantStore, publisher: Publisher, clock: Clock) -> None:
        self._store = store
        self._publisher = publisher
        self._clock = clock

    def apply(
        self,
        document: Document,
        actor: str,
        request_id: str = "",
        filed: Document | None = None,
        upon: int | None = None,
    ) -> Applied:
        """Put a document in force. Safe to repeat, and to be killed anywhere: the next call ends what this one began.

        A request id that has applied a version before applies nothing: that version is returned. `filed` are the parts
        of the file that the document is made of, where it is (see `upon_the_page`). `upon` is the number of the version
        that the document was made from, where it was: with another in force by now nobody's change may be lost.
        Raises BadDocument, VersionTaken, StoreUnavailable. A broker that is away delays it only: see `is_published`.
        """
        checked(document)
        tenant_id = document["tenant_id"]
        former = self.applied_by(tenant_id, request_id)
        if former is not None:
            return Applied(former, is_new=False, is_published=former.is_published or self._publish(former))
        head = self._store.head(tenant_id)
        if head is not None and _bytes_of(document, head.number) == _bytes_of(head.document, head.number):
            if filed is not None and filed != head.filed:
                self._store.rewrite(replace(head, filed=filed))
            return Applied(head, is_new=False, is_published=head.is_published or self._publish(head))
        newest = head.number if head else 0
        if upon not in (None, newest):
            raise VersionTaken(f"{tenant_id} has version {newest} by now; this was made from version {upon}")
        number = newest + 1
        contract, now_ms = _bytes_of(document, number), self._clock.now_ms()
        faults = _faults_of_size(contract) or claim_all(self._store, tenant_id, document, self._wall_ms)
        if faults:
            raise BadDocument(faults)
        version = Version(tenant_id, number, document, contract, actor, now_ms, request_id=request_id, filed=filed)
        self._store.append(version)
        return Applied(version, is_new=True, is_published=self._publish(version))

    def upon_the_page(self, file: Document, actor: str) -> Filed:
        """Return a file's document with what the page has changed since this actor's last file (ADR 35).

        Raises ChangedOnThePage, BadDocument, StoreUnavailable.
        """
        checked(file)
        history = self._store.history(file["tenant_id"], MOST_LOOKED_AT)
        if not history:
            return Filed(file)
        found = merged(file, _former_file(history, actor), history[0].document)
        if found.clashes:
            raise ChangedOnThePage(
                [f"{one}: {_since(history, one)}, and the file changes it too." for one in found.clashes]
            )
        kept = tuple(f"{one}: {_since(history, one)}; it stays so." for one in found.kept)
        return Filed(found.document, history[0].number, kept)

    def change(self, tenant_id: str, make: Callable[[Document], Document], actor: str, request_id: str = "") -> Applied:
        """Put in force what `make` makes of the document in force; what others apply meanwhile stays.

        Raises NoSuchVersion, and what `apply` and `make` raise.
        """
        for _ in range(TRIES - 1):
            with suppress(VersionTaken):
                return self._changed(tenant_id, make, actor, request_id)
        return self._changed(tenant_id, make, actor, request_id)

    def _changed(self, tenant_id: str, make: Callable[[Document], Document], actor: str, request_id: str) -> Applied:
        head = self.version(tenant_id)
        return self.apply(make(head.document), actor, request_id, upon=head.number)

    def diff(self, document: Document) -> list[Change]:
        """Return what `apply` would change. Raises BadDocument, also for lines that are another tenant's now."""
        checked(document)
        faults = _faults_of_size(_bytes_of(document, 1))
        faults = faults or conflicts(self._store, document["tenant_id"], document, self._wall_ms())
        if faults:
            raise BadDocument(faults)
        head = self._store.head(document["tenant_id"])
        return list(changes(complete(head.document) if head else {}, complete(document)))

    def rollback(self, tenant_id: str, number: int, actor: str, request_id: str = "") -> Applied:
        """Put an older version in force again, as a new one. Raises NoSuchVersion, and what `apply` raises."""
        return self.apply(self.version(tenant_id, number).document, actor, request_id)

    def applied_by(self, tenant_id: str, request_id: str) -> Version | None:
        """Return the version that a request has applied, None for one that has not, or has no id."""
        return self._store.applied_by(tenant_id, request_id) if request_id else None

    def forget(self, tenant_id: str, numbers: Collection[str]) -> Struck:
        """Strike a person off the lists of the document in force, as a new version, and off those of all older ones.

        Done again it changes nothing. Raises VersionTaken, StoreUnavailable.
        """
        head = self._store.head(tenant_id)
        if head is None:
            return Struck(0, ())
        document, entries = without(head.document, numbers)
        if entries:
            self.apply(document, ERASER, upon=head.number)
        for version in self._up_to(tenant_id, head.number):
            left, struck = without(version.document, numbers)
            if struck:
                self._store.rewrite(replace(version, document=left, contract=_bytes_of(left, version.number)))
        return Struck(entries, tuple(kept_in(document, numbers)))

    def _up_to(self, tenant_id: str, number: int) -> Iterator[Version]:
        """Yield all versions up to one, the newest first, few of them in memory."""
        below = number + 1
        while found := self._store.history(tenant_id, READ_AT_ONCE, below):
            yield from found
            below = found[-1].number

    def tenants(self) -> list[str]:
        """Return all tenants' ids."""
        return self._store.tenants()

    def version(self, tenant_id: str, number: int | None = None) -> Version:
        """Return one version, the newest without a number. Raises NoSuchVersion."""
        found = self._store.head(tenant_id) if number is None else self._store.version(tenant_id, number)
        if found is None:
            raise NoSuchVersion("There is no such tenant or version.")
        return found

    def history(self, tenant_id: str, limit: int, below: int | None = None) -> list[Version]:
        """Return the newest versions, newest first; those below a number where it is given."""
        return self._store.history(tenant_id, limit, below)

    def _publish(self, version: Version) -> bool:
        try:
            self._publisher.publish(version.tenant_id, [version.number])
        except BusError:
            return False
        return True

    def _wall_ms(self) -> int:
        return int(self._clock.wall() * 1000)


def _former_file(history: list[Version], actor: str) -> Document:
    """Return the parts of the file that was applied last; empty ones where none of these versions is a file's."""
    for version in history:
        if version.filed is not None:
            return version.filed
        if version.actor == actor:
            return parts_of(version.document)
    return {}


def _since(history: list[Version], entry: Entry) -> str:
    """Say who has made an entry as it is in force."""
    now = entry_of(history[0].document, entry.part, entry.entry_id)
    done = "has taken it out" if now is None else "has changed it"
    for later, earlier in pairwise(history):
        if entry_of(earlier.document, entry.part, entry.entry_id) != now:
            return f"{later.actor} {done} (version {later.number})"
    return f"{history[-1].actor} {done} (version {history[-1].number} or before)"


def another_tenant(document: Any, tenant_id: str) -> list[Fault]:
    """Return the fault of a document that is sent to the address of another tenant."""
    found = document.get("tenant_id") if isinstance(document, dict) else None
    return [] if found == tenant_id else [Fault("tenant_id", f"must be {tenant_id}, as in the address.")]


def _faults_of_size(contract: bytes) -> list[Fault]:
    sentence = f"comes to {len(contract)} bytes once its aliases are followed; {MOST_CONTRACT_BYTES} are taken at most."
    return [Fault("", sentence)] if len(contract) > MOST_CONTRACT_BYTES else []


def _bytes_of(document: Document, number: int) -> bytes:
    contract: TenantDocument = to_contract(document, number)
    return contract.SerializeToString(deterministic=True)
