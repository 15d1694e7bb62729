from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import orjson
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError, PyMongoError

from services.console.store import Holder, StoreUnavailable, Version, VersionTaken
from services.shared.chassis.documents import sentence_of

Document = dict[str, Any]
P = ParamSpec("P")
R = TypeVar("R")


def _store(function: Callable[P, R]) -> Callable[P, R]:
    """Turn the driver's errors into ours."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except PyMongoError as error:
            raise StoreUnavailable(sentence_of(error)) from error

    return guarded


class MongoTenantStore:
    """`tenants`: one document a version, `<tenant>:<number>`; `tenant_claims`: one document a line and a domain.

    A tenant's document is kept as JSON text: its keys are the tenant's own words, and need not be words of MongoDB.
    """

    def __init__(self, database: Any) -> None:
        self._versions = database["tenants"]
        self._claims = database["tenant_claims"]

    @_store
    def prepare(self) -> None:
        """Make the indexes."""
        self._versions.create_index([("tenant_id", ASCENDING), ("number", DESCENDING)], name="history", unique=True)
        self._versions.create_index([("tenant_id", ASCENDING), ("request_id", ASCENDING)], name="requests")
        self._versions.create_index([("is_published", ASCENDING)], name="outbox")

    def head(self, tenant_id: str) -> Version | None:
        """Return the newest version."""
        newest = self.history(tenant_id, 1)
        return newest[0] if newest else None

    @_store
    def tenants(self) -> list[str]:
        """Return all tenants' ids, sorted."""
        return sorted(self._versions.distinct("tenant_id"))

    @_store
    def version(self, tenant_id: str, number: int) -> Version | None:
        """Return one version."""
        found = self._versions.find_one({"_id": _name(tenant_id, number)})
        return _version(found) if found else None

    @_store
    def history(self, tenant_id: str, limit: int, below: int | None = None) -> list[Version]:
        """Return the newest versions, newest first."""
        asked: Document = {"tenant_id": tenant_id} | ({} if below is None else {"number": {"$lt": below}})
        return [_version(one) for one in self._versions.find(asked).sort("number", DESCENDING).limit(limit)]

    @_store
    def applied_by(self, tenant_id: str, request_id: str) -> Version | None:
        """Return the version that a request has applied."""
        found = self._versions.find_one({"tenant_id": tenant_id, "request_id": request_id})
        return _version(found) if found else None

    @_store
    def append(self, version: Version) -> None:
        """Add a version; the number is part of its key, so that two writers can't both have it."""
        document = {
            "_id": _name(version.tenant_id, version.number),
            "tenant_id": version.tenant_id,
            "number": version.number,
            "document": orjson.dumps(version.document).decode(),
            "contract": version.contract,
            "actor": version.actor,
            "applied_ms": version.applied_ms,
            "is_published": version.is_published,
            "request_id": version.request_id,
            "filed": _text(version.filed),
        }
        try:
            self._versions.insert_one(document)
        except DuplicateKeyError as error:
            raise VersionTaken(f"{version.tenant_id} has a version {version.number} already") from error

    @_store
    def rewrite(self, version: Version) -> None:
        """Put another document in the place of a version's."""
        changed = {
            "document": orjson.dumps(version.document).decode(),
            "contract": version.contract,
            "filed": _text(version.filed),
        }
        self._versions.update_one({"_id": _name(version.tenant_id, version.number)}, {"$set": changed})

    @_store
    def unpublished(self) -> list[tuple[str, int]]:
        """Return what may not be on the bus yet."""
        found = self._versions.find({"is_published": False}, {"tenant_id": 1, "number": 1})
        return sorted((one["tenant_id"], one["number"]) for one in found)

    @_store
    def mark_published(self, tenant_id: str, numbers: Collection[int]) -> None:
        """Remember what is on the bus."""
        names = [_name(tenant_id, number) for number in numbers]
        self._versions.update_many({"_id": {"$in": names}}, {"$set": {"is_published": True}})

    @_store
    def holder(self, key: str) -> Holder | None:
        """Return who holds a claim."""
        found = self._claims.find_one({"_id": key})
        return Holder(found["tenant_id"], found["since_ms"]) if found else None

    @_store
    def take_claim(self, key: str, former: Holder | None, holder: Holder) -> bool:
        """Let a holder have a claim if it is still held by `former`."""
        claim = {"tenant_id": holder.tenant_id, "since_ms": holder.since_ms}
        if former is None:
            try:
                self._claims.insert_one({"_id": key, **claim})
            except DuplicateKeyError:
                return False
            return True
        as_it_was = {"_id": key, "tenant_id": former.tenant_id, "since_ms": former.since_ms}
        return bool(self._claims.update_one(as_it_was, {"$set": claim}).matched_count)


class MongoErasureStore:
    """`erasures`: one document an erasure, its report; the person is in it as a hash alone."""

    def __init__(self, database: Any) -> None:
        self._reports = database["erasures"]

    @_store
    def prepare(self) -> None:
        """Make the index."""
        self._reports.create_index([("tenant_id", ASCENDING), ("asked_ms", DESCENDING)], name="tenant_time")

    @_store
    def keep(self, report: Document) -> None:
        """Keep a report in place of an older one."""
        name = f"{report['tenant_id']}/{report['erasure_id']}"
        self._reports.replace_one({"_id": name}, {"_id": name, **report}, upsert=True)

    @_store
    def find(self, tenant_id: str, erasure_id: str) -> Document | None:
        """Return one report."""
        found: Document | None = self._reports.find_one({"_id": f"{tenant_id}/{erasure_id}"}, {"_id": 0})
        return found

    @_store
    def newest(self, tenant_id: str, limit: int) -> list[Document]:
        """Return a tenant's reports, the newest first."""
        return list(self._reports.find({"tenant_id": tenant_id}, {"_id": 0}).sort("asked_ms", DESCENDING).limit(limit))


def _name(tenant_id: str, number: int) -> str:
    return f"{tenant_id}:{number}"


def _version(found: Document) -> Version:
    return Version(
        tenant_id=found["tenant_id"],
        number=found["number"],
        document=orjson.loads(found["document"]),
        contract=bytes(found["contract"]),
        actor=found["actor"],
        applied_ms=found["applied_ms"],
        is_published=found["is_published"],
        request_id=found.get("request_id", ""),
        filed=orjson.loads(found["filed"]) if found.get("filed") else None,
    )


def _text(parts: Document | None) -> str:
    return "" if parts is None else orjson.dumps(parts).decode()
